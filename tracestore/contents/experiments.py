"""Experiments: made, found, renamed, tagged, deleted and restored."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from tracestore.contents import names
from tracestore.encoding import text_of
from tracestore.entities import Experiment, PagedList, ViewType
from tracestore.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from tracestore.storage import experiment_rows
from tracestore.storage.file import File


def create(
    file: File, name: str, artifact_location: str | None, tags: dict[str, Any] | None
) -> str:
    """Make an experiment and return its id."""
    name = names.experiment_name(name)

    def insert(connection: sqlite3.Connection) -> int | None:
        if experiment_rows.find_experiments(connection, "name = ?", (name,)):
            return None
        return experiment_rows.insert_experiment(
            connection, name, artifact_location, _now_ms(), _texts(tags)
        )

    key = file.write(insert)
    if key is None:
        raise AlreadyExistsError(
            f"experiment {name!r} exists already; get_experiment_by_name gets it"
        )
    return str(key)


def get_or_create(file: File, name: str) -> Experiment:
    """Return the active experiment of that name, made if there is none."""
    name = names.experiment_name(name)

    def find_or_insert(connection: sqlite3.Connection) -> Experiment:
        found = experiment_rows.find_experiments(connection, "name = ?", (name,))
        if not found:
            experiment_rows.insert_experiment(connection, name, None, _now_ms(), {})
            found = experiment_rows.find_experiments(connection, "name = ?", (name,))
        return found[0]

    experiment = find_by_name(file, name) or file.write(find_or_insert)
    if experiment.lifecycle_stage != "active":
        raise InvalidArgumentError(
            f"experiment {name!r} is deleted; restore it or take another name"
        )
    return experiment


def get(file: File, experiment_id: str) -> Experiment:
    """Return an experiment by id; NotFoundError where there is none."""
    with file.reading() as connection:
        return _stored(file, connection, experiment_id)


def find_by_name(file: File, name: str) -> Experiment | None:
    """Return an experiment by its exact name, None where there is none."""
    with file.reading() as connection:
        found = experiment_rows.find_experiments(connection, "name = ?", (name,))
    return found[0] if found else None


def search(
    file: File,
    view_type: int,
    filter_string: str | None,
    order_by: Sequence[str] | None,
    max_results: int | None,
    page_token: str | None,
) -> PagedList[Experiment]:
    """Return one page of the experiments that meet a filter, the newest first."""
    from tracestore import experiments  # noqa: PLC0415 - not needed by a program that only records

    condition = {
        ViewType.ACTIVE_ONLY: "lifecycle_stage = 'active'",
        ViewType.DELETED_ONLY: "lifecycle_stage = 'deleted'",
    }.get(view_type, "1")
    with file.reading() as connection:
        found = experiment_rows.find_experiments(connection, condition, ())
    return experiments.search(found, filter_string, order_by, max_results, page_token)


def rename(file: File, experiment_id: str, new_name: str) -> None:
    """Give an active experiment another name."""
    name = names.experiment_name(new_name)

    def update(connection: sqlite3.Connection) -> bool:
        key = _active_key(file, connection, experiment_id)
        taken = experiment_rows.find_experiments(connection, "name = ? AND id != ?", (name, key))
        if not taken:
            experiment_rows.update_experiment(connection, key, _now_ms(), name=name)
        return not taken

    if not file.write(update):
        raise AlreadyExistsError(f"experiment {name!r} exists already; take another name")


def delete(file: File, experiment_id: str) -> None:
    """Mark an experiment as deleted."""
    if names.experiment_key(experiment_id) == 0:
        raise InvalidArgumentError("experiment '0', Default, can't be deleted")

    def update(connection: sqlite3.Connection) -> None:
        key = _active_key(file, connection, experiment_id)
        experiment_rows.update_experiment(connection, key, _now_ms(), lifecycle_stage="deleted")

    file.write(update)


def restore(file: File, experiment_id: str) -> None:
    """Bring a deleted experiment back."""

    def update(connection: sqlite3.Connection) -> bool:
        key = names.experiment_key(experiment_id)
        found = experiment_rows.find_experiments(
            connection, "id = ? AND lifecycle_stage = 'deleted'", (key,)
        )
        if found:
            experiment_rows.update_experiment(connection, key, _now_ms(), lifecycle_stage="active")
        return bool(found)

    if not file.write(update):
        raise NotFoundError(f"there is no deleted experiment {experiment_id!r} in {file.path}")


def set_tag(file: File, experiment_id: str, key: str, value: Any) -> None:
    """Set one tag of an active experiment."""
    key, text = names.tag(key, value)
    file.write(
        lambda connection: experiment_rows.set_tag(
            connection, _active_key(file, connection, experiment_id), key, text
        )
    )


def delete_tag(file: File, experiment_id: str, key: str) -> None:
    """Delete one tag of an active experiment."""
    found = file.write(
        lambda connection: experiment_rows.delete_tag(
            connection, _active_key(file, connection, experiment_id), key
        )
    )
    if not found:
        raise NotFoundError(f"experiment {experiment_id!r} has no tag {key!r}")


def _active_key(file: File, connection: sqlite3.Connection, experiment_id: str) -> int:
    experiment = _stored(file, connection, experiment_id)
    if experiment.lifecycle_stage != "active":
        raise InvalidArgumentError(
            f"experiment {experiment_id!r} is deleted; restore_experiment brings it back"
        )
    return int(experiment.experiment_id)


def _stored(file: File, connection: sqlite3.Connection, experiment_id: str) -> Experiment:
    key = names.experiment_key(experiment_id)
    found = experiment_rows.find_experiments(connection, "id = ?", (key,))
    if not found:
        raise NotFoundError(f"there is no experiment {experiment_id!r} in {file.path}")
    return found[0]


def _texts(values: dict[str, Any] | None) -> dict[str, str]:
    return {text_of(key): text_of(value) for key, value in (values or {}).items()}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
