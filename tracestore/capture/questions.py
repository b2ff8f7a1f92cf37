"""Questions about many traces, asked of the active store: `metrics`, `compare`, `correlate`.

Thin, as fluent.py: each works out which experiment is meant and calls the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracestore.runtime import runtime

if TYPE_CHECKING:
    from tracestore.answers import Answer


def _here(experiment_ids: Sequence[str] | None) -> Sequence[str]:
    """Return the experiments that are meant: the active one where none is named."""
    return [str(runtime.experiment)] if experiment_ids is None else experiment_ids


def metrics(
    metrics: Sequence[str] | str | None = None,
    filter_string: str | None = None,
    group_by: Sequence[str] | str | None = None,
    every: str | None = None,
    *,
    experiment_ids: Sequence[str] | None = None,
    **asked: Any,
) -> Answer:
    """Return figures over all traces that meet a filter, by group and by time; see `Store.metrics`.

    Args:
        metrics: Such as "error_rate", "p95", "sum(tokens.total)", "mean(feedback.score)".
        filter_string: As `search_traces`.
        group_by: Fields such as "tags.app_version", "user", "span.name".
        every: A length of time, such as "1h".
        experiment_ids: Only traces of these experiments; None: of the active one.
        **asked: `zone`, `start`, `end`, `order_by`, `max_results`.

    Example:
        >>> with tracestore.start_span("answer"):
        ...     tracestore.update_current_trace(tags={"version": "2"})
        >>> metrics(["count", "error_rate"], group_by="tags.version")
        tags.version  count  error_rate
        ------------  -----  ----------
        2             1      0.0 %
    """
    return runtime.store.metrics(
        metrics, filter_string, group_by, every, experiment_ids=_here(experiment_ids), **asked
    )


def compare(
    by: Sequence[str] | str,
    metrics: Sequence[str] | str | None = None,
    filter_string: str | None = None,
    *,
    experiment_ids: Sequence[str] | None = None,
    **asked: Any,
) -> Answer:
    """Return groups side by side, with differences, how sure they are, and a sentence each; see `Store.compare`.

    Shares have Newcombe's interval of Wilson scores, means and percentiles the bootstrap's, 95 % each.

    Args:
        by: What is compared, such as "tags.app_version".
        metrics: As `metrics`.
        filter_string: As `search_traces`.
        experiment_ids: Only traces of these experiments; None: of the active one.
        **asked: `baseline`, `start`, `end`.

    Example:
        >>> for version in ("1", "2"):
        ...     with tracestore.start_span("answer"):
        ...         tracestore.update_current_trace(tags={"version": version})
        >>> print(compare("tags.version", ["error_rate"]).notes[0][:53])
        error_rate is 0.0 % in 1 and 0.0 % in 2: the differen
    """
    return runtime.store.compare(
        by, metrics, filter_string, experiment_ids=_here(experiment_ids), **asked
    )


def correlate(
    filter_string: str, *, experiment_ids: Sequence[str] | None = None, **asked: Any
) -> Answer:
    """Return what traces that meet a filter have more often than the others; see `Store.correlate`.

    Args:
        filter_string: Which traces are to be told apart, such as "status = 'ERROR'".
        experiment_ids: Only traces of these experiments; None: of the active one.
        **asked: `within`, `max_results`, `min_count`.

    Example:
        >>> correlate("status = 'ERROR'").notes
        ('0 traces match and 0 do not: there is nothing to compare.',)
    """
    return runtime.store.correlate(filter_string, experiment_ids=_here(experiment_ids), **asked)
