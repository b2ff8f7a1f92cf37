"""A reference from a span to a span of another trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tracestore.arguments import checked
from tracestore.entities.dataclass_fields import DataclassFields


class Link(msgspec.Struct, frozen=True):
    """A reference to a span of another trace. Ids as hex text, `tr-…` and 16 digits."""

    __dataclass_fields__ = DataclassFields()

    trace_id: str
    span_id: str
    attributes: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return MLflow's dictionary form."""
        return {
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "attributes": self.attributes,
        }

    @classmethod
    @checked
    def from_dict(cls, data: Mapping[str, Any]) -> Link:
        """Return the link that `to_dict` made `data` of."""
        return cls(data["trace_id"], data["span_id"], data.get("attributes"))
