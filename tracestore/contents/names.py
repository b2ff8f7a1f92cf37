"""What callers call things by: ids and names of experiments, keys of tags. Checked, and made ready for a row.

Pure functions; each raises InvalidArgumentError, which shows what was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tracestore.arguments import shown
from tracestore.encoding import clean_text, text_of
from tracestore.errors import InvalidArgumentError
from tracestore.redaction import policy


def experiment_keys(ids: Sequence[str] | None) -> tuple[int, ...] | None:
    """Return experiments' numbers, None for None; InvalidArgumentError for what is no list of their ids."""
    if isinstance(ids, str):
        raise InvalidArgumentError(
            f"experiment_ids is the text {shown(ids)}; pass a list of ids, and a filter as filter_string=…"
        )
    if ids is not None and not isinstance(ids, Iterable):
        raise InvalidArgumentError(f"experiment_ids is {shown(ids)}; it must be a list of ids")
    return None if ids is None else tuple(experiment_key(experiment_id) for experiment_id in ids)


def experiment_key(experiment_id: str) -> int:
    """Return an experiment's number; InvalidArgumentError for anything but a decimal number."""
    try:
        key = int(experiment_id)
    except (TypeError, ValueError, OverflowError):
        key = -1
    if not 0 <= key < 2**63:
        raise InvalidArgumentError(
            f"experiment id is {shown(experiment_id)}; it must be a decimal number"
        )
    return key


def experiment_name(name: object) -> str:
    """Return an experiment's name as it is kept."""
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgumentError(f"experiment name is {shown(name)}; it must be text, not blank")
    return clean_text(name)


def tag(key: object, value: Any) -> tuple[str, str]:
    """Return a tag as it is kept: of a secret only that there was one."""
    name = _tag_key(key)
    return name, policy.clean_texts({name: text_of(value)})[name]


def _tag_key(key: object) -> str:
    if not isinstance(key, str) or not 1 <= len(key) <= 250:
        raise InvalidArgumentError(
            f"tag key is {shown(key)}; it must be text of 1 to 250 characters"
        )
    return clean_text(key)
