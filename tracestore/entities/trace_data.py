"""The spans of a trace, and what its root says for the whole."""

from __future__ import annotations

import collections
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tracestore.arguments import checked
from tracestore.entities.dataclass_fields import DataclassFields
from tracestore.entities.span import INTERMEDIATE_OUTPUTS_KEY, Span
from tracestore.errors import InvalidArgumentError


class TraceData(msgspec.Struct):
    """The spans of a trace: roots first, then by start time."""

    __dataclass_fields__ = DataclassFields()

    spans: list[Span] = msgspec.field(default_factory=list)

    @property
    def root(self) -> Span | None:
        """The root span, None where it is not there (or not yet)."""
        return next((span for span in self.spans if span.parent_id is None), None)

    @property
    def request(self) -> str | None:
        """The root span's inputs as JSON text, None where there are none."""
        root = self.root
        return None if root is None else root._inputs  # noqa: SLF001 - the text is already there

    @property
    def response(self) -> str | None:
        """The root span's outputs as JSON text, None where there are none."""
        root = self.root
        return None if root is None else root._outputs  # noqa: SLF001 - the text is already there

    @property
    def intermediate_outputs(self) -> dict[str, Any] | None:
        """Outputs of the spans below the root by their names, or what `log_trace` was given. Of MLflow 2.

        Names that occur several times get numbers: `search_1`, `search_2`.
        """
        warnings.warn(
            "intermediate_outputs is of MLflow 2; trace.search_spans(name=…) finds the spans",
            category=FutureWarning,
            stacklevel=2,
        )
        given = None if self.root is None else self.root.get_attribute(INTERMEDIATE_OUTPUTS_KEY)
        if given:
            return dict(given) if isinstance(given, Mapping) else None
        return _outputs_by_name(self.spans) if len(self.spans) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Return MLflow 3's dictionary form."""
        return {"spans": [span.to_dict() for span in self.spans]}

    @classmethod
    @checked
    def from_dict(cls, data: Mapping[str, Any]) -> TraceData:
        """Return the data that `to_dict`, here or in MLflow, made `data` of.

        Raises:
            InvalidArgumentError: `data` is no dictionary with a list of spans.
        """
        spans = data.get("spans", []) if isinstance(data, Mapping) else None
        if not isinstance(spans, list):
            raise InvalidArgumentError("not a trace's dictionary: data must hold a list of spans")
        return cls([Span.from_dict(span) for span in spans])


def _outputs_by_name(spans: Sequence[Span]) -> dict[str, Any]:
    often = collections.Counter(span.name for span in spans)
    numbers: collections.Counter[str] = collections.Counter()
    outputs: dict[str, Any] = {}
    for span in spans:
        numbers[span.name] += 1
        name = span.name if often[span.name] == 1 else f"{span.name}_{numbers[span.name]}"
        if span.parent_id is not None and span.outputs is not None:
            outputs[name] = span.outputs
    return outputs
