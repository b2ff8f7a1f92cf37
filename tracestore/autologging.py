"""Auto-tracing of other libraries by the instrumentors that OpenTelemetry's world has for them.

One table says which package instruments what. `openai` is traced by this package itself, as MLflow's guides show
it, and needs nothing else. Knows no library's interface: an instrumentor gets our tracer provider and makes the
spans. What the application has instrumented itself is left alone.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
from typing import Any, NamedTuple, Protocol

from tracestore.errors import MissingPackageError
from tracestore.runtime import runtime

log = logging.getLogger("tracestore")

#: The entry points by which installed instrumentors are found.
#: Source: https://opentelemetry-python-contrib.readthedocs.io/en/latest/instrumentation/base/instrumentor.html
ENTRY_POINTS = "opentelemetry_instrumentor"


class Library(NamedTuple):
    """A library that can be traced.

    Attributes:
        module: What a program imports.
        package: What brings it.
        instrumentors: Packages that trace it and their `module:class`, the preferred one first.
        own: `module:class` of what switches on the tracing that newer releases of the library itself have;
            taken where no instrumentor is installed.
    """

    module: str
    package: str
    instrumentors: tuple[tuple[str, str], ...]
    own: str | None = None


def _openinference(name: str, class_name: str) -> tuple[str, str]:
    module = name.replace("-", "_")
    return (
        f"openinference-instrumentation-{name}",
        f"openinference.instrumentation.{module}:{class_name}",
    )


def _openllmetry(name: str, class_name: str) -> tuple[str, str]:
    module = name.replace("-", "_")
    return (
        f"opentelemetry-instrumentation-{name}",
        f"opentelemetry.instrumentation.{module}:{class_name}",
    )


#: By the names that MLflow has for them.
#: Sources: https://github.com/Arize-ai/openinference#python and https://github.com/traceloop/openllmetry
LIBRARIES = {
    "anthropic": Library(
        "anthropic",
        "anthropic",
        (
            _openinference("anthropic", "AnthropicInstrumentor"),
            _openllmetry("anthropic", "AnthropicInstrumentor"),
        ),
        "tracestore.otel.anthropic:ClientTracing",
    ),
    "langchain": Library(
        "langchain_core",
        "langchain-core",
        (
            _openinference("langchain", "LangChainInstrumentor"),
            _openllmetry("langchain", "LangchainInstrumentor"),
        ),
    ),
    "llama_index": Library(
        "llama_index.core",
        "llama-index-core",
        (
            _openinference("llama-index", "LlamaIndexInstrumentor"),
            _openllmetry("llamaindex", "LlamaIndexInstrumentor"),
        ),
    ),
    "gemini": Library(
        "google.genai",
        "google-genai",
        (_openinference("google-genai", "GoogleGenAIInstrumentor"),),
    ),
    "mistral": Library(
        "mistralai", "mistralai", (_openinference("mistralai", "MistralAIInstrumentor"),)
    ),
    "bedrock": Library("boto3", "boto3", (_openinference("bedrock", "BedrockInstrumentor"),)),
    "groq": Library("groq", "groq", (_openinference("groq", "GroqInstrumentor"),)),
    "litellm": Library("litellm", "litellm", (_openinference("litellm", "LiteLLMInstrumentor"),)),
    "dspy": Library("dspy", "dspy", (_openinference("dspy", "DSPyInstrumentor"),)),
    "crewai": Library("crewai", "crewai", (_openinference("crewai", "CrewAIInstrumentor"),)),
    "smolagents": Library(
        "smolagents", "smolagents", (_openinference("smolagents", "SmolagentsInstrumentor"),)
    ),
}

#: Instrumentors that were switched on here, by `module:class`.
_active: dict[str, Any] = {}


def autolog(log_traces: bool = True, disable: bool = False, silent: bool = False) -> None:
    """Trace every library for which an instrumentor is installed, and `openai` and `anthropic`, from now on.

    Instrumentors are found by their entry points (`opentelemetry_instrumentor`); of several for one library
    OpenInference's is taken. `openai` is traced by this package itself, `anthropic` by itself where it has no
    instrumentor that works. One that fails is left out, with a warning. Calling this twice changes nothing.

    Args:
        log_traces: False is the same as `disable=True`.
        disable: Stop, and put the libraries' own functions back.
        silent: No warnings.

    Example:
        >>> autolog()
        >>> autolog(disable=True)
    """
    stop = disable or not log_traces
    if _is_installed("openai"):
        from tracestore import openai  # noqa: PLC0415 - only where it is used

        openai.autolog(disable=stop)
    if stop:
        for target in list(_active):
            _stop(target)
        return
    for name, target in _installed().items():
        if name != "openai":
            error = _failure(target)
            own = None if error is None or name not in LIBRARIES else LIBRARIES[name].own
            if error is not None and not (_traces_itself(own) and _failure(str(own)) is None):
                runtime.failures[f"autolog of {name}"] = 1
                if not silent:
                    log.warning("%s is not traced: %s: %s", name, type(error).__name__, error)


class LibraryAutolog(Protocol):
    """The `autolog` of a library's module, such as `tracestore.anthropic.autolog`."""

    def __call__(
        self, log_traces: bool = True, disable: bool = False, silent: bool = False
    ) -> None:
        """Record every call of the library from now on, by the instrumentor that is installed for it.

        Args:
            log_traces: False is the same as `disable=True`.
            disable: Stop recording and put the library's own functions back.
            silent: Kept for MLflow programs; nothing is said here anyway.

        Raises:
            MissingPackageError: The library or every instrumentor for it is not installed, or the installed
                one does not go with the installed library; the message says what to install.

        Example:
            >>> autolog(disable=True)
        """


def autolog_of(name: str, title: str) -> LibraryAutolog:
    """Return what `tracestore.NAME.autolog` is.

    Args:
        name: Of LIBRARIES.
        title: What the library is called in a sentence.
    """

    def autolog(log_traces: bool = True, disable: bool = False, silent: bool = False) -> None:
        del silent
        _trace_library(name, log_traces, disable)

    autolog.__doc__ = (LibraryAutolog.__call__.__doc__ or "").replace("the library", title, 1)
    autolog.__module__ = f"tracestore.{name}"
    autolog.__qualname__ = "autolog"
    return autolog


def _trace_library(name: str, log_traces: bool, disable: bool) -> None:
    library = LIBRARIES[name]
    if disable or not log_traces:
        for target in (*(target for _, target in library.instrumentors), library.own or ""):
            _stop(target)
        return
    if not _is_installed(library.module):
        raise MissingPackageError(
            f"tracing {name} needs the library itself: pip install {library.package}"
        )
    for _, target in library.instrumentors:
        if _is_installed(target.partition(":")[0]):
            _start(target)
            return
    if _traces_itself(library.own):
        _start(str(library.own))
        return
    package = library.instrumentors[0][0]
    raise MissingPackageError(f"tracing {name} needs an instrumentor: pip install {package}")


def _failure(target: str) -> Exception | None:
    """Switch an instrumentor on; return why it could not be, None where it could."""
    try:
        _start(target)
    except Exception as error:  # noqa: BLE001 - another library's instrumentor
        return error
    return None


def _start(target: str) -> None:
    """Switch an instrumentor on with our tracer provider."""
    if target in _active:
        return
    from tracestore.otel import tracer_provider  # noqa: PLC0415 - only where it is used

    module, _, class_name = target.partition(":")
    instrumentor = getattr(importlib.import_module(module), class_name)()
    if instrumentor.is_instrumented_by_opentelemetry:
        return  # by the application
    instrumentor.instrument(tracer_provider=tracer_provider())
    if not instrumentor.is_instrumented_by_opentelemetry:
        needed = ", ".join(instrumentor.instrumentation_dependencies())
        raise MissingPackageError(f"{module} does not go with what is installed; it needs {needed}")
    if class_name == "LangChainInstrumentor":
        from tracestore.otel import langchain  # noqa: PLC0415 - as above

        langchain.nest(instrumentor)
    _active[target] = instrumentor


def _stop(target: str) -> None:
    instrumentor = _active.pop(target, None)
    if instrumentor is not None and instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def _installed() -> dict[str, str]:
    """Return `module:class` by library, of each installed instrumentor or else of the library's own tracing."""
    found: dict[str, str] = {}
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if point.name not in found or point.value.startswith("openinference."):
            found[point.name] = point.value
    for name, library in LIBRARIES.items():
        if name not in found and _is_installed(library.module) and _traces_itself(library.own):
            found[name] = str(library.own)
    return found


def _traces_itself(target: str | None) -> bool:
    """Whether the installed release of a library has the tracing that `target` switches on."""
    if target is None:
        return False
    module, _, class_name = target.partition(":")
    try:
        return bool(getattr(importlib.import_module(module), class_name).is_there())
    except Exception:  # noqa: BLE001 - another library, or OpenTelemetry's is missing
        return False


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a package above it is missing, or odd
        return False
