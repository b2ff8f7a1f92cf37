"""Writes what is generated in the README: `python -m tests.documents`. tests/test_readme.py compares it.

The tables come from the code, the figures' block from benchmarks/README.md's summary, the pictures from the HTML
that a notebook shows and from the one-file page, photographed in Chromium.
"""

from __future__ import annotations

import datetime as dt
import math
import pathlib
import random
import re
import tempfile

from tests import instrumentations, promises, receivers
from tests.browser_chromium import open_chromium, open_page
from tests.browser_page import open_traces
from tests.browser_traces import real_trace
from tests.peer_mlflow.intended import reference_table
from tracestore import display, settings
from tracestore.answers import Answer, Column
from tracestore.entities import Trace, TraceState
from tracestore.figures import quantities
from tracestore.filters import fields

ROOT = pathlib.Path(__file__).parent.parent
PICTURE = ROOT / "tests" / "pictures" / "trace.png"
LIST_PICTURE = ROOT / "tests" / "pictures" / "list.png"
METRICS_PICTURE = ROOT / "tests" / "pictures" / "metrics.png"
PAGE_PICTURE = ROOT / "tests" / "pictures" / "page.png"

_QUESTIONS = (
    (
        "answer_customer",
        "Where is parcel 4711?",
        "It left our depot in Leipzig this morning.",
        2_914,
    ),
    ("answer_customer", "Can I change the address?", "Yes, until it is out for delivery.", 1_480),
    ("summarise_ticket", "Ticket 88213, 14 messages", "The customer waits for a refund.", 3_302),
    ("answer_customer", "How long do refunds take?", "Up to five working days.", 1_127),
    ("classify_mail", "Subject: broken on arrival", "complaint", 412),
    ("answer_customer", "Do you ship to Norway?", "Yes, in three to six days.", 1_690),
    ("classify_mail", "Subject: thank you!", "praise", 388),
    ("answer_customer", "Is the B-12 in stock?", "I could not reach the warehouse.", 5_204),
)


def summary_of_figures() -> str:
    """Return the summary that benchmarks/README.md keeps between its own markers."""
    text = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    match = re.search(r"<!-- summary -->\n(.*?)<!-- end of summary -->", text, re.DOTALL)
    if match is None:
        raise LookupError("benchmarks/README.md has no summary between its markers")
    return match[1].strip()


def generated_blocks() -> dict[str, str]:
    """Return the generated blocks of the README by name."""
    return {
        "metrics": quantities.reference_table().strip(),
        "fields": f"{fields.reference_table()}\n{fields.operator_table()}".strip(),
        "settings": settings.reference_table().strip(),
        "programs": reference_table(),
        "figures": summary_of_figures(),
        "promises": promises.table(),
        "packages": instrumentations.table(instrumentations.written_outcomes()),
        "receivers": receivers.table(),
    }


def with_blocks(readme: str, blocks: dict[str, str]) -> str:
    """Return `readme` with what stands between the markers of each block replaced."""
    for name, text in blocks.items():
        pattern = rf"(?<=<!-- {name}: generated -->\n).*?(?=<!-- end of {name} -->)"
        escaped = text.replace("\\", r"\\")
        readme = re.sub(pattern, f"{escaped}\n", readme, flags=re.DOTALL)
    return readme


def photograph(path: pathlib.Path) -> None:
    """Write a picture of a trace as a notebook shows it."""
    path.parent.mkdir(exist_ok=True)
    with (
        open_chromium() as browser,
        open_page(browser, display.trace_html(real_trace()), width=900) as (page, _requests),
    ):
        page.locator(".tracestore").first.screenshot(path=str(path))


def photograph_page(list_path: pathlib.Path, trace_path: pathlib.Path) -> None:
    """Write pictures of the one-file page: its list, and a span of an opened trace."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_chromium() as browser,
        open_traces(browser, pathlib.Path(folder), example_traces(), width=1_300) as (page, *_),
    ):
        page.set_viewport_size({"width": 1_300, "height": 360})
        page.screenshot(path=str(list_path))
        page.locator(".tu-row").first.click()
        page.set_viewport_size({"width": 1_300, "height": 640})
        page.locator(".tu-span", has_text="chat gpt-4o").last.click()
        page.screenshot(path=str(trace_path))


def example_traces() -> list[Trace]:
    """Return traces of a support agent, the newest first."""
    traces = []
    for number, (name, request, response, duration_ms) in enumerate(_QUESTIONS):
        trace = real_trace()
        trace.info.trace_id = f"tr-01947ad1c02b4f5e8d3c2b1a09f8e7{number:02x}"
        trace.info.request_time -= number * 193_000
        trace.info.execution_duration = duration_ms
        trace.info.request_preview, trace.info.response_preview = request, response
        trace.info.tags["mlflow.traceName"] = name
        if number not in (0, 7):
            trace.info.state = TraceState.OK
            trace.info.assessments = trace.info.assessments[2 - number % 3 : 3]
        traces.append(trace)
    return traces


def photograph_answer(path: pathlib.Path) -> None:
    """Write a picture of figures over time as a notebook shows them."""
    with (
        open_chromium() as browser,
        open_page(browser, example_answer().to_html(), width=900) as (page, _requests),
    ):
        page.screenshot(path=str(path), clip={"x": 0, "y": 0, "width": 900, "height": 470})


def example_answer() -> Answer:
    """Return figures of two versions, one of which gets slower, over two days."""
    head = [Column("time", "time", is_key=True), Column("tags.app_version", is_key=True)]
    head += [
        Column("count"),
        Column("error_rate", "share"),
        Column("p95", "ms"),
        Column("cost", "usd"),
    ]
    rng = random.Random(4)
    rows = []
    for hour in range(48):
        moment = dt.datetime(2026, 11, 18, tzinfo=dt.timezone.utc) + dt.timedelta(hours=hour)
        busy = 60 + 50 * math.sin((hour - 8) / 24 * 2 * math.pi)
        for version, share, slower in (("1.1.0", 0.7, 0), ("1.2.0", 0.3, 25)):
            count = int(busy * share * rng.uniform(0.8, 1.2))
            rate = rng.choice((0, 0, 1)) / (count + 20)
            p95 = 900 + slower * hour + rng.uniform(-80, 80)
            rows.append((moment, version, count, rate, p95, count * rng.uniform(0.003, 0.004)))
    title = "traces of tags.environment = 'production' by tags.app_version, every 1h"
    return Answer(head, rows, title)


def main() -> None:
    """Rewrite the README's generated parts."""
    readme = ROOT / "README.md"
    readme.write_text(with_blocks(readme.read_text("utf-8"), generated_blocks()), "utf-8")
    photograph(PICTURE)
    photograph_answer(METRICS_PICTURE)
    photograph_page(LIST_PICTURE, PAGE_PICTURE)


if __name__ == "__main__":
    main()
