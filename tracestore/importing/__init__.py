"""Traces of other programs' files into a store: which formats there are, and the loop that all share.

A format is a module with two functions, listed in FORMATS: `recognises` looks at a file and says whether it is
of the format, `open_source` opens it. What a source yields are batches of rows, each written in one transaction.
Invariants: the file that is read is never changed; a trace that is in the store already is left as it is, so an
import that was broken off is simply run again.
"""

from __future__ import annotations

import functools
import importlib
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from tracestore.arguments import checked
from tracestore.errors import InvalidArgumentError, StoreError
from tracestore.importing.batch import Imported, Progress, Source, write_batch
from tracestore.runtime import runtime
from tracestore.settings import path_of_file
from tracestore.storage import schema
from tracestore.storage.connection import translated_errors
from tracestore.storage.statements import chunks
from tracestore.store import Store

#: Each format's name and the module that reads it, in the order in which a file is tried.
FORMATS = {
    "mlflow": "tracestore.importing.mlflow",
    "llm": "tracestore.importing.llm",
    "otlp": "tracestore.importing.otlp",
    "phoenix": "tracestore.importing.phoenix",
}

#: How much of a file's beginning `recognises` is shown, in bytes.
BEGINNING_BYTES = 64 * 1024


@checked
def import_traces(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - what the command line calls it
    progress: Callable[[Progress], object] | None = None,
) -> Imported:
    """Read the traces of another program's file into the active store.

    Args:
        path: The file, such as MLflow's `mlflow.db`. It is only read.
        format: "mlflow", "llm", "otlp" or "phoenix"; default: found out from the file.
        progress: Called after each transaction.

    Returns:
        What was read, what was there already, and what was left out and why.

    Raises:
        StoreError: The file can't be read, or is of no known format.
        InvalidArgumentError: There is no such format.

    Example:
        >>> import_traces("mlflow.db").traces  # doctest: +SKIP
        10000
    """
    return import_into(runtime.store, path_of_file(path), format, progress)


def import_into(
    store: Store,
    path: str,
    format_name: str | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> Imported:
    """Read the traces of the file at `path` into `store`; see `import_traces`."""
    module = _module_of(path, format_name)
    imported = Imported(format=module.__name__.rpartition(".")[2], path=path)
    with translated_errors(path):
        source: Source = module.open_source(path)
        try:
            for batch in source.batches(lambda ids: _ended(store, ids)):
                written = store.transact(functools.partial(write_batch, batch=batch))
                imported = imported.plus(batch, written)
                if progress is not None:
                    progress(Progress(imported, source.total))
        finally:
            source.close()
    return imported


def _ended(store: Store, trace_ids: Sequence[str]) -> set[str]:
    """Return those of the ids whose traces are in the store, whole."""
    found: set[str] = set()
    with store.reading() as connection:
        for chunk in chunks(trace_ids, 500):
            marks = ",".join("?" * len(chunk))
            sql = f"SELECT trace_id FROM traces WHERE trace_id IN ({marks}) AND status != 'IN_PROGRESS'"
            found.update(row[0] for row in connection.execute(sql, chunk))
    return found


def _module_of(path: str, format_name: str | None) -> Any:
    """Return the module that reads the file; raise where there is none, or no such file."""
    if format_name is not None:
        if format_name not in FORMATS:
            raise InvalidArgumentError(
                f"format is {format_name!r}; it must be one of {', '.join(FORMATS)}"
            )
        return importlib.import_module(FORMATS[format_name])
    beginning = _beginning(path)
    for name in FORMATS.values():
        module = importlib.import_module(name)
        with translated_errors(path):
            if module.recognises(path, beginning):
                return module
    if f"{schema.APPLICATION_ID:08x}" == beginning[68:72].hex():
        raise StoreError(f"{path} is a trace store itself; `tracestore merge` takes its traces")
    raise StoreError(f"{path} is of no format that can be imported; known are {', '.join(FORMATS)}")


def _beginning(path: str) -> bytes:
    file = pathlib.Path(path)
    with translated_errors(path):
        if not file.is_file():  # a pipe or a device may never end
            raise StoreError(f"there is no file {path}")
        with file.open("rb") as stream:
            return stream.read(BEGINNING_BYTES)
