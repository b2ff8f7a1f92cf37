"""Images, sounds and files as inputs and outputs, by MLflow's name."""

from __future__ import annotations

import dataclasses
import mimetypes
import os
import pathlib

__all__ = ["Attachment"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file's contents within a payload, recorded as its type and base64.

    They stay in the payload, whose limit is 8 MiB of JSON; MLflow moves them into an artifact.

    Example:
        >>> with tracestore.start_span("draw") as span:
        ...     span.set_outputs({"image": Attachment(content_type="image/png", content_bytes=b"PNG")})
        >>> span.outputs["image"]
        {'content_type': 'image/png', 'content_bytes': 'UE5H'}
    """

    content_type: str
    content_bytes: bytes

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], content_type: str | None = None) -> Attachment:
        """Return a file's contents; the type, unless given, is told by the file's name.

        Raises:
            OSError: The file can't be read.
        """
        kind = content_type or mimetypes.guess_type(os.fspath(path))[0]
        return cls(
            content_type=kind or "application/octet-stream",
            content_bytes=pathlib.Path(path).read_bytes(),
        )
