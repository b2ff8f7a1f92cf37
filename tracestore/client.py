"""`MlflowClient`: the low-level interface, with explicit ids and without the context variable."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, cast

from tracestore.arguments import checked, shown
from tracestore.assessments import A
from tracestore.beyond import attribute_error
from tracestore.capture.documentation import documented_as
from tracestore.capture.fluent import start_span_no_context
from tracestore.capture.live_trace import LiveTrace
from tracestore.capture.older_names import takes
from tracestore.capture.scope import NO_OP, SpanOptions, listed, start, texts
from tracestore.capture.span import LiveSpan
from tracestore.entities import (
    AssessmentError,
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
    TraceState,
    ViewType,
)
from tracestore.errors import InvalidArgumentError, NotFoundError
from tracestore.ids import NO_OP_TRACE_ID
from tracestore.runtime import runtime
from tracestore.settings import path_of_uri
from tracestore.store import Store

#: Metadata that names the run a trace belongs to, and the tag that names the prompts it used.
RUN_KEY = "mlflow.sourceRun"
PROMPTS_KEY = "mlflow.linkedPrompts"

#: What a status may be given as.
Status = SpanStatus | SpanStatusCode | str


class MlflowClient:
    """Traces and spans by explicit id, searches over all experiments, pages.

    Args:
        tracking_uri: A file to read and change instead of the active store. Traces are always recorded
            into the active one.
        registry_uri: Kept for MLflow programs; there is no registry.
        workspace_store_uri: Likewise; there are no workspaces.

    Example:
        >>> client = MlflowClient()
        >>> root = client.start_trace("workflow", inputs={"question": "why?"})
        >>> step = client.start_span("step", trace_id=root.trace_id, parent_id=root.span_id)
        >>> client.end_span(step.trace_id, step.span_id, outputs={"answer": 42})
        >>> client.end_trace(root.trace_id)
        >>> client.get_trace(root.trace_id).info.state
        <TraceState.OK: 'OK'>
    """

    def __init__(
        self,
        tracking_uri: str | os.PathLike[str] | None = None,
        registry_uri: str | None = None,
        workspace_store_uri: str | None = None,
    ) -> None:
        del registry_uri, workspace_store_uri
        self._own_store = None if tracking_uri is None else Store(path_of_uri(tracking_uri))

    def __getattr__(self, name: str) -> NoReturn:
        raise attribute_error("client", f"{type(self).__name__!r} object", name)

    @property
    def tracking_uri(self) -> str:
        """The file that this client reads and changes, as a `sqlite:///path` URI."""
        return f"sqlite:///{self._store.path}"

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
                links=listed(links),
            ),
            root={"tags": texts(tags or {}), "metadata": {}, "start_time_ns": start_time_ns},
        )
        if inputs is not None:
            span.set_inputs(inputs)
        return span

    @takes(request_id="trace_id")
    def start_span(
        self,
        name: str,
        trace_id: str,
        parent_id: str,
        span_type: str | None = "UNKNOWN",
        inputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        start_time_ns: int | None = None,
        links: Sequence[Link] | None = None,
    ) -> LiveSpan:
        """Start a span under one that runs.

        Raises:
            InvalidArgumentError: `trace_id` or `parent_id` is missing.
            NotFoundError: No such span runs in this process.
        """
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
                    f"no span {shown(parent_id)} of trace {shown(trace_id)} runs in this process"
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

    @takes(request_id="trace_id")
    def end_span(
        self,
        trace_id: str,
        span_id: str,
        outputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        status: Status = "OK",
        end_time_ns: int | None = None,
    ) -> None:
        """End a span; one that does not run is left alone. An error recorded before stays one."""
        span = self._running_span(trace_id, span_id)
        if span is not None:
            _end(span, outputs, attributes, status, end_time_ns)

    @takes(request_id="trace_id")
    def end_trace(
        self,
        trace_id: str,
        outputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        status: Status = "OK",
        end_time_ns: int | None = None,
    ) -> None:
        """End a trace by ending its root span; spans below that still run may end later.

        Raises:
            NotFoundError: No such trace runs in this process.
            InvalidArgumentError: It has ended already.
        """
        if trace_id == NO_OP_TRACE_ID:
            return
        trace = self._running_trace(trace_id)
        if trace is None and not self._is_stored(trace_id):
            raise NotFoundError(f"no trace {shown(trace_id)} runs in this process")
        if trace is None or trace.has_ended:
            raise InvalidArgumentError(f"trace {trace_id!r} has ended already")
        _end(trace.root, outputs, attributes, status, end_time_ns)

    def _running_trace(self, trace_id: str) -> LiveTrace | None:
        known = isinstance(trace_id, str)  # else it may have no hash
        return cast("LiveTrace | None", runtime.store.live.get(trace_id) if known else None)

    def _is_stored(self, trace_id: str) -> bool:
        try:
            return self._store.get_trace(trace_id).info.state is not TraceState.IN_PROGRESS
        except NotFoundError:
            return False

    def _running_span(self, trace_id: str, span_id: str) -> LiveSpan | None:
        trace = self._running_trace(trace_id)
        known = trace is not None and isinstance(span_id, str)
        return trace.open_spans.get(span_id) if trace is not None and known else None

    # ------------------------------------------------------------------------ reading and changing

    @takes(request_id="trace_id")
    def get_trace(self, trace_id: str, display: bool = True, flush: bool = False) -> Trace:
        """Return one trace with its spans; NotFoundError where there is none.

        `display` and `flush` are kept for MLflow programs.
        """
        del display, flush
        return self._store.get_trace(trace_id)

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
        flush: bool = False,
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

    @documented_as(Store.search_sessions)
    def search_sessions(
        self, filter_string: str | None = None, **search: Any
    ) -> PagedList[Session]:
        """Return sessions of all experiments, the newest first."""
        return self._store.search_sessions(filter_string, **search)

    @takes(request_ids="trace_ids")
    @documented_as(Store.delete_traces)
    def delete_traces(
        self,
        experiment_id: str,
        max_timestamp_millis: int | None = None,
        max_traces: int | None = None,
        trace_ids: Sequence[str] | None = None,
    ) -> int:
        """Delete traces of one experiment, by id or up to a time, oldest first; return how many."""
        return self._store.delete_traces(experiment_id, max_timestamp_millis, max_traces, trace_ids)

    @takes(request_id="trace_id")
    @documented_as(Store.set_trace_tag)
    def set_trace_tag(self, trace_id: str, key: str, value: Any) -> None:
        """Set one tag of a trace, running or stored."""
        self._store.set_trace_tag(trace_id, key, value)

    @takes(request_id="trace_id")
    @documented_as(Store.delete_trace_tag)
    def delete_trace_tag(self, trace_id: str, key: str) -> None:
        """Delete one tag of a trace, running or stored."""
        self._store.delete_trace_tag(trace_id, key)

    def link_traces_to_run(self, trace_ids: Sequence[str], run_id: str) -> None:
        """Make stored traces belong to a run of some other tool: `run_id = …` finds them.

        A trace belongs to one run; this one takes the place of another.

        Raises:
            NotFoundError: There is no such trace.
        """
        self._store.set_metadata(trace_ids, RUN_KEY, run_id)

    def unlink_traces_from_run(self, trace_ids: Sequence[str], run_id: str) -> None:
        """Have stored traces belong to no run, where they belong to this one."""
        self._store.delete_metadata(trace_ids, RUN_KEY, run_id)

    @checked
    def link_prompt_versions_to_trace(self, prompt_versions: Sequence[Any], trace_id: str) -> None:
        """Note which prompts a trace used: tag `mlflow.linkedPrompts`, which `prompt = 'name/version'` finds.

        Args:
            prompt_versions: Objects with `name` and `version`.
            trace_id: The trace.

        Raises:
            NotFoundError: There is no such trace.
        """
        before = self._store.get_trace(trace_id).info.tags.get(PROMPTS_KEY, "[]")
        prompts = json.loads(before)
        for version in prompt_versions:
            if not (hasattr(version, "name") and hasattr(version, "version")):
                raise InvalidArgumentError(
                    f"a prompt version is {shown(version)}; it must have a name and a version"
                )
            prompt = {"name": str(version.name), "version": str(version.version)}
            if prompt not in prompts:
                prompts.append(prompt)
        self._store.set_trace_tag(trace_id, PROMPTS_KEY, json.dumps(prompts))

    # ------------------------------------------------------------------------ assessments

    @documented_as(Store.log_feedback)
    def log_feedback(
        self,
        trace_id: str,
        name: str = "feedback",
        value: Any = None,
        source: AssessmentSource | None = None,
        error: AssessmentError | BaseException | str | None = None,
        rationale: str | None = None,
        metadata: dict[str, Any] | None = None,
        span_id: str | None = None,
    ) -> Feedback:
        """Store feedback on a trace."""
        return self._store.log_feedback(
            trace_id, name, value, source, error, rationale, metadata, span_id
        )

    @documented_as(Store.log_expectation)
    def log_expectation(
        self,
        trace_id: str,
        name: str,
        value: Any,
        source: AssessmentSource | None = None,
        metadata: dict[str, Any] | None = None,
        span_id: str | None = None,
    ) -> Expectation:
        """Store what the right answer would have been."""
        return self._store.log_expectation(trace_id, name, value, source, metadata, span_id)

    @documented_as(Store.log_assessment)
    def log_assessment(self, trace_id: str, assessment: A) -> A:
        """Store a Feedback or Expectation."""
        return self._store.log_assessment(trace_id, assessment)

    @documented_as(Store.get_assessment)
    def get_assessment(self, trace_id: str, assessment_id: str) -> Feedback | Expectation:
        """Return one assessment."""
        return self._store.get_assessment(trace_id, assessment_id)

    @documented_as(Store.update_assessment)
    def update_assessment(self, trace_id: str, assessment_id: str, assessment: A) -> A:
        """Change an assessment in place."""
        return self._store.update_assessment(trace_id, assessment_id, assessment)

    @documented_as(Store.override_feedback)
    def override_feedback(
        self,
        trace_id: str,
        assessment_id: str,
        value: Any,
        rationale: str | None = None,
        source: AssessmentSource | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Feedback:
        """Store feedback that takes the place of another."""
        return self._store.override_feedback(
            trace_id, assessment_id, value, rationale, source, metadata
        )

    @documented_as(Store.delete_assessment)
    def delete_assessment(self, trace_id: str, assessment_id: str) -> None:
        """Delete an assessment."""
        self._store.delete_assessment(trace_id, assessment_id)

    # ------------------------------------------------------------------------ experiments

    @documented_as(Store.create_experiment)
    def create_experiment(
        self,
        name: str,
        artifact_location: str | None = None,
        tags: dict[str, Any] | None = None,
    ) -> str:
        """Make an experiment and return its id."""
        return self._store.create_experiment(name, artifact_location, tags)

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment by id; NotFoundError where there is none."""
        return self._store.get_experiment(experiment_id)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return an experiment by its exact name, None where there is none."""
        return self._store.get_experiment_by_name(name)

    @documented_as(Store.search_experiments)
    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int | None = 1000,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Experiment]:
        """Return experiments, the newest first."""
        return self._store.search_experiments(
            view_type, max_results, filter_string, order_by, page_token
        )

    @documented_as(Store.rename_experiment)
    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Give an active experiment another name."""
        self._store.rename_experiment(experiment_id, new_name)

    @documented_as(Store.delete_experiment)
    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an experiment as deleted; its traces stay, and `restore_experiment` brings it back."""
        self._store.delete_experiment(experiment_id)

    @documented_as(Store.restore_experiment)
    def restore_experiment(self, experiment_id: str) -> None:
        """Bring a deleted experiment back."""
        self._store.restore_experiment(experiment_id)

    @documented_as(Store.set_experiment_tag)
    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        """Set one tag of an experiment. A value that is no text becomes its `str()`."""
        self._store.set_experiment_tag(experiment_id, key, value)

    @documented_as(Store.delete_experiment_tag)
    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Delete one tag of an experiment."""
        self._store.delete_experiment_tag(experiment_id, key)


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
