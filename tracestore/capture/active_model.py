"""The version of the program that traces are recorded for: `mlflow.modelId` of every new trace."""

from __future__ import annotations

from types import TracebackType

from tracestore.arguments import checked
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime


class ActiveModel:
    """What `set_active_model` has made the active one; as a `with` block, until the block ends.

    Attributes:
        model_id: What is recorded.
    """

    def __init__(self, model_id: str, before: str | None) -> None:
        self.model_id = model_id
        self._before = before

    def __enter__(self) -> ActiveModel:  # noqa: PYI034 - Self is from 3.11 on
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        runtime.configure(active_model_id=self._before)

    def __repr__(self) -> str:
        return f"ActiveModel({self.model_id!r})"


@checked
def set_active_model(*, name: str | None = None, model_id: str | None = None) -> ActiveModel:
    """Record `mlflow.modelId` with every trace from now on, or within a `with` block.

    There is no registry here that gives a name an id: `name` is recorded as it is.

    Raises:
        InvalidArgumentError: Not exactly one of `name` and `model_id` is given.

    Example:
        >>> with set_active_model(name="prompt-v2"):
        ...     get_active_model_id()
        'prompt-v2'
    """
    if (name is None) == (model_id is None):
        raise InvalidArgumentError("pass either name or model_id")
    before = get_active_model_id()
    chosen = str(name if model_id is None else model_id)
    runtime.configure(active_model_id=chosen)
    return ActiveModel(chosen, before)


def clear_active_model() -> None:
    """Record no `mlflow.modelId` from now on, but for what the environment says.

    Example:
        >>> clear_active_model()
    """
    runtime.configure(active_model_id=None)


def get_active_model_id() -> str | None:
    """Return the `mlflow.modelId` that new traces get, None where they get none.

    Example:
        >>> get_active_model_id()
    """
    return runtime.settings.active_model_id
