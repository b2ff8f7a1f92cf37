"""Span processors: functions of the program that see each span when it ends, before anything of it is kept.

They are for taking out what must not be stored, so they fail closed: where one raises, the span is recorded
without its content. And while there are any, nothing is written of a span that is still open but that it is
open: what they would take out may be in it.

Source: https://mlflow.org/docs/latest/genai/tracing/observe-with-traces/masking/
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tracestore.arguments import checked
from tracestore.errors import InvalidArgumentError
from tracestore.runtime import runtime

if TYPE_CHECKING:
    from tracestore.capture.span import LiveSpan

Processor = Callable[[Any], None]

#: The processors in force, in the order in which they run. Replaced in place: a span that ends only asks
#: whether it is empty.
PROCESSORS: list[Processor] = []


def process(span: LiveSpan) -> None:
    """Run the processors on a span that ends. One that raises costs the span its content; none raises."""
    for processor in tuple(PROCESSORS):
        try:
            returned = processor(span)
        except Exception as error:  # noqa: BLE001 - a processor is the program's code
            runtime.failed(f"a span's content, which span processor {_name(processor)} saw,", error)
            span.withhold(f"span processor {_name(processor)} raised {type(error).__name__}")
            return
        if returned is not None:
            runtime.failed(
                f"what span processor {_name(processor)} returned",
                TypeError("a processor changes the span it is given and returns nothing"),
            )


def _name(processor: Processor) -> str:
    return getattr(processor, "__name__", None) or type(processor).__name__


class Configuration:
    """What `configure` changed: used in a `with` block, it is as before after the block."""

    def __init__(self, before: list[Processor]) -> None:
        self._before = before

    def __enter__(self) -> Configuration:  # noqa: PYI034 - Self is from 3.11 on
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        PROCESSORS[:] = self._before


@checked
def configure(span_processors: Iterable[Processor] | None = None) -> Configuration:
    """Have functions see each span when it ends, before anything of it is kept; from now on, or in a block.

    Each is called with the span, on the thread that ends it, and changes it by its setters; what it returns
    is ignored. If one raises, the span is recorded without inputs, outputs, attributes, events and error
    text, and says why in the attribute `tracestore.withheld`. While there are processors, an open span is
    written without content, and the previews of a running trace are empty.

    Args:
        span_processors: Instead of those before; an empty list: none. None: as it is.

    Returns:
        A context manager: after its block the processors are those from before.

    Raises:
        InvalidArgumentError: One of them can't be called, or not with just a span.

    Example:
        >>> def mask(span):
        ...     span.set_inputs("[masked]")
        >>> with configure(span_processors=[mask]), tracestore.start_span("login") as span:
        ...     span.set_inputs({"password": "swordfish"})
        >>> tracestore.get_trace(span.trace_id).data.spans[0].inputs
        '[masked]'
    """
    before = list(PROCESSORS)
    if span_processors is not None:
        PROCESSORS[:] = [_checked(processor) for processor in span_processors]
    return Configuration(before)


def _checked(processor: Any) -> Processor:
    if not callable(processor):
        raise InvalidArgumentError(
            f"span processor {processor!r:.100} can't be called; pass functions of one span"
        )
    try:
        inspect.signature(processor).bind(None)
    except ValueError:  # some builtins have no signature
        pass
    except TypeError as error:
        raise InvalidArgumentError(
            f"span processor {_name(processor)} can't be called with just a span: {error}"
        ) from error
    return processor  # type: ignore[no-any-return]  # just checked
