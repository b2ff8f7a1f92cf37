"""A retrieved document, as a RETRIEVER span's outputs hold it."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any


@dataclasses.dataclass
class Document:
    """A retrieved document; a list of them is what a RETRIEVER span gives out.

    Attributes:
        page_content: Its text.
        metadata: Whatever is known of it, such as its address and a score.
        id: What it is called in the index.
    """

    page_content: str
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    id: str | None = None

    @classmethod
    def from_langchain_document(cls, document: Any) -> Document:
        """Return LangChain's document as one of these."""
        identifier = getattr(document, "id", None)  # older ones have none
        return cls(document.page_content, copy.deepcopy(document.metadata), identifier)

    @classmethod
    def from_llama_index_node_with_score(cls, node_with_score: Any) -> Document:
        """Return LlamaIndex's node as a document; its score is in the metadata."""
        metadata = {
            "score": node_with_score.get_score(),
            **copy.deepcopy(node_with_score.metadata),
        }
        return cls(node_with_score.get_content(), metadata, node_with_score.node_id)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return dataclasses.asdict(self)
