"""What this process records into: the settings, the active store, the active experiment, the switch.

Everything is resolved when it is first wanted and then kept: importing costs nothing, and the first trace does
not wait for more than it needs.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

from tracestore import settings as settings_
from tracestore.contents.names import experiment_key
from tracestore.entities import Experiment
from tracestore.entities.span import exception_message
from tracestore.errors import InvalidArgumentError, NotFoundError
from tracestore.redaction import policy
from tracestore.settings import Settings
from tracestore.store import Store

log = logging.getLogger("tracestore")

#: The experiment that traces of this context go to, whatever else is set.
local_destination: contextvars.ContextVar[int | None] = contextvars.ContextVar(
    "tracestore_destination", default=None
)


class Runtime:
    """The state of recording in this process. There is one, `runtime`; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._forget()

    def _forget(self) -> None:
        self._given: dict[str, Any] = {}
        self._settings: Settings | None = None
        self._store: Store | None = None
        self._experiment: int | None = None
        self._model_metadata: dict[str, str] | None = None
        #: The experiment that new traces go to, whichever is the active one.
        self.destination: int | None = None
        #: Ids of the traces that the notebook's cell has ended, the last ones; None while they are not shown.
        self.ended_traces: deque[str] | None = None
        #: False while tracing is switched off.
        self.enabled = True
        #: The id of the trace whose root ended last, in any thread.
        self.last_trace_id: str | None = None
        #: Calls of the traced program in which recording failed, by kind.
        self.failures: dict[str, int] = {}

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        settings = self._settings
        if settings is None:
            with self._lock:
                settings = self._settings
                if settings is None:
                    # Until they are read: a bad one is logged, and whoever handles that may record.
                    self._settings = Settings()
                    settings = self._settings = self._load()
        return settings

    def _load(self) -> Settings:
        settings = settings_.load(**self._given)
        policy.set(redact=settings.redact, content=settings.content)
        return settings

    @property
    def store(self) -> Store:
        """The active store."""
        if self._store is None:
            with self._lock:
                if self._store is None:
                    self._store = self._open()
        return self._store

    def _open(self) -> Store:
        settings = self.settings
        return Store(
            settings.path or settings_.default_path(),
            queue_size=settings.queue_size,
            retry_timeout_s=settings.retry_timeout_s,
            index_text=settings.index_text,
            recorder=settings.recorder,
            durability=settings.durability,
        )

    @property
    def recording_experiment(self) -> int | str:
        """What new traces belong to: the active experiment's number, or its name where it may be new.

        Never asks the file: that is the writer's business.
        """
        destination = local_destination.get()
        if destination is None:
            destination = self.destination
        if destination is not None:
            return destination
        settings = self.settings
        if settings.destination is not None:
            return int(settings.destination)
        if self._experiment is not None:
            return self._experiment
        return settings.experiment_name or int(settings.experiment_id or 0)

    @property
    def experiment(self) -> int:
        """The active experiment's number, for searches; the experiment is made if it is new."""
        if self._experiment is None:
            with self._lock:
                self._experiment = self._resolve_experiment()
        return self._experiment

    def _resolve_experiment(self) -> int:
        settings = self.settings
        if settings.experiment_name is not None:
            return int(self.store.get_or_create_experiment(settings.experiment_name).experiment_id)
        if settings.experiment_id is None:
            return 0
        try:
            return int(self.store.get_experiment(settings.experiment_id).experiment_id)
        except NotFoundError:
            return 0  # where the writer puts them too

    @property
    def model_metadata(self) -> dict[str, str]:
        """Metadata of every new trace that comes from the settings."""
        if self._model_metadata is None:
            model_id = self.settings.active_model_id
            self._model_metadata = {} if model_id is None else {"mlflow.modelId": model_id}
        return self._model_metadata

    def reset_tracing(self) -> None:
        """Switch recording on, its display off and forget destinations; the store and the settings stay."""
        self.destination = self.ended_traces = None
        self.enabled = True
        local_destination.set(None)

    def reset(self) -> None:
        """Close the active store and forget settings, experiment and counters, as at the start."""
        with self._lock:
            store = self._store
            self._forget()
            local_destination.set(None)
        if store is not None:
            store.close()

    @contextlib.contextmanager
    def elsewhere(self, path: str) -> Iterator[Store]:
        """Record into another file within the block; afterwards all is as it was before.

        The other file is written out and closed at the end.
        """
        with self._lock:
            before = {name: value for name, value in vars(self).items() if name != "_lock"}
            self._forget()
            self._given = {**before["_given"], "path": path}
        try:
            yield self.store
        finally:
            self.store.close()
            with self._lock:
                vars(self).update(before)

    def configure(self, **given: Any) -> None:
        """Change settings from now on. A new path makes its store the active one.

        Running traces end in the store that they began in.
        """
        with self._lock:
            old, before = self._store, self._settings
            self._given |= given
            self._settings = self._load()
            self._experiment = None
            self._model_metadata = None
            if old is not None and before is not None and _needs_new_store(before, self._settings):
                self._store = None
                old.flush(5.0)

    def set_experiment(
        self, name: str | None = None, experiment_id: str | None = None
    ) -> Experiment:
        """Make an experiment the active one: by name, made if missing, or by id.

        Raises:
            InvalidArgumentError: Not exactly one is given, or the experiment was deleted.
            NotFoundError: There is no experiment with that id.
        """
        if (name is None) == (experiment_id is None):
            raise InvalidArgumentError("pass either experiment_name or experiment_id")
        if name is not None:
            experiment = self.store.get_or_create_experiment(name)
        else:
            experiment = self.store.get_experiment(str(experiment_id))
            if experiment.lifecycle_stage != "active":
                raise InvalidArgumentError(f"experiment {experiment_id!r} is deleted")
        self._experiment = int(experiment.experiment_id)
        self.set_destination(None)
        return experiment

    def set_destination(self, experiment_id: str | None, *, context_local: bool = False) -> None:
        """Have new traces go to an experiment, whichever is the active one; None: to the active one.

        Args:
            experiment_id: A decimal number.
            context_local: Only those of this context (thread or asyncio task).

        Raises:
            InvalidArgumentError: The id is no decimal number.
        """
        experiment = None if experiment_id is None else experiment_key(experiment_id)
        if context_local or experiment is None:
            local_destination.set(experiment)
        if not context_local:
            self.destination = experiment

    def failed(self, kind: str, error: BaseException) -> None:
        """Count a failure of recording; log the first of its kind."""
        self.failures[kind] = self.failures.get(kind, 0) + 1
        if self.failures[kind] == 1:
            message = exception_message(error)
            log.warning("%s was not recorded: %s: %s", kind, type(error).__name__, message)


def _needs_new_store(before: Settings, after: Settings) -> bool:
    fields = (
        "path",
        "queue_size",
        "retry_timeout_s",
        "index_text",
        "recorder",
        "durability",
    )
    return any(getattr(before, field) != getattr(after, field) for field in fields)


runtime = Runtime()


def set_tracking_uri(uri: str | os.PathLike[str]) -> None:
    """Record into another file from now on: a path or a `sqlite:///path` URI.

    Raises:
        InvalidArgumentError: The URI names no file, such as `http://…`.

    Example:
        >>> set_tracking_uri("sqlite:///traces.db")
    """
    runtime.configure(path=settings_.path_of_uri(uri))


def is_tracking_uri_set() -> bool:
    """Return whether the program or the environment says which file is recorded into.

    Example:
        >>> is_tracking_uri_set()
        True
    """
    return bool(runtime.settings.path)


def get_tracking_uri() -> str:
    """Return the active store's file as a `sqlite:///path` URI.

    Example:
        >>> get_tracking_uri().startswith("sqlite:///")
        True
    """
    return f"sqlite:///{runtime.store.path}"
