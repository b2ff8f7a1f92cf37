"""The difference of two traces as HTML, side by side, and as text.

Knows what `tracestore.difference.TraceDiff` says, not how spans were paired. HTML without script, as html.py
makes it; steps that are the same are folded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracestore.display.blocks import chips, line, mark, more
from tracestore.display.html import MAX_HTML_BYTES, card, fill_room, state_mark
from tracestore.display.markup import Markup, element, join
from tracestore.display.payload import cut
from tracestore.display.text import MIN_WIDTH, fit, pad
from tracestore.display.units import NS_PER_MS, cost_text, count_text, duration_text, time_text

if TYPE_CHECKING:
    from tracestore.difference import SpanPair, TraceDiff
    from tracestore.entities.trace import Trace

_MAX_PAIRS = 1_000
_MAX_LINES = 60
_MAX_LINE = 400
_MARKS = {"same": "=", "changed": "~", "only a": "-", "only b": "+"}
_KINDS = {"same": "plain", "changed": "open", "only a": "error", "only b": "ok"}
_PAYLOADS = ("inputs", "outputs", "attributes")


def difference_html(difference: TraceDiff) -> str:
    """Return two traces side by side: totals, then each step with both durations and what changed."""
    head = element(
        "div",
        "ts-head ts-sides",
        _side("A", difference.a),
        _side("B", difference.b),
    )
    rows = (_pair_block(pair) for pair in difference.pairs[:_MAX_PAIRS])
    shown = fill_room(rows, MAX_HTML_BYTES - 100_000)
    return card(
        head,
        _column_titles(),
        element("div", "ts-spans", *shown),
        *more(len(difference.pairs) - len(shown), "step"),
    )


def _column_titles() -> Markup:
    titles = ("Step", "Tokens A", "Tokens B", "Duration A", "Duration B", "Change")
    kinds = ("ts-label", *["ts-duration ts-tokens"] * 2, *["ts-duration"] * 3)
    named = zip(kinds, titles, strict=True)
    return element(
        "div", "ts-axis ts-pair", *(join([element("span", k, t), " "]) for k, t in named)
    )


def _side(label: str, trace: Trace) -> Markup:
    info = trace.info
    duration = info.execution_duration
    return element(
        "div",
        "ts-side",
        element(
            "div",
            "ts-title",
            element("strong", "", label),
            " ",
            state_mark(str(info.state)),
            " ",
            element("span", "ts-name", line(info.name) or "unnamed trace", title=line(info.name)),
            " ",
            element(
                "span",
                "ts-total",
                duration_text(None if duration is None else duration * NS_PER_MS),
            ),
        ),
        element("div", "ts-facts", element("span", "", time_text(info.request_time))),
        element("div", "ts-id", line(info.trace_id)),
        chips(_facts(trace)),
    )


def _facts(trace: Trace) -> list[tuple[str, str]]:
    tokens = (trace.info.token_usage or {}).get("total_tokens")
    cost = cost_text(trace.info.cost)
    facts = [("spans", f"{len(trace.data.spans):,}")]
    if isinstance(tokens, int):
        facts.append(("tokens", f"{tokens:,}"))
    if cost:
        facts.append(("cost", cost))
    return facts


def _pair_block(pair: SpanPair) -> Markup:
    kind = pair.kind
    label = element(
        "span",
        "ts-label",
        element("span", "ts-indent", style=f"--ts-depth:{min(pair.depth, 24)}"),
        element("span", "ts-fold"),
        element("span", "ts-span-name", line(pair.name) or "unnamed span"),
        " ",
        *((mark(_KINDS[kind], _said(pair)),) if kind != "same" else ()),
    )
    first, second = pair.durations_ns
    tokens = [
        element("span", "ts-duration ts-tokens", "" if count is None else f"{count:,}")
        for count in pair.tokens
    ]
    durations = [
        element("span", "ts-duration", text)
        for text in (duration_text(first), duration_text(second), _change_text(first, second))
    ]
    cells = [label, *tokens, *durations]
    summary = element("summary", "ts-row ts-pair", *(join([cell, " "]) for cell in cells))
    return element("details", "ts-span", summary, element("div", "ts-details", *_sections(pair)))


def _said(pair: SpanPair) -> str:
    return pair.kind if pair.kind != "changed" else ", ".join(pair.changes)


def _change_text(first: int | None, second: int | None) -> str:
    """Return how much longer the second took, in percent of the first."""
    if not first or second is None:
        return ""
    return f"{100 * (second - first) / first:+.0f} %"


def _sections(pair: SpanPair) -> list[Markup]:
    status = [
        element("span", "", f"{name}: {span.status.status_code} {line(span.status.description)}")
        for name, span in (("A", pair.a), ("B", pair.b))
        if span is not None
    ]
    tokens = [
        f"{name}: {count_text(count, 'token')}"
        for name, count in zip("AB", pair.tokens, strict=True)
        if count is not None
    ]
    costs = [
        f"{name}: {cost_text({'total_cost': cost})}"
        for name, cost in zip("AB", pair.costs, strict=True)
        if cost is not None
    ]
    facts = [element("span", "", each) for each in [*tokens, *costs]]
    sections = [element("div", "ts-facts", *(join([each, " "]) for each in [*status, *facts]))]
    for name in _PAYLOADS:
        lines = pair.text_difference(name)
        if lines:
            sections.append(
                element(
                    "div",
                    "ts-section",
                    element("div", "ts-heading", name),
                    element("div", "ts-sides", _lines(lines, "-"), _lines(lines, "+")),
                    *more(len(lines) - _MAX_LINES, "line"),
                )
            )
    return sections


def _lines(lines: Sequence[str], sign: str) -> Markup:
    kind = "ts-removed" if sign == "-" else "ts-added"
    shown = [cut(each[2:], _MAX_LINE) for each in lines[:_MAX_LINES] if each[0] == sign]
    if not shown:
        return element("div", "ts-note", "nothing")
    return element("div", f"ts-outline {kind}", "\n".join(shown))


# Text ------------------------------------------------------------------------------------------------------


def difference_text(difference: TraceDiff, width: int = 100) -> str:
    """Return both traces' totals, then each step: =, ~ changed, - only in a, + only in b; then what changed."""
    width = max(MIN_WIDTH, width)
    lines = [_total_line("a", difference.a), _total_line("b", difference.b), ""]
    name_cells = width - 3 * 11 - 2
    for pair in difference.pairs[:_MAX_PAIRS]:
        lines += _pair_lines(pair, name_cells)
    rest = len(difference.pairs) - _MAX_PAIRS
    if rest > 0:
        lines.append(f"… {count_text(rest, 'more step')}")
    return "\n".join(fit(each, width).rstrip() for each in lines)


def _total_line(label: str, trace: Trace) -> str:
    info = trace.info
    duration = duration_text(
        None if info.execution_duration is None else info.execution_duration * NS_PER_MS
    )
    facts = ", ".join(f"{value} {key}" for key, value in _facts(trace))
    return (
        f"{label} {line(info.trace_id)}  {info.state}  {duration}  {facts}  {line(info.name, 60)}"
    )


def _pair_lines(pair: SpanPair, name_cells: int) -> list[str]:
    first, second = pair.durations_ns
    label = f"{_MARKS[pair.kind]} {'  ' * min(pair.depth, 16)}{line(pair.name) or 'unnamed span'}"
    if pair.kind == "changed":
        label += f" ({', '.join(pair.changes)})"
    numbers = (duration_text(first), duration_text(second), _change_text(first, second))
    found = [f"{pad(label, name_cells)} {''.join(f'{each:>11}' for each in numbers)}"]
    for name in _PAYLOADS:
        if name in pair.changes:
            changed = pair.text_difference(name)
            indent = "  " * (min(pair.depth, 16) + 2)
            found += [f"{indent}{line(each, 300)}" for each in changed[:6]]
            if len(changed) > 6:
                found.append(f"{indent}… {count_text(len(changed) - 6, 'more line')}")
    return found
