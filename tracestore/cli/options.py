"""What commands have in common: options, opening the store, naming a trace or an experiment.

Knows the store's verbs, not what is printed. Invariant: no command makes a file except `demo`, and those that
only look open it read-only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from tracestore import settings
from tracestore.cli import streams
from tracestore.entities import Trace, ViewType
from tracestore.errors import InvalidArgumentError, NotFoundError, StoreError
from tracestore.store import Store, make_ready

F = TypeVar("F", bound=Callable[..., Any])

#: The name of the newest trace.
LAST = "last"

#: Candidates that are listed where a prefix means several traces.
_MAX_CANDIDATES = 5


def db_option(function: F) -> F:
    """Give a command `--db`; its value is the path of the file."""
    return click.option(
        "--db",
        "path",
        metavar="PATH",
        callback=lambda _context, _option, value: resolve_path(value),
        help="The file. Default: TRACESTORE_DB, else the one that programs record into by default.",
    )(function)


def json_option(function: F) -> F:
    """Give a command `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")(
        function
    )


def experiment_option(function: F) -> F:
    """Give a command `--experiment`."""
    return click.option(
        "--experiment", metavar="NAME|ID", help="Only traces of this experiment. Default: all."
    )(function)


def yes_option(function: F) -> F:
    """Give a command `--yes`, for what can't be taken back."""
    return click.option("-y", "--yes", is_flag=True, help="Don't ask.")(function)


def ask(question: str) -> None:
    """Ask a person, and end the command where the answer is no or nobody is there."""
    if not streams.is_terminal(sys.stdin):
        raise click.UsageError("there is nobody to ask: pass --yes to go on without being asked")
    click.confirm(question, abort=True, err=True)


def examples(*lines: str) -> str:
    """Return the end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def resolve_path(given: str | None) -> str:
    """Return the file that is meant: `given`, else what the settings say."""
    if given is not None:
        return settings.path_of_uri(given)
    return settings.load().path or settings.default_path()


def open_store(path: str, *, for_writing: bool = False) -> Store:
    """Return the store at `path`, which must be there; read-only unless `for_writing`.

    Raises:
        StoreError: There is no such file.
    """
    if not os.path.exists(path):  # noqa: PTH110 - pathlib raises where a directory can't be read
        raise StoreError(
            f"there are no traces yet: no file {path}\n"
            "`tracestore demo` records some; in a program, `import tracestore as mlflow` and "
            "`@mlflow.trace` do.\nAnother file is named by --db or TRACESTORE_DB."
        )
    make_ready(path)
    return Store(path, read_only=not for_writing)


def find_trace(store: Store, given: str) -> Trace:
    """Return the trace that `given` names: `last`, a trace id, or the beginning of one.

    `tr-` may be left out.

    Raises:
        NotFoundError: There is none.
        InvalidArgumentError: Several traces begin like that.
    """
    if given == LAST:
        newest = store.search_traces(max_results=1)
        if not newest:
            raise NotFoundError(f"there is no trace in {store.path}")
        return newest[0]
    prefix = "tr-" + given.removeprefix("tr-")
    found = store.search_traces(
        f"trace_id LIKE {_quoted_prefix(prefix)}",
        max_results=_MAX_CANDIDATES + 1,
        include_spans=False,
    )
    exact = [trace for trace in found if trace.trace_id in (given, prefix)]
    if len(exact or found) > 1:
        raise InvalidArgumentError(_several(given, [trace.trace_id for trace in found]))
    # A full id may have another form than ours, so it is looked up as it was given too.
    return store.get_trace((exact or found)[0].trace_id if found else given)


def _quoted_prefix(prefix: str) -> str:
    """Return the pattern of texts that begin with `prefix`, as a string of the filter language."""
    for special in ("\\", "%", "_"):
        prefix = prefix.replace(special, "\\" + special)
    return "'" + prefix.replace("'", "''") + "%'"


def _several(given: str, candidates: list[str]) -> str:
    shown = "\n".join(f"  {candidate}" for candidate in candidates[:_MAX_CANDIDATES])
    more = "\n  …" if len(candidates) > _MAX_CANDIDATES else ""
    return f"several traces begin with {given!r}; give more of the id:\n{shown}{more}"


def experiment_ids(store: Store, given: str | None) -> list[str] | None:
    """Return the ids of the experiment that `given` names or numbers; None, for all, where it is None.

    Raises:
        NotFoundError: There is none.
    """
    if given is None:
        return None
    named = store.get_experiment_by_name(given)
    if named is None and given.isdecimal():
        named = store.get_experiment(given)
    if named is None:
        raise NotFoundError(
            f"there is no experiment {given!r} in {store.path}; `tracestore stats` lists them"
        )
    return [named.experiment_id]


def experiment_name(store: Store, trace: Trace) -> str:
    """Return the name of the trace's experiment, its id where the file has no such experiment."""
    names = {e.experiment_id: e.name for e in store.search_experiments(ViewType.ALL)}
    return names.get(trace.info.experiment_id, trace.info.experiment_id)
