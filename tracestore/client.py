"""`MlflowClient`: the low-level interface, with explicit ids and without the context variable."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

from tracestore.assessments import A
from tracestore.capture.fluent import renamed, start_span_no_context
from tracestore.capture.scope import NO_OP, SpanOptions, start, texts
from tracestore.capture.span import LiveSpan, LiveTrace
from tracestore.entities import (
    AssessmentSource,
    Expectation,
    Experiment,
    Feedback,
    Link,
    PagedList,
    Session,
    SpanStatus,
    SpanStatusCode,
    Trace,
    ViewType,
)
from tracestore.errors import InvalidArgumentError, NotFoundError
from tracestore.ids import NO_OP_TRACE_ID
from tracestore.runtime import runtime
from tracestore.settings import path_of_uri
from tracestore.store import Store

#: What a status may be given as.
Status = SpanStatus | SpanStatusCode | str


class MlflowClient:
    """Traces and spans by explicit id, searches over all experiments, pages.

    Args:
        tracking_uri: A file to read and change instead of the active store. Traces are always recorded
            into the active one.

    Example:
        >>> client = MlflowClient()
        >>> root = client.start_trace("workflow", inputs={"question": "why?"})
        >>> step = client.start_span("step", trace_id=root.trace_id, parent_id=root.span_id)
        >>> client.end_span(step.trace_id, step.span_id, outputs={"answer": 42})
        >>> client.end_trace(root.trace_id)
        >>> client.get_trace(root.trace_id).info.state
        <TraceState.OK: 'OK'>
    """

    def __init__(self, tracking_uri: str | os.PathLike[str] | None = None) -> None:
        self._own_store = (
            None if tracking_uri is None else Store(path_of_uri(os.fspath(tracking_uri)))
        )

    @property
    def _store(self) -> Store:
        return runtime.store if self._own_store is None else self._own_store

    # ------------------------------------------------------------------------ recording

    def start_trace(
        self,
        name: str,
        span_type: str | None = "UNKNOWN",
        inputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        experiment_id: str | None = None,
        start_time_ns: int | None = None,
        run_id: str | None = None,
        links: Sequence[Link] | None = None,
    ) -> LiveSpan:
        """Start a new trace and return its root span, which is not made the current one."""
        span = start(
            None,
            name,
            span_type,
            SpanOptions(
                attributes=attributes,
                experiment_id=experiment_id,
                run_id=run_id,
                links=None if links is None else list(links),
            ),
            root={"tags": texts(tags or {}), "metadata": {}, "start_time_ns": start_time_ns},
        )
        if inputs is not None:
            span.set_inputs(inputs)
        return span

    def start_span(
        self,
        name: str,
        trace_id: str | None = None,
        parent_id: str | None = None,
        span_type: str | None = "UNKNOWN",
        inputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        start_time_ns: int | None = None,
        links: Sequence[Link] | None = None,
        *,
        request_id: str | None = None,
    ) -> LiveSpan:
        """Start a span under one that runs.

        Raises:
            InvalidArgumentError: `trace_id` or `parent_id` is missing.
            NotFoundError: No such span runs in this process.
        """
        trace_id = renamed("request_id", request_id, "trace_id", trace_id)
        if trace_id == NO_OP_TRACE_ID:
            parent: Any = NO_OP
        elif not parent_id:
            raise InvalidArgumentError(
                "parent_id is missing; start_trace starts a span without a parent"
            )
        else:
            parent = self._running_span(trace_id, parent_id)
            if parent is None:
                raise NotFoundError(
                    f"no span {parent_id!r} of trace {trace_id!r} runs in this process"
                )
        return start_span_no_context(
            name,
            span_type,
            parent,
            inputs,
            attributes,
            start_time_ns=start_time_ns,
            links=links,
        )

    def end_span(
        self,
        trace_id: str | None = None,
        span_id: str | None = None,
        outputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        status: Status = "OK",
        end_time_ns: int | None = None,
        *,
        request_id: str | None = None,
    ) -> None:
        """End a span; one that does not run is left alone. An error recorded before stays one."""
        trace_id = renamed("request_id", request_id, "trace_id", trace_id)
        span = self._running_span(trace_id, span_id or "")
        if span is not None:
            _end(span, outputs, attributes, status, end_time_ns)

    def end_trace(
        self,
        trace_id: str | None = None,
        outputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        status: Status = "OK",
        end_time_ns: int | None = None,
        *,
        request_id: str | None = None,
    ) -> None:
        """End a trace by ending its root span; spans below that still run may end later.

        Raises:
            NotFoundError: No such trace runs in this process.
            InvalidArgumentError: It has ended already.
        """
        trace_id = renamed("request_id", request_id, "trace_id", trace_id)
        if trace_id == NO_OP_TRACE_ID:
            return
        trace = self._running_trace(trace_id)
        if trace is None:
            raise NotFoundError(f"no trace {trace_id!r} runs in this process")
        if trace.has_ended:
            raise InvalidArgumentError(f"trace {trace_id!r} has ended already")
        _end(trace.root, outputs, attributes, status, end_time_ns)

    def _running_trace(self, trace_id: str) -> LiveTrace | None:
        return cast("LiveTrace | None", runtime.store.live.get(trace_id))

    def _running_span(self, trace_id: str, span_id: str) -> LiveSpan | None:
        trace = self._running_trace(trace_id)
        return None if trace is None else trace.open_spans.get(span_id)

    # ------------------------------------------------------------------------ reading and changing

    def get_trace(
        self,
        trace_id: str | None = None,
        display: bool = True,
        flush: bool = True,
        *,
        request_id: str | None = None,
    ) -> Trace:
        """Return one trace with its spans; NotFoundError where there is none.

        `display` and `flush` are kept for MLflow programs.
        """
        del display, flush
        return self._store.get_trace(renamed("request_id", request_id, "trace_id", trace_id))

    def search_traces(
        self,
        experiment_ids: Sequence[str] | None = None,
        filter_string: str | None = None,
        max_results: int | None = 100,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
        run_id: str | None = None,
        include_spans: bool = True,
        model_id: str | None = None,
        locations: Sequence[str] | None = None,
        flush: bool = True,
    ) -> PagedList[Trace]:
        """Return traces of all experiments (or of those given) that meet a filter, newest first.

        Otherwise as Store.search_traces. `locations` is the newer name of `experiment_ids`; `flush` is kept
        for MLflow programs.
        """
        del flush
        return self._store.search_traces(
            filter_string,
            experiment_ids=experiment_ids if locations is None else locations,
            max_results=max_results,
            order_by=order_by,
            page_token=page_token,
            include_spans=include_spans,
            run_id=run_id,
            model_id=model_id,
        )

    def search_sessions(self, filter_string: str | None = None, **search: Any) -> list[Session]:
        """Return sessions of all experiments, the newest first; see Store.search_sessions."""
        return self._store.search_sessions(filter_string, **search)

    def delete_traces(
        self,
        experiment_id: str,
        max_timestamp_millis: int | None = None,
        max_traces: int | None = None,
        trace_ids: Sequence[str] | None = None,
        request_ids: Sequence[str] | None = None,
    ) -> int:
        """Delete traces; see Store.delete_traces. `request_ids` is the older name of `trace_ids`."""
        return self._store.delete_traces(
            experiment_id, max_timestamp_millis, max_traces, trace_ids or request_ids
        )

    def set_trace_tag(
        self,
        trace_id: str | None = None,
        key: str = "",
        value: Any = "",
        *,
        request_id: str | None = None,
    ) -> None:
        """Set one tag; see Store.set_trace_tag."""
        self._store.set_trace_tag(
            renamed("request_id", request_id, "trace_id", trace_id), key, value
        )

    def delete_trace_tag(
        self, trace_id: str | None = None, key: str = "", *, request_id: str | None = None
    ) -> None:
        """Delete one tag; see Store.delete_trace_tag."""
        self._store.delete_trace_tag(renamed("request_id", request_id, "trace_id", trace_id), key)

    # ------------------------------------------------------------------------ assessments

    def log_feedback(
        self,
        trace_id: str,
        name: str = "feedback",
        value: Any = None,
        source: AssessmentSource | None = None,
        **more: Any,
    ) -> Feedback:
        """Store feedback on a trace; see Store.log_feedback."""
        return self._store.log_feedback(trace_id, name, value, source, **more)

    def log_expectation(
        self,
        trace_id: str,
        name: str,
        value: Any,
        source: AssessmentSource | None = None,
        **more: Any,
    ) -> Expectation:
        """Store what the right answer would have been; see Store.log_expectation."""
        return self._store.log_expectation(trace_id, name, value, source, **more)

    def log_assessment(self, trace_id: str, assessment: A) -> A:
        """Store a Feedback or Expectation; see Store.log_assessment."""
        return self._store.log_assessment(trace_id, assessment)

    def get_assessment(self, trace_id: str, assessment_id: str) -> Feedback | Expectation:
        """Return one assessment; see Store.get_assessment."""
        return self._store.get_assessment(trace_id, assessment_id)

    def update_assessment(self, trace_id: str, assessment_id: str, assessment: A) -> A:
        """Change an assessment in place; see Store.update_assessment."""
        return self._store.update_assessment(trace_id, assessment_id, assessment)

    def override_feedback(
        self,
        trace_id: str,
        assessment_id: str,
        value: Any,
        rationale: str | None = None,
        source: AssessmentSource | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Feedback:
        """Store feedback that takes the place of another; see Store.override_feedback."""
        return self._store.override_feedback(
            trace_id, assessment_id, value, rationale, source, metadata
        )

    def delete_assessment(self, trace_id: str, assessment_id: str) -> None:
        """Delete an assessment; see Store.delete_assessment."""
        self._store.delete_assessment(trace_id, assessment_id)

    # ------------------------------------------------------------------------ experiments

    def create_experiment(
        self,
        name: str,
        artifact_location: str | None = None,
        tags: dict[str, Any] | None = None,
    ) -> str:
        """Make an experiment and return its id; see Store.create_experiment."""
        return self._store.create_experiment(name, artifact_location, tags)

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment by id; NotFoundError where there is none."""
        return self._store.get_experiment(experiment_id)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return an experiment by its exact name, None where there is none."""
        return self._store.get_experiment_by_name(name)

    def search_experiments(
        self, view_type: int = ViewType.ACTIVE_ONLY, max_results: int | None = 1000
    ) -> PagedList[Experiment]:
        """Return experiments, the newest first; see Store.search_experiments."""
        return self._store.search_experiments(view_type, max_results)


def _end(
    span: LiveSpan,
    outputs: Any,
    attributes: Mapping[str, Any] | None,
    status: Status,
    end_time_ns: int | None,
) -> None:
    """End a span; the default status "OK" does not cover up an error that was recorded before."""
    kept = None if status == "OK" and span.failed else status
    span.end(outputs=outputs, attributes=attributes, status=kept, end_time_ns=end_time_ns)
