"""tracestore: an embedded, single-file SQLite trace store for programs that call language models.

`import tracestore as mlflow` and code written for MLflow Tracing runs unchanged.

The names are loaded when they are first used (PEP 562), so that importing costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracestore import anthropic as anthropic
    from tracestore import bedrock as bedrock
    from tracestore import crewai as crewai
    from tracestore import dspy as dspy
    from tracestore import entities as entities
    from tracestore import gemini as gemini
    from tracestore import groq as groq
    from tracestore import langchain as langchain
    from tracestore import litellm as litellm
    from tracestore import llama_index as llama_index
    from tracestore import mistral as mistral
    from tracestore import openai as openai
    from tracestore import otel as otel
    from tracestore import smolagents as smolagents
    from tracestore import tracing as tracing
    from tracestore import tracking as tracking
    from tracestore.autologging import autolog as autolog
    from tracestore.capture.active_model import clear_active_model as clear_active_model
    from tracestore.capture.active_model import get_active_model_id as get_active_model_id
    from tracestore.capture.active_model import set_active_model as set_active_model
    from tracestore.capture.assessments import delete_assessment as delete_assessment
    from tracestore.capture.assessments import get_assessment as get_assessment
    from tracestore.capture.assessments import log_assessment as log_assessment
    from tracestore.capture.assessments import log_expectation as log_expectation
    from tracestore.capture.assessments import log_feedback as log_feedback
    from tracestore.capture.assessments import override_feedback as override_feedback
    from tracestore.capture.assessments import update_assessment as update_assessment
    from tracestore.capture.decorator import trace as trace
    from tracestore.capture.experiments import create_experiment as create_experiment
    from tracestore.capture.experiments import delete_experiment as delete_experiment
    from tracestore.capture.experiments import delete_experiment_tag as delete_experiment_tag
    from tracestore.capture.experiments import get_experiment as get_experiment
    from tracestore.capture.experiments import get_experiment_by_name as get_experiment_by_name
    from tracestore.capture.experiments import restore_experiment as restore_experiment
    from tracestore.capture.experiments import search_experiments as search_experiments
    from tracestore.capture.experiments import set_experiment as set_experiment
    from tracestore.capture.experiments import set_experiment_tag as set_experiment_tag
    from tracestore.capture.experiments import set_experiment_tags as set_experiment_tags
    from tracestore.capture.fluent import flush as flush
    from tracestore.capture.fluent import flush_trace_async_logging as flush_trace_async_logging
    from tracestore.capture.fluent import get_active_trace_id as get_active_trace_id
    from tracestore.capture.fluent import get_current_active_span as get_current_active_span
    from tracestore.capture.fluent import get_last_active_trace_id as get_last_active_trace_id
    from tracestore.capture.fluent import open as open  # noqa: A004 - as gzip.open
    from tracestore.capture.fluent import start_span as start_span
    from tracestore.capture.fluent import start_span_no_context as start_span_no_context
    from tracestore.capture.fluent import stats as stats
    from tracestore.capture.fluent import update_current_trace as update_current_trace
    from tracestore.capture.merging import add_trace as add_trace
    from tracestore.capture.merging import log_trace as log_trace
    from tracestore.capture.questions import compare as compare
    from tracestore.capture.questions import correlate as correlate
    from tracestore.capture.questions import metrics as metrics
    from tracestore.capture.scope import context as context
    from tracestore.capture.sessions import get_session as get_session
    from tracestore.capture.sessions import search_sessions as search_sessions
    from tracestore.capture.stored import count_traces as count_traces
    from tracestore.capture.stored import delete_trace_tag as delete_trace_tag
    from tracestore.capture.stored import explain as explain
    from tracestore.capture.stored import get_last_active_trace as get_last_active_trace
    from tracestore.capture.stored import get_trace as get_trace
    from tracestore.capture.stored import search_traces as search_traces
    from tracestore.capture.stored import set_trace_tag as set_trace_tag
    from tracestore.client import MlflowClient as MlflowClient
    from tracestore.errors import FilterSyntaxError as FilterSyntaxError
    from tracestore.errors import TracestoreError as TracestoreError
    from tracestore.evaluation.evaluate import evaluate as evaluate
    from tracestore.evaluation.monitor import monitor as monitor
    from tracestore.evaluation.scorer import scorer as scorer
    from tracestore.exceptions import MlflowException as MlflowException
    from tracestore.importing import import_traces as import_traces
    from tracestore.runtime import get_tracking_uri as get_tracking_uri
    from tracestore.runtime import is_tracking_uri_set as is_tracking_uri_set
    from tracestore.runtime import set_tracking_uri as set_tracking_uri
    from tracestore.store import Store as Store
    from tracestore.store import repair as repair
    from tracestore.viewing import diff as diff
    from tracestore.viewing import explore as explore
    from tracestore.viewing import report as report

__version__ = "0.1.0"

#: Where each public name lives: module, and its name there where that differs.
_HOMES: dict[str, tuple[str, ...]] = {
    "tracestore.autologging": ("autolog",),
    "tracestore.capture.active_model": (
        "clear_active_model",
        "get_active_model_id",
        "set_active_model",
    ),
    "tracestore.capture.assessments": (
        "delete_assessment",
        "get_assessment",
        "log_assessment",
        "log_expectation",
        "log_feedback",
        "override_feedback",
        "update_assessment",
    ),
    "tracestore.capture.decorator": ("trace",),
    "tracestore.capture.experiments": (
        "create_experiment",
        "delete_experiment",
        "delete_experiment_tag",
        "get_experiment",
        "get_experiment_by_name",
        "restore_experiment",
        "search_experiments",
        "set_experiment",
        "set_experiment_tag",
        "set_experiment_tags",
    ),
    "tracestore.capture.fluent": (
        "flush",
        "flush_trace_async_logging",
        "get_active_trace_id",
        "get_current_active_span",
        "get_last_active_trace_id",
        "open",
        "start_span",
        "start_span_no_context",
        "stats",
        "update_current_trace",
    ),
    "tracestore.capture.merging": ("add_trace", "log_trace"),
    "tracestore.capture.questions": ("compare", "correlate", "metrics"),
    "tracestore.capture.scope": ("context",),
    "tracestore.capture.sessions": ("get_session", "search_sessions"),
    "tracestore.capture.stored": (
        "count_traces",
        "delete_trace_tag",
        "explain",
        "get_last_active_trace",
        "get_trace",
        "search_traces",
        "set_trace_tag",
    ),
    "tracestore.client": ("MlflowClient",),
    "tracestore.errors": ("FilterSyntaxError", "TracestoreError"),
    "tracestore.evaluation.evaluate": ("evaluate",),
    "tracestore.evaluation.monitor": ("monitor",),
    "tracestore.evaluation.scorer": ("scorer",),
    "tracestore.exceptions": ("MlflowException",),
    "tracestore.importing": ("import_traces",),
    "tracestore.runtime": ("get_tracking_uri", "is_tracking_uri_set", "set_tracking_uri"),
    "tracestore.store": ("Store", "repair"),
    "tracestore.viewing": ("diff", "explore", "report"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
_SUBMODULES = (
    "anthropic",
    "bedrock",
    "client",
    "crewai",
    "dspy",
    "entities",
    "errors",
    "exceptions",
    "gemini",
    "groq",
    "langchain",
    "litellm",
    "llama_index",
    "mistral",
    "openai",
    "otel",
    "smolagents",
    "tracing",
    "tracking",
)

__all__ = ["__version__", *_HOME_OF, *_SUBMODULES]  # noqa: PLE0604 - all are text


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(importlib.import_module(_HOME_OF[name]), name)
    elif name in _SUBMODULES:
        return importlib.import_module(f"tracestore.{name}")
    else:
        beyond = importlib.import_module("tracestore.beyond")
        raise beyond.attribute_error("module", "module 'tracestore'", name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
