"""The page of an operator: what happened, when, in which version, what is slow, what fails, who uses it.

Knows what is worth asking, and asks a store's `metrics`. Sections come one after the other, the cheap ones first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tracestore.answers import Answer

#: Tags and metadata that say a version, in the order they are looked for.
VERSIONS = (
    "tags.app_version",
    "tags.version",
    "metadata.mlflow.modelId",
    "metadata.mlflow.source.git.commit",
)

_TOTALS = (
    "count", "error_rate", "p50", "p95", "p99", "tokens_input", "tokens_output", "cost", "users",
    "sessions", "throughput",
)  # fmt: skip
_OVER_TIME = ("count", "error_rate", "p50", "p95", "tokens_total", "cost")
_TOP = 10

#: Buckets that a page has about so many of.
_BUCKETS = 30
_STEPS = ("1m", "5m", "15m", "1h", "3h", "6h", "1d", "1w", "4w")
_STEP_S = (60, 300, 900, 3600, 10_800, 21_600, 86_400, 604_800, 2_419_200)


def overview(
    metrics: Callable[..., Answer], asked: dict[str, Any], extent_ms: tuple[int, int]
) -> Iterator[Answer]:
    """Yield the sections, each an answer with a title; those without a row are left out.

    Args:
        metrics: A store's `metrics`.
        asked: Its arguments that choose traces: filter_string, start, end, zone, experiment_ids.
        extent_ms: When the first and the last of these traces start.
    """

    def section(title: str, names: tuple[str, ...], **more: Any) -> Iterator[Answer]:
        found = metrics(list(names), **{**asked, **more})
        if len(found):
            yield Answer(found.columns, found.tuples(), title, found.notes)

    def top(
        title: str, names: tuple[str, ...], by: str | list[str], order: str
    ) -> Iterator[Answer]:
        for found in section(title, names, group_by=by, order_by=order, max_results=_TOP):
            by_errors = order == "errors DESC"
            rows = [
                row
                for row in found.tuples()
                if row[0] is not None and (row[found.names.index("errors")] if by_errors else True)
            ]
            if rows:
                yield Answer(found.columns, rows, title, found.notes)

    figures = ("count", "error_rate", "p95", "tokens_total", "cost")
    yield from section("All traces", _TOTALS)
    yield from section("Over time", _OVER_TIME, every=step_for(extent_ms))
    yield from _versions(section, figures)
    yield from top("Names", figures, "name", "count DESC")
    yield from top("Users", figures, "user", "count DESC")
    yield from top("Sessions", figures, "session", "count DESC")
    yield from top("Tokens by model", ("tokens_input", "tokens_output", "tokens_total", "cost"), "span.model", "tokens_total DESC")  # fmt: skip
    yield from top("Slowest spans", ("count", "p50", "p95", "latency_max"), ["span.name", "span.type"], "p95 DESC")  # fmt: skip
    yield from top("Failing spans", ("count", "errors", "error_rate"), ["span.name", "span.type"], "errors DESC")  # fmt: skip


def _versions(section: Callable[..., Iterator[Answer]], names: tuple[str, ...]) -> Iterator[Answer]:
    """Yield the figures by the first field that says a version in any of the traces."""
    for field in VERSIONS:
        for found in section(f"By {field}", names, group_by=field, max_results=_TOP * 3):
            if found[field] != [None]:
                yield found
                return


def step_for(extent_ms: tuple[int, int]) -> str:
    """Return the length of buckets of which about thirty cover the time.

    Example:
        >>> step_for((0, 86_400_000))
        '1h'
    """
    length_s = max(0, extent_ms[1] - extent_ms[0]) / 1_000
    for step, step_s in zip(_STEPS, _STEP_S, strict=True):
        if length_s / step_s <= _BUCKETS:
            return step
    return f"{max(1, int(length_s / _BUCKETS / 86_400))}d"
