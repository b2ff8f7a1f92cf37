"""What MLflow offers for tracing: names, parameters, defaults, members, as it says of itself.

    python -m tests.peer_mlflow.surface [--write]

Run with MLflow installed. Compares surface.json, which tests/test_surface.py holds this package against, with
MLflow, and fails where they differ; with --write it writes the file anew. Which names count is said here.
"""

from __future__ import annotations

import argparse
import enum
import importlib
import inspect
import json
import pathlib
import pkgutil
import sys
from typing import Any

PAGE = pathlib.Path(__file__).with_name("surface.json")

#: Functions of `mlflow` that are about traces, experiments or the process as a whole.
FUNCTIONS = [
    "add_trace",
    "clear_active_model",
    "context",
    "create_experiment",
    "delete_assessment",
    "delete_experiment",
    "delete_experiment_tag",
    "delete_trace_tag",
    "flush_trace_async_logging",
    "get_active_model_id",
    "get_active_trace_id",
    "get_assessment",
    "get_current_active_span",
    "get_experiment",
    "get_experiment_by_name",
    "get_last_active_trace_id",
    "get_trace",
    "get_tracking_uri",
    "is_tracking_uri_set",
    "log_assessment",
    "log_expectation",
    "log_feedback",
    "log_trace",
    "override_feedback",
    "restore_experiment",
    "search_experiments",
    "search_sessions",
    "search_traces",
    "set_active_model",
    "set_experiment",
    "set_experiment_tag",
    "set_experiment_tags",
    "set_trace_tag",
    "set_tracking_uri",
    "start_span",
    "start_span_no_context",
    "trace",
    "update_assessment",
    "update_current_trace",
]

TRACING = [
    "configure",
    "context",
    "disable",
    "disable_notebook_display",
    "enable",
    "enable_notebook_display",
    "get_tracing_context_headers_for_http_request",
    "reset",
    "set_destination",
    "set_span_chat_tools",
    "set_tracing_context_from_http_request_headers",
]

CLIENT = [
    "__init__",
    "create_experiment",
    "delete_experiment",
    "delete_experiment_tag",
    "delete_trace_tag",
    "delete_traces",
    "end_span",
    "end_trace",
    "get_experiment",
    "get_experiment_by_name",
    "get_trace",
    "link_prompt_versions_to_trace",
    "link_traces_to_run",
    "rename_experiment",
    "restore_experiment",
    "search_experiments",
    "search_traces",
    "set_experiment_tag",
    "set_trace_tag",
    "start_span",
    "start_trace",
    "tracking_uri",
    "unlink_traces_from_run",
]

#: Entities, and whether programs make them themselves.
ENTITIES = {
    "AssessmentError": True,
    "AssessmentSource": True,
    "AssessmentSourceType": False,
    "Document": True,
    "Expectation": True,
    "Experiment": False,
    "ExperimentTag": True,
    "Feedback": True,
    "LifecycleStage": False,
    "Link": True,
    "LiveSpan": False,
    "MlflowExperimentLocation": True,
    "NoOpSpan": False,
    "Session": False,
    "Span": False,
    "SpanEvent": True,
    "SpanLogLevel": False,
    "SpanStatus": True,
    "SpanStatusCode": False,
    "SpanType": False,
    "Trace": True,
    "TraceData": False,
    "TraceInfo": True,
    "TraceLocation": False,
    "TraceLocationType": False,
    "TraceState": False,
    "ViewType": False,
}

#: Members that are about MLflow's own wire formats and views, about Databricks, or about its registry.
_WIRE = (
    *("proto", "otel", "v2", "databricks", "to_json_bytes", "view_type", "is_valid"),
    *("from_immutable_span", "from_string", "to_string", "from_dictionary"),
)


def signature_of(function: Any) -> str:
    """Return a callable's parameters and their defaults, without types."""
    parameters = []
    star = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parameters.append("*")
            star = True
        default = "" if parameter.default is parameter.empty else f"={_shown(parameter.default)}"
        parameters.append(f"{parameter.name}{default}")
    return f"({', '.join(parameters)})"


def _shown(default: Any) -> str:
    return repr(default) if isinstance(default, (str, int, float, type(None))) else "…"


def members_of(kind: type, made: bool) -> dict[str, str | None]:
    """Return the public members of a class: a method's parameters, an enumeration's values, else None."""
    found: dict[str, str | None] = {}
    if made:
        found["__init__"] = signature_of(kind)
    for name in sorted(set(dir(kind)) | set(getattr(kind, "__dataclass_fields__", ()))):
        if name.startswith("_") or any(part in name for part in _WIRE):
            continue
        value = getattr(kind, name, None)
        if issubclass(kind, enum.Enum) and isinstance(value, enum.Enum):
            found[name] = repr(value.value)
        elif (issubclass(kind, enum.Enum) and name in dir(str)) or (
            issubclass(kind, enum.Enum) and name in dir(int)
        ):
            continue
        elif isinstance(value, str) and name not in getattr(kind, "__dataclass_fields__", ()):
            found[name] = repr(value)
        elif callable(value):
            found[name] = "(…)" if name.startswith("from_") else signature_of(value)
        else:
            found[name] = None
    return found


def surface_of(package: str) -> dict[str, Any]:
    """Return what a package offers of all this: "mlflow", or one that says it is like it."""
    top, tracing, entities = (
        importlib.import_module(f"{package}{part}") for part in ("", ".tracing", ".entities")
    )
    client = top.MlflowClient
    return {
        "functions": {name: signature_of(getattr(top, name)) for name in FUNCTIONS},
        "tracing": {name: signature_of(getattr(tracing, name)) for name in TRACING},
        "client": {
            name: signature_of(value) if callable(value := getattr(client, name)) else None
            for name in CLIENT
        },
        "entities": {
            name: members_of(getattr(entities, name), made) for name, made in ENTITIES.items()
        },
    }


def names_beyond() -> dict[str, list[str]]:
    """Return what MLflow has that is not about traces: names of the module, of its client, of its entities."""
    mlflow: Any = importlib.import_module("mlflow")
    entities: Any = importlib.import_module("mlflow.entities")
    tracing: Any = importlib.import_module("mlflow.tracing")
    modules = [module.name for module in pkgutil.iter_modules(mlflow.__path__)]
    return {
        "module": _public([*mlflow.__all__, *modules]),
        "client": _public(dir(mlflow.MlflowClient)),
        "entities": _public(entities.__all__),
        "tracing": _public(tracing.__all__),
    }


def _public(names: Any) -> list[str]:
    return sorted(name for name in set(names) if not name.startswith("_"))


def main() -> int:
    """Compare the file with MLflow, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    page = surface_of("mlflow") | {"names": names_beyond()}
    if parser.parse_args().write:
        PAGE.write_text(
            json.dumps(page, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
        )
    same = bool(json.loads(PAGE.read_text("utf-8")) == page)
    names = sum(len(page[part]) for part in ("functions", "tracing", "client"))
    members = sum(len(of) for of in page["entities"].values())
    print(
        f"{names} functions and methods, {members} members of {len(ENTITIES)} entities of MLflow: "
        f"{'as written down' if same else 'NOT as in surface.json'}"
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
