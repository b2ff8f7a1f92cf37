"""Settings: one frozen struct, resolved once when the first trace or store is wanted.

Order of precedence: what the program sets by a call (`set_tracking_uri`, `configure`), then `TRACESTORE_…`
variables, then the `MLFLOW_…` names that MLflow's guides show, then the default. A value that can't be read
is reported by a warning that names the variable, the value and the rule, and the next source counts: a typo
never turns tracing off in silence.
"""

from __future__ import annotations

import logging
import os
import pathlib
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from tracestore.arguments import shown
from tracestore.errors import InvalidArgumentError

log = logging.getLogger("tracestore")

#: Name of the file in the platform's data directory.
DEFAULT_FILE_NAME = "traces.db"


class Settings(msgspec.Struct, frozen=True):
    """How this process records. See SPECIFICATIONS for names, defaults and rules of each."""

    path: str = ""  # "" stands for default_path(), which costs an import
    async_logging: bool = True
    queue_size: int = 20_000
    retry_timeout_s: float = 500.0
    sampling_ratio: float = 1.0
    experiment_name: str | None = None
    experiment_id: str | None = None
    destination: str | None = None
    active_model_id: str | None = None
    index_text: bool = True
    recorder: bool = True
    durability: str = "process"
    prices: str | None = None
    redact: bool = True
    content: bool = True


class Specification(NamedTuple):
    """One setting: where it may come from and what it may be."""

    field: str
    variables: tuple[str, ...]
    parse: Callable[[str], Any]
    rule: str
    meaning: str
    parse_mlflow: Callable[[str], Any] | None = None  # of MLflow's variable, where that means less
    rule_mlflow: str | None = None


def _boolean(text: str) -> bool:
    known = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
    return known[text.strip().lower()]


def _durability(text: str) -> str:
    value = text.strip().lower()
    if value not in DURABILITIES:
        raise ValueError(text)
    return value


def _ratio(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise ValueError(text)
    return value


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < 1e9:
        raise ValueError(text)
    return value


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError(text)
    return text


def _experiment_id(text: str) -> str:
    value = int(text)
    if not 0 <= value < 2**63:
        raise ValueError(text)
    return str(value)


#: What `flush` may promise that acknowledged records outlive.
DURABILITIES = ("process", "power")

#: What stands for a store that leaves nothing behind.
MEMORY = ":memory:"

#: How a URI begins. Two letters at least: one is a drive of Windows.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


#: Who logs in, and with what, in a URI: up to its last "@", for passwords with an "@" or "/" are seen unescaped.
_CREDENTIALS = re.compile(r"^([A-Za-z][\w+.-]*:)?(//)?(?!/).*@", re.DOTALL)

#: What is asked for in a URI, where keys and passwords are seen too.
_QUERY = re.compile(r"\?.*", re.DOTALL)


def masked(uri: str) -> str:
    """Return `uri` without a user and password and without what follows a "?", for logs and errors.

    Example:
        >>> masked("postgres://ada:l0ve/lace@example.org/db?sslkey=x")
        'postgres://***@example.org/db?***'
    """
    return _QUERY.sub("?***", _CREDENTIALS.sub(_without_credentials, uri))


def _without_credentials(found: re.Match[str]) -> str:
    # Without slashes what looks like a scheme is a user's name.
    return f"{found[1] or ''}//***@" if found[2] else "***@"


def path_of_uri(uri: str | os.PathLike[str]) -> str:
    """Return the file that `uri` names: a `sqlite:///path` URI or a plain path.

    As in SQLAlchemy and MLflow three slashes precede a relative path and four an absolute one, and `sqlite://` is
    ":memory:", a store that is gone when it is closed.

    Raises:
        InvalidArgumentError: Another kind of URI (`http://…`, `databricks`), or no file name.
    """
    uri = os.fspath(uri) if isinstance(uri, os.PathLike) else uri
    if not isinstance(uri, str):
        raise InvalidArgumentError(f"tracking URI is {shown(uri)}; it must be text or a path")
    if uri.startswith("sqlite:"):
        path = uri.removeprefix("sqlite:").split("?", 1)[0]
        path = urllib.parse.unquote(path.removeprefix("///") if path.startswith("///") else "")
        path = MEMORY if uri in ("sqlite://", "sqlite:///") else path
    elif _SCHEME.match(uri) or uri in ("databricks", "databricks-uc"):
        path = ""
    else:
        path = uri
    if path == MEMORY:
        return path
    if not path or "\0" in path:
        raise InvalidArgumentError(
            f"tracking URI {masked(uri)!r} names no file; tracestore records into one SQLite file, "
            "so pass sqlite:///path/to/traces.db or a plain path"
        )
    try:
        return str(pathlib.Path(path).expanduser())
    except RuntimeError as error:  # ~name of nobody
        raise InvalidArgumentError(
            f"tracking URI {masked(uri)!r} can't be resolved: {error}"
        ) from error


def path_of_file(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of a file, as text and without following links.

    Raises:
        InvalidArgumentError: It is no path, or one that no file can have.

    Example:
        >>> path_of_file("")
        Traceback (most recent call last):
        tracestore.errors.InvalidArgumentError: path is ''; it must name a file
    """
    try:
        text = os.fspath(path)
        is_path = isinstance(text, str) and bool(text) and "\0" not in text and bool(text.encode())
    except (TypeError, UnicodeEncodeError):
        is_path = False
    if not is_path:
        raise InvalidArgumentError(f"path is {shown(path)}; it must name a file")
    return os.path.abspath(text)  # noqa: PTH100 - as text, without following links


def path_of_sqlite_uri(uri: str) -> str:
    """Return the file that a `sqlite:` URI names; InvalidArgumentError for anything else, also a path.

    MLflow's programs have `./mlruns` and servers in MLFLOW_TRACKING_URI, which are no files of traces.
    """
    if not uri.startswith("sqlite:"):
        raise InvalidArgumentError(f"{masked(uri)!r} is no sqlite: URI")
    return path_of_uri(uri)


SPECIFICATIONS = (
    Specification(
        "path",
        ("TRACESTORE_DB", "MLFLOW_TRACKING_URI"),
        path_of_uri,
        "a path or a sqlite:/// URI",
        "The file that is recorded into and searched",
        path_of_sqlite_uri,
        "a sqlite:/// URI",
    ),
    Specification(
        "experiment_name",
        ("TRACESTORE_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_NAME"),
        _text,
        "a name, not blank",
        "The active experiment; created if missing",
    ),
    Specification(
        "experiment_id",
        ("TRACESTORE_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_ID"),
        _experiment_id,
        "a decimal number",
        "The active experiment by id, where no name is given",
    ),
    Specification(
        "async_logging",
        ("TRACESTORE_ASYNC", "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"),
        _boolean,
        "true, false, 1 or 0",
        "Write in the background; false: a trace is durable when its root span ends",
    ),
    Specification(
        "queue_size",
        ("TRACESTORE_QUEUE_SIZE", "MLFLOW_ASYNC_TRACE_LOGGING_MAX_QUEUE_SIZE"),
        _positive_int,
        "a whole number from 1",
        "Spans that may wait for the writer (16 MB of payload at most) before callers wait, at most a second, and then drop",
    ),
    Specification(
        "retry_timeout_s",
        ("TRACESTORE_RETRY_TIMEOUT", "MLFLOW_ASYNC_TRACE_LOGGING_RETRY_TIMEOUT"),
        _seconds,
        "seconds, from 0",
        "How long a failing write is retried, with exponential back-off, before it is dropped",
    ),
    Specification(
        "sampling_ratio",
        ("TRACESTORE_SAMPLING_RATIO", "MLFLOW_TRACE_SAMPLING_RATIO"),
        _ratio,
        "a number from 0.0 to 1.0",
        "Share of traces that are recorded, decided when the root span starts",
    ),
    Specification(
        "destination",
        ("TRACESTORE_DESTINATION", "MLFLOW_TRACING_DESTINATION"),
        _experiment_id,
        "a decimal number",
        "The experiment, by id, that traces are recorded into whichever is the active one",
    ),
    Specification(
        "active_model_id",
        ("TRACESTORE_ACTIVE_MODEL_ID", "MLFLOW_ACTIVE_MODEL_ID"),
        _text,
        "text, not blank",
        "Recorded as metadata `mlflow.modelId` of every trace",
    ),
    Specification(
        "index_text",
        ("TRACESTORE_TEXT_INDEX",),
        _boolean,
        "true, false, 1 or 0",
        "Index text for `text` and `span.content` when there is nothing to write",
    ),
    Specification(
        "recorder",
        ("TRACESTORE_RECORDER",),
        _boolean,
        "on or off",
        "Keep what has ended in a spool beside the file until it is written: `kill -9` loses none of it",
    ),
    Specification(
        "durability",
        ("TRACESTORE_DURABILITY",),
        _durability,
        "process or power",
        "What `flush` acknowledges outlives: a killed process, or also a power cut",
    ),
    Specification(
        "prices",
        ("TRACESTORE_PRICES",),
        _text,
        "a path",
        "Your own prices of models, above the bundled ones; by default `prices.json` in the platform's "
        "configuration directory",
    ),
    Specification(
        "redact",
        ("TRACESTORE_REDACT",),
        _boolean,
        "on or off",
        "Replace keys, tokens and passwords, known by name or shape, before anything is kept",
    ),
    Specification(
        "content",
        ("TRACESTORE_CONTENT",),
        _boolean,
        "on or off",
        "off: keep no inputs, outputs, messages and texts of errors, only what happened and how long",
    ),
)


def load(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Return the settings in force: `given` values first, then `environment` (default os.environ).

    A `given` value of None counts as not given. Never raises for a bad variable: it warns.
    """
    environment = os.environ if environment is None else environment
    values = {name: value for name, value in given.items() if value is not None}
    for specification in SPECIFICATIONS:
        if specification.field not in values:
            values.update(_from_environment(specification, environment))
    return Settings(**values)


def _from_environment(
    specification: Specification, environment: Mapping[str, str]
) -> dict[str, Any]:
    for variable in specification.variables:
        text = environment.get(variable)
        if text is None:
            continue
        parse, rule = specification.parse, specification.rule
        if variable.startswith("MLFLOW_"):
            parse = specification.parse_mlflow or parse
            rule = specification.rule_mlflow or rule
        try:
            return {specification.field: parse(text)}
        except (ValueError, KeyError):
            log.warning("%s=%r is ignored: it must be %s", variable, masked(text), rule)
    return {}


def default_path() -> str:
    """Return the file in the platform's data directory, such as ~/.local/share/tracestore/traces.db."""
    import platformdirs  # noqa: PLC0415 - 15 ms, not needed where a path is given

    return str(pathlib.Path(platformdirs.user_data_dir("tracestore", False)) / DEFAULT_FILE_NAME)


def reference_table() -> str:
    """Return the README's table of settings, generated so that it can't drift from the code."""
    lines = [
        "| variable | MLflow's name for it | default | must be | meaning |",
        "|---|---|---|---|---|",
    ]
    defaults = Settings()
    for specification in SPECIFICATIONS:
        default = getattr(defaults, specification.field)
        shown = (
            "the platform's data directory" if specification.field == "path" else _shown(default)
        )
        ours, *theirs = specification.variables
        alias = "".join(f"`{name}`" for name in theirs) or "—"
        rule = specification.rule
        if specification.rule_mlflow is not None:
            rule += f"; MLflow's: {specification.rule_mlflow}"
        lines.append(f"| `{ours}` | {alias} | {shown} | {rule} | {specification.meaning} |")
    return "\n".join(lines)


def _shown(default: object) -> str:
    if default is None:
        return "—"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
