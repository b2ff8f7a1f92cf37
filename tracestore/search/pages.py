"""Where a page ended, as a token that is bound to its search."""

from __future__ import annotations

import base64
import hashlib
import json

from tracestore.errors import InvalidArgumentError
from tracestore.search.order import Position


def write_token(row: tuple[int, ...], digest: bytes) -> str:
    """Return the position of `row`, signed with what it is a position in."""
    position = json.dumps([row[0], *row[1:]], separators=(",", ":"))
    seal = hashlib.sha256(digest + position.encode()).hexdigest()[:16]
    return base64.urlsafe_b64encode(f"{seal}{position}".encode()).decode()


def read_token(token: str, digest: bytes) -> Position:
    """Return the position that a token stands for."""
    reason = (
        "page_token is not a token of this search: pass what the call before returned,"
        " with the same filter, order and experiments"
    )
    try:
        text = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
        seal, position = text[:16], text[16:]
        if hashlib.sha256(digest + position.encode()).hexdigest()[:16] != seal:
            raise InvalidArgumentError(reason)
        trace, *keys = json.loads(position)
        return Position(tuple(keys), trace)
    except (ValueError, AttributeError) as error:
        raise InvalidArgumentError(reason) from error
