"""Trace and span ids from a private random source: `random.seed()` in user code can't make two collide.

A trace id is W3C's 128 bits (https://www.w3.org/TR/trace-context/#trace-id): 48 bits of milliseconds, so that
ids sort by time and land at the end of their index, and 80 random bits. A span id is 64 random bits.
"""

from __future__ import annotations

import os
import random

#: Id that MLflow gives to traces that are not recorded.
NO_OP_TRACE_ID = "MLFLOW_NO_OP_SPAN_TRACE_ID"

_random = random.Random(os.urandom(32))  # noqa: S311 - ids need to be distinct, not secret


#: Span ids made in advance: 256 at a time cost 0.08 µs each, one at a time 0.3.
_span_ids: list[str] = []
_AHEAD = 256


_process = os.getpid()


def _reseed() -> None:
    global _process  # noqa: PLW0603 - once a process
    _process = os.getpid()
    _random.seed(os.urandom(32))
    _span_ids.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reseed)


def new_span_id() -> str:
    """Return 16 hex digits, not all zero. Any thread may call it: taking from a list is one step."""
    try:
        return _span_ids.pop()
    except IndexError:
        _span_ids.extend(_new_span_ids())
        return f"{_random.getrandbits(64) or 1:016x}"


def _new_span_ids() -> list[str]:
    digits = _random.getrandbits(64 * _AHEAD).to_bytes(8 * _AHEAD, "big").hex()
    found = [digits[start : start + 16] for start in range(0, 16 * _AHEAD, 16)]
    return [span_id for span_id in found if span_id != "0" * 16]


def new_trace_id(time_ms: int) -> str:
    """Return `tr-` and 32 hex digits for a trace that starts at `time_ms`."""
    if (
        _process != os.getpid()
    ):  # a fork by C code, as uWSGI's, runs no hooks: both would make the same ids
        _reseed()
    return f"tr-{(time_ms & 0xFFFFFFFFFFFF) << 80 | _random.getrandbits(80):032x}"


def new_assessment_id() -> str:
    """Return `a-` and 32 hex digits."""
    return f"a-{_random.getrandbits(128):032x}"


def chance() -> float:
    """Return a number in [0, 1) for a sampling decision."""
    return _random.random()
