"""Support: programs that run under MLflow and under tracestore, and what they observe, as JSON.

A program is a function of the library, whichever it is, and of a `See` that takes its observations. It records,
reads back through the public API, and observes nothing that is different in every run: no ids, no times. Knows no
library. Invariant: what a program observes depends on nothing but the library and the program.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

#: Metadata and attributes of the machine, of the run, or of MLflow's own storage.
_OF_THE_RUN = (
    "mlflow.user",
    "mlflow.source",
    "mlflow.trace.size",
    "mlflow.trace_schema",
    "mlflow.traceInputs",
    "mlflow.traceOutputs",
    "mlflow.artifactLocation",
    "mlflow.trace.spansLocation",
    "mlflow.trace.infoFinalized",
    "mlflow.traceRequestId",
    "mlflow.experimentId",
    "mlflow.spanStartTimeNs",
)


@dataclasses.dataclass(frozen=True)
class Program:
    """A program: its name, what it runs, and the environment variables that its process is started with."""

    name: str
    run: Callable[[Any, See], None]
    environment: tuple[tuple[str, str], ...] = ()


#: The label of a program that did not run to its end.
FAILED = "the program itself"

PROGRAMS: dict[str, Program] = {}


def program(
    **environment: str,
) -> Callable[[Callable[[Any, See], None]], Callable[[Any, See], None]]:
    """Register the decorated function as a program that runs with these environment variables."""

    def register(function: Callable[[Any, See], None]) -> Callable[[Any, See], None]:
        name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        PROGRAMS[name] = Program(name, function, tuple(sorted(environment.items())))
        return function

    return register


class See:
    """Takes what one program observes, by label."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.observations: dict[str, Any] = {}

    def __call__(self, label: str, value: Any) -> None:
        """Observe a value; it becomes JSON."""
        assert label not in self.observations, label
        self.observations[label] = plain(value)

    def result(self, label: str, function: Callable[..., Any]) -> Any:
        """Observe what a call returns, or how it fails; return the result, None of a failed one."""
        try:
            value = function()
        except Exception as error:  # noqa: BLE001 - how it fails is the observation
            self(label, self.failure(error))
            return None
        self(label, value)
        return value

    def failure(self, error: BaseException) -> str:
        """Return an error as text: MLflow's own by its code, others by their type."""
        if isinstance(error, self._library.MlflowException):
            return f"fails: {error.error_code}"
        return f"fails: {type(error).__name__}"

    def warned(self, label: str, function: Callable[..., Any]) -> Any:
        """Observe the categories of the warnings that a call gives; return its result."""
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            value = function()
        self(label, sorted({w.category.__name__ for w in seen}))
        return value

    def last(self, label: str | None = None) -> Any:
        """Return the trace that ended last, read back; observe it under `label`, if given."""
        trace_id = self._library.get_last_active_trace_id()
        trace = self._library.get_trace(trace_id, flush=True)
        if label is not None:
            self.trace(label, trace)
        return trace

    def trace(self, label: str, trace: Any) -> None:
        """Observe the parts of a trace that are the same in every run."""
        info = trace.info
        self(f"{label}.state", info.state)
        self(f"{label}.previews", [info.request_preview, info.response_preview])
        self(f"{label}.tags", own(info.tags))
        self(f"{label}.metadata", own(info.trace_metadata))
        self(f"{label}.client_request_id", info.client_request_id)
        self(f"{label}.payloads", [trace.data.request, trace.data.response])
        self(f"{label}.spans", spans_of(trace))


def own(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return tags, metadata or attributes without those of the machine and the run."""
    return {key: value for key, value in values.items() if not key.startswith(_OF_THE_RUN)}


def spans_of(trace: Any) -> list[Any]:
    """Return what is the same in every run of a trace's spans, in the order of their start."""
    names = {span.span_id: span.name for span in trace.data.spans}
    return [
        {
            "name": span.name,
            "type": span.span_type,
            "parent": names.get(span.parent_id),
            "status": [span.status.status_code, span.status.description],
            "inputs": span.inputs,
            "outputs": span.outputs,
            "attributes": own(span.attributes),
            "events": [[event.name, sorted(event.attributes)] for event in span.events],
        }
        for span in sorted(trace.data.spans, key=lambda span: span.start_time_ns)
    ]


def plain(value: Any) -> Any:
    """Return an observation as JSON: enumerations by value, tuples as lists, NaN as text."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(field) for key, field in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(element) for element in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(element) for element in value)
    return f"<{type(value).__name__}>"


def run(library: Any, environment: tuple[tuple[str, str], ...]) -> dict[str, dict[str, Any]]:
    """Run the programs of one environment; return what each observed by its name.

    Each has an experiment of its own, so that no program sees another's traces.
    """
    observed = {}
    for each in PROGRAMS.values():
        if each.environment != environment:
            continue
        see = See(library)
        library.set_experiment(each.name)
        try:
            each.run(library, see)
        except Exception as error:  # noqa: BLE001 - the program goes on with the next one
            see(FAILED, see.failure(error))
        observed[each.name] = see.observations
    return observed
