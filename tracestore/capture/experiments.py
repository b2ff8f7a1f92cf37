"""Experiments of the active store, as functions of the package. Each is one verb of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracestore.arguments import checked
from tracestore.capture.documentation import documented_as
from tracestore.entities import Experiment, PagedList, ViewType
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime
from tracestore.store import Store


@checked
def set_experiment(
    experiment_name: str | None = None,
    experiment_id: str | None = None,
    trace_location: None = None,
) -> Experiment:
    """Make an experiment the active one, by name (made if missing) or by id; new traces belong to it.

    Args:
        experiment_name: Unique within the store, case-sensitive.
        experiment_id: A decimal number, as text.
        trace_location: None; MLflow's other values are places in Databricks.

    Raises:
        InvalidArgumentError: Not exactly one is given, or the experiment was deleted.
        NotFoundError: There is no experiment with that id.

    Example:
        >>> set_experiment("support").name
        'support'
    """
    _refuse_location(trace_location)
    return runtime.set_experiment(experiment_name, experiment_id)


@checked
@documented_as(Store.create_experiment)
def create_experiment(
    name: str,
    artifact_location: str | None = None,
    tags: dict[str, Any] | None = None,
    trace_location: None = None,
) -> str:
    """Make an experiment and return its id.

    Example:
        >>> create_experiment("trials", tags={"team": "search"})
        '1'
    """
    _refuse_location(trace_location)
    return runtime.store.create_experiment(name, artifact_location, tags)


def _refuse_location(trace_location: object) -> None:
    if trace_location is not None:
        raise InvalidArgumentError(
            f"trace_location is a {type(trace_location).__name__}; traces are kept in the store's file"
        )


def get_experiment(experiment_id: str) -> Experiment:
    """Return an experiment by id; NotFoundError where there is none.

    Example:
        >>> get_experiment("0").name
        'Default'
    """
    return runtime.store.get_experiment(experiment_id)


def get_experiment_by_name(name: str) -> Experiment | None:
    """Return an experiment by its exact name, None where there is none.

    Example:
        >>> get_experiment_by_name("Default").experiment_id
        '0'
    """
    return runtime.store.get_experiment_by_name(name)


@documented_as(Store.search_experiments)
def search_experiments(
    view_type: int = ViewType.ACTIVE_ONLY,
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: Sequence[str] | None = None,
) -> PagedList[Experiment]:
    """Return experiments, the newest first.

    Example:
        >>> [experiment.name for experiment in search_experiments(filter_string="name LIKE 'D%'")]
        ['Default']
    """
    return runtime.store.search_experiments(view_type, max_results, filter_string, order_by)


@documented_as(Store.delete_experiment)
def delete_experiment(experiment_id: str) -> None:
    """Mark an experiment as deleted; its traces stay, and `restore_experiment` brings it back.

    Example:
        >>> delete_experiment(create_experiment("trials"))
    """
    runtime.store.delete_experiment(experiment_id)


@documented_as(Store.restore_experiment)
def restore_experiment(experiment_id: str) -> None:
    """Bring a deleted experiment back.

    Example:
        >>> experiment_id = create_experiment("trials")
        >>> delete_experiment(experiment_id)
        >>> restore_experiment(experiment_id)
    """
    runtime.store.restore_experiment(experiment_id)


def set_experiment_tag(key: str, value: Any) -> None:
    """Set one tag of the active experiment. A value that is no text becomes its `str()`.

    Example:
        >>> set_experiment_tag("team", "search")
    """
    runtime.store.set_experiment_tag(str(runtime.experiment), key, value)


@checked
def set_experiment_tags(tags: dict[str, Any]) -> None:
    """Set several tags of the active experiment.

    Example:
        >>> set_experiment_tags({"team": "search", "stage": "trial"})
    """
    for key, value in tags.items():
        set_experiment_tag(key, value)


def delete_experiment_tag(key: str) -> None:
    """Delete one tag of the active experiment; NotFoundError where it has none of that name.

    Example:
        >>> set_experiment_tag("team", "search")
        >>> delete_experiment_tag("team")
    """
    runtime.store.delete_experiment_tag(str(runtime.experiment), key)
