"""Writes what is generated in the README: `python -m tests.documents`. tests/test_readme.py compares it.

The tables come from the code, the figures' block from benchmarks/README.md's summary, the picture of a trace
from the HTML that a notebook shows, photographed in Chromium.
"""

from __future__ import annotations

import pathlib
import re

from tests.browser_chromium import open_chromium, open_page
from tests.browser_traces import real_trace
from tracestore import display, settings
from tracestore.filters import fields

ROOT = pathlib.Path(__file__).parent.parent
PICTURE = ROOT / "tests" / "pictures" / "trace.png"


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
        "fields": f"{fields.reference_table()}\n{fields.operator_table()}".strip(),
        "settings": settings.reference_table().strip(),
        "figures": summary_of_figures(),
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


def main() -> None:
    """Rewrite the README's generated parts."""
    readme = ROOT / "README.md"
    readme.write_text(with_blocks(readme.read_text("utf-8"), generated_blocks()), "utf-8")
    photograph(PICTURE)


if __name__ == "__main__":
    main()
