"""`tracestore check`: whether the file is what it should be, or the figures are what they should be."""

from __future__ import annotations

import click
import msgspec
from rich.table import Table
from rich.text import Text

from tracestore.cli import FOUND, options, progress, streams, terminal
from tracestore.cli.questions import filter_options, since
from tracestore.cli.terminal import safe, safe_block
from tracestore.errors import InvalidArgumentError
from tracestore.figures.conditions import Outcome, outcomes, parse
from tracestore.upkeep.findings import DAMAGE, LEFTOVER, Finding

_STYLES = {DAMAGE: "bold red", LEFTOVER: "dim"}


@click.command(
    epilog=options.examples(
        "tracestore check",
        "tracestore check 'error_rate < 2%' 'p95 < 3s' --last 1h",
        "tracestore check 'count > 0' 'mean(feedback.score) >= 3.5' --by tags.environment",
    )
)
@click.argument("conditions", metavar="[CONDITION]...", nargs=-1)
@click.option("--by", metavar="FIELD", multiple=True, help="Each group must meet them.")
@filter_options
@options.json_option
@options.db_option
@click.pass_context
def check(
    context: click.Context,
    conditions: tuple[str, ...],
    by: tuple[str, ...],
    filter_string: str | None,
    last: str | None,
    experiment: str | None,
    as_json: bool,
    path: str,
) -> None:
    """Check the file, or conditions such as 'p95 < 3s'.

    Without a CONDITION: pages, rows, JSON, indexes and what lies beside the file. Only reads; programs go on recording. Exit code 1 where something is wrong, or a condition is not met;
    leftovers in the file, which change no answer, are not wrong. A figure that is not there, such as the p95 of
    no traces, breaks no condition: 'count > 0' demands traces.
    """
    if conditions:
        asked = [parse(text) for text in conditions]
        with options.open_store(path) as store:
            answer = store.metrics(
                list(dict.fromkeys(condition.quantity.label for condition in asked)),
                filter_string,
                by,
                start=since(last),
                experiment_ids=options.experiment_ids(store, experiment),
            )
        found = outcomes(asked, answer)
        _write_outcomes(found, as_json=as_json)
        context.exit(0 if all(each.holds for each in found) else FOUND)
    if by or filter_string or last or experiment:
        raise InvalidArgumentError("--by, --filter, --last and --experiment go with a CONDITION")
    _check_file(context, path, as_json=as_json)


def _write_outcomes(found: list[Outcome], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "condition": each.condition.text,
                "group": each.group,
                "value": each.value,
                "ok": each.holds,
            }
            for each in found
        ]
        streams.write_json({"ok": all(each.holds for each in found), "conditions": rows})
        return
    console = terminal.console()
    for each in found:
        mark = Text("✓ ", "green") if each.holds else Text("✗ ", "bold red")
        console.print(mark.append_text(safe_block(str(each))), soft_wrap=True)


def _check_file(context: click.Context, path: str, *, as_json: bool) -> None:
    with options.open_store(path) as store, progress.bar() as show:
        findings = store.check(progress=show)
    wrong = any(finding.severity != LEFTOVER for finding in findings)
    if as_json:
        streams.write_json({"ok": not wrong, "findings": msgspec.to_builtins(findings)})
    else:
        _print(findings)
    context.exit(FOUND if wrong else 0)


def _print(findings: list[Finding]) -> None:
    console = terminal.console()
    if not findings:
        console.print("nothing is wrong")
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    for finding in findings:
        severity = Text(finding.severity, _STYLES.get(finding.severity, "red"))
        places = "; ".join(finding.places) + ("; …" if finding.count > len(finding.places) else "")
        table.add_row(severity, f"{finding.count:,}", safe_block(finding.message), safe(places))
    console.print(table)
    if any(finding.severity == DAMAGE for finding in findings):
        console.print("`tracestore repair` saves what can be read into a new file")
