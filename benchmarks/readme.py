"""Writes what is generated in benchmarks/README.md from the JSON of the last runs; no figure is typed by hand.

    python -m benchmarks.readme                       # from benchmarks/figures alone
    python -m benchmarks.readme benchmarks/results    # keep what `python -m benchmarks` has written, then write

`benchmarks/figures` keeps the last run of each program. A quick form does not replace a full one, unless with
`--quick-too`. The summary goes into the project's README by `python -m tests.documents`.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import shutil
from collections.abc import Mapping, Sequence

import msgspec

from benchmarks.plot import plot
from benchmarks.report import Result, number
from benchmarks.targets import TARGETS, is_met, limit_of, shown, table

FOLDER = pathlib.Path(__file__).parent
FIGURES = FOLDER / "figures"
README = FOLDER / "README.md"
PLOT = FOLDER / "targets.svg"


def main(arguments: Sequence[str] | None = None) -> None:
    """Keep results where a folder is given, and write the generated parts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readme", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("results", nargs="?", type=pathlib.Path, help="folder of new results")
    parser.add_argument("--quick-too", action="store_true", help="quick forms replace full ones")
    options = parser.parse_args(arguments)
    if options.results is not None:
        keep(options.results, FIGURES, quick_too=options.quick_too)
    kept = results_in(FIGURES)
    README.write_text(with_blocks(README.read_text("utf-8"), kept), "utf-8")
    PLOT.write_text(plot(kept), "utf-8")


def results_in(folder: pathlib.Path) -> dict[str, Result]:
    """Return the results that a folder holds, by program, in the order of their names."""
    paths = sorted(folder.glob("*.json"))
    return {path.stem: msgspec.json.decode(path.read_bytes(), type=Result) for path in paths}


def keep(source: pathlib.Path, target: pathlib.Path, *, quick_too: bool) -> list[str]:
    """Copy results; a quick form does not replace a full one. Returns the programs that were kept."""
    there = results_in(target)
    target.mkdir(exist_ok=True)
    kept = []
    for program, result in results_in(source).items():
        if quick_too or not _is_quick(result) or program not in there or _is_quick(there[program]):
            shutil.copyfile(source / f"{program}.json", target / f"{program}.json")
            kept.append(program)
        else:
            print(
                f"{program}: the quick form does not replace the full one of {there[program].date}"
            )
    return kept


def _is_quick(result: Result) -> bool:
    return "--quick" in result.command.split()


def with_blocks(readme: str, results: Mapping[str, Result]) -> str:
    """Return `readme` with what stands between the markers of each block replaced."""
    for name, text in blocks(results).items():
        before, start, rest = readme.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- end of {name} -->")
        if not end:
            raise LookupError(f"benchmarks/README.md has no {name} between its markers")
        readme = f"{before}{start}{text}\n{end}{after}"
    return readme


def blocks(results: Mapping[str, Result]) -> dict[str, str]:
    """Return the generated blocks by name."""
    return {
        "summary": summary(results),
        "targets": f"{table(results)}\n\n{misses(results)}".strip(),
        "runs": "\n\n".join(run(result) for result in results.values()),
    }


def run(result: Result) -> str:
    """Return one run: its program, its command, and what it printed."""
    return f"### {result.program}\n\n`{result.command}`, {result.seconds:.0f} s\n\n```\n{result.text()}\n```"


def misses(results: Mapping[str, Result]) -> str:
    """Return why each target that is not met is not, as far as somebody has written it down."""
    missed: dict[str, list[str]] = {}
    for target in TARGETS:
        figures = results[target.program].figures if target.program in results else {}
        measured, limit = shown(target, figures), limit_of(target, figures)
        if measured is None or limit is None or is_met(target, measured, limit):
            continue
        missed.setdefault(target.gap or "Not explained yet.", []).append(target.what)
    lines = [f"- **{'; '.join(names)}.** {gap}" for gap, names in missed.items()]
    return "\n".join(["Not met:", "", *lines]) if lines else "All that was measured is met."


# ------------------------------------------------------------------------------------------ the summary


def summary(results: Mapping[str, Result]) -> str:
    """Return the figures that people ask for first; rows without a figure are left out."""
    figures = {name: value for result in results.values() for name, value in result.figures.items()}
    dates = sorted({result.date[:10] for result in results.values()})
    software = sorted({result.software for result in results.values()})
    cores = sorted({result.machine.partition(",")[0] for result in results.values()})
    when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    where = f"Measured on {'; '.join(cores)}; {'; '.join(software)}; {when}."
    lines = [
        f"{where} Whole tables, commands and commits: `benchmarks/README.md`.",
        "Machines are noisy: the floor or peer of the same run stands beside each figure.",
        "",
        "| what | figure | beside it, in the same run |",
        "|---|---|---|",
    ]
    for what, figure, beside in _rows(figures):
        if all(name in figures for name in re.findall(r"{(\w+)}", figure)):
            shown_beside = "; ".join(
                _filled(text, figures)
                for text in beside
                if all(name in figures for name in re.findall(r"{(\w+)}", text))
            )
            lines.append(f"| {what} | **{_filled(figure, figures)}** | {shown_beside} |")
    return "\n".join(lines)


def _filled(text: str, figures: Mapping[str, float]) -> str:
    return re.sub(r"{(\w+)}", lambda match: number(figures[match[1]]), text)


def _rows(figures: Mapping[str, float]) -> list[tuple[str, str, tuple[str, ...]]]:
    most = _largest(figures, r"search_indexed_most_(\d+)_ms")
    text = _largest(figures, r"search_text_absent_(\d+)_ms")
    metrics = _largest(figures, r"metrics_by_tag_(\d+)_ms")
    return [
        ("an empty child span, on the thread that records", "{span_us} µs",
         ("OpenTelemetry SDK {span_otel_us} µs",)),
        ("a trace of 4 spans and 5.6 KB, on that thread, safe from `kill -9` and without secrets when the call returns",
         "{trace_us} µs", ("OpenTelemetry SDK, which keeps nothing: {trace_otel_us} µs",
                           "ours with `TRACESTORE_RECORDER=off` {trace_without_recorder_us} µs")),
        ("traces a second until durable", "{durable_per_s}",
         ("the same rows without capture: {durable_floor_per_s}", "MLflow {ingest_mlflow_per_s}")),
        (f"first 100 of {most:,} traces by any indexed filter",
         f"{{search_indexed_least_{most}_ms}} to {{search_indexed_most_{most}_ms}} ms",
         ("at 10,000 {search_indexed_least_10000_ms} to {search_indexed_most_10000_ms} ms",
          f"SQL for the newest 100 rows {{search_floor_{most}_ms}} ms")),
        (f"`text ILIKE '%phrase%'` over {text:,} traces, absent / rare",
         f"{{search_text_absent_{text}_ms}} / {{search_text_rare_{text}_ms}} ms", ()),
        ("data frame of 10,000 traces without spans", "{search_frame_10000_ms} ms", ()),
        ("`get_trace`", "{get_trace_ms} ms", ()),
        (f"error rate and p95 by one tag of {metrics:,} traces", f"{{metrics_by_tag_{metrics}_ms}} ms",
         (f"pandas, from a data frame of all: {{metrics_pandas_{metrics}_ms}} ms",
          f"pandas, from SQL for three columns: {{metrics_pandas_sql_{metrics}_ms}} ms")),
        ("the version comparison of MLflow's guides, 10,000 traces", "{versions_ms} ms",
         ("MLflow, search and loop as in the guide: {versions_mlflow_ms} ms",)),
        ("searches beside MLflow on the same traces, median of all filters", "{search_below_mlflow} times as fast",
         ("the least of any filter {search_least_below_mlflow}",)),
        ("`import tracestore` over bare Python", "{import_over_bare_ms} ms",
         ("sqlite3 and msgspec alone {sqlite3_and_msgspec_over_bare_ms} ms, loaded with the first span",)),
        ("first trace of a new file durable, from the start of the process", "{first_trace_ms} ms",
         ("bare Python {bare_python_ms} ms",)),
    ]  # fmt: skip


def _largest(figures: Mapping[str, float], pattern: str) -> int:
    found = (re.fullmatch(pattern, name) for name in figures)
    return max((int(match[1]) for match in found if match), default=0)


if __name__ == "__main__":
    main()
