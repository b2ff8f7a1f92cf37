"""An answer as HTML: charts where there is time, then the table, its figures with bars behind them.

Markup and style, no script, no link, no request. Invariant: every recorded text is escaped by `element`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tracestore.answers.chart import COLOURS, MAX_LINES, chart_svg, has_numbers
from tracestore.display.markup import Markup, element, join

if TYPE_CHECKING:
    from tracestore.answers.answer import Answer, Column

#: Rows and charts that a page shows.
_MAX_ROWS, _MAX_CHARTS = 200, 12

_STYLE = Markup(
    "<style>"
    ".ts-answer{color-scheme:light dark;color:light-dark(#1d2329,#e3e7ec);"
    "font:13px/1.5 system-ui,-apple-system,'Segoe UI','Liberation Sans',sans-serif;text-align:left}"
    ".ts-answer h3{font-size:15px;margin:8px 0}"
    ".ts-answer .ts-charts{display:flex;flex-wrap:wrap;gap:12px}"
    ".ts-answer svg{max-width:100%;height:auto}"
    ".ts-answer svg text{fill:currentColor;font-size:11px}"
    ".ts-answer .ts-chart-name{font-weight:600}"
    ".ts-answer .ts-chart-time{opacity:.65}"
    ".ts-answer .ts-legend{display:flex;flex-wrap:wrap;gap:2px 14px;margin:4px 0}"
    ".ts-answer .ts-swatch{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:5px}"
    ".ts-answer .ts-scroll{overflow-x:auto}"
    ".ts-answer table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    ".ts-answer th,.ts-answer td{padding:3px 10px;text-align:right;white-space:nowrap;"
    "border-bottom:1px solid light-dark(#dde1e6,#333a44)}"
    ".ts-answer :is(th,td):first-child{padding-left:0}"
    ".ts-answer .ts-k{text-align:left;max-width:min(42ch,40vw);overflow:hidden;text-overflow:ellipsis}"
    ".ts-answer .ts-bar{background:no-repeat linear-gradient(light-dark(#cfe3f3,#20425c),"
    "light-dark(#cfe3f3,#20425c))}"
    ".ts-answer .ts-note{color:light-dark(#59636e,#a2acb8);margin:6px 0}"
    "</style>"
)


def answer_html(answer: Answer) -> Markup:
    """Return an answer as HTML, at most 200 rows of it."""
    title = element("h3", "", answer.title) if answer.title else ""
    notes = [element("div", "ts-note", note) for note in answer.notes]
    left_out = len(answer) - _MAX_ROWS
    if left_out > 0:
        notes.append(element("div", "ts-note", f"… and {left_out:,} more rows"))
    table = element("div", "ts-scroll", _table(answer))
    return element("div", "ts-answer", _STYLE, title, _charts(answer), table, *notes)


def _charts(answer: Answer) -> Markup:
    if not answer.has_time() or len(answer) < 2:
        return Markup("")
    drawn = [(column, answer.series(column.name)) for column in answer.figures()]
    charts = [
        chart_svg(column.name, column.unit, series)
        for column, series in drawn
        if has_numbers(series)
    ][:_MAX_CHARTS]
    labels = list(answer.series(answer.figures()[0].name))[:MAX_LINES]
    legend = element("div", "ts-legend", *map(_swatch, labels, COLOURS)) if len(labels) > 1 else ""
    return join([element("div", "ts-charts", *charts), legend])


def _swatch(label: str, colour: str) -> Markup:
    return element(
        "span", "", element("span", "ts-swatch", style=f"background:{colour}"), label or "-"
    )


def _table(answer: Answer) -> Markup:
    heads = (element("th", "ts-k" if c.is_key else "", c.name) for c in answer.columns)
    most = [_largest(answer, column.name) if not column.is_key else 0 for column in answer.columns]
    rows = [
        element("tr", "", *map(_cell, answer.shown(row), row, answer.columns, most))
        for row in answer.tuples()[:_MAX_ROWS]
    ]
    head = element("thead", "", element("tr", "", *heads))
    return element("table", "", head, element("tbody", "", *rows))


def _largest(answer: Answer, name: str) -> float:
    """Return what a full bar stands for; 0 where a column has none."""
    values = [v for v in answer[name] if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(values) < 2 or min(values) < 0 or not all(map(math.isfinite, values)):
        return 0
    return max(values)


def _cell(text: str, value: object, column: Column, most: float) -> Markup:
    if column.is_key:
        return element("td", "ts-k", text, title=text)
    if most and isinstance(value, (int, float)):
        percent = round(value / most * 100, 1)
        return element("td", "ts-bar", text, style=f"background-size:{percent}% 100%")
    return element("td", "", text)
