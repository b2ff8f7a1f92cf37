"""Token usage and cost of a trace, rolled up from what its spans report.

A span whose ancestor reports already is left out, because frameworks put sums on parents (MLflow's rule); an
ancestor that reports nothing in particular hides nobody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from tracestore.entities.trace import COST_KEY, TOKEN_USAGE_KEY

#: The keys every usage has once there is one; further ones (cache tokens) only where reported.
_TOKENS = ("input_tokens", "output_tokens", "total_tokens")
_COSTS = ("input_cost", "output_cost", "total_cost")


class _Report(NamedTuple):
    ancestors: frozenset[str]
    tokens: Mapping[str, float]
    cost: Mapping[str, float]


class Usage:
    """The reports of one trace's spans; asked for sums on the writing thread.

    Args:
        metadata: The trace's metadata: what the program itself says there of the trace as a whole counts.
    """

    def __init__(self, metadata: Mapping[str, str] | None = None) -> None:
        self._metadata = {} if metadata is None else metadata
        self._reports: dict[str, _Report] = {}

    def add(self, span_id: str, ancestors: frozenset[str], tokens: Any, cost: Any) -> None:
        """Take note of one span's report; values that are no finite numbers are left out."""
        counted = _numbers(tokens)
        if "total_tokens" not in counted and counted.keys() & {"input_tokens", "output_tokens"}:
            counted["total_tokens"] = counted.get("input_tokens", 0) + counted.get(
                "output_tokens", 0
            )
        priced = _numbers(cost)
        if "total_cost" not in priced and priced:
            priced["total_cost"] = sum(priced.values())
        self._reports[span_id] = _Report(ancestors, counted, priced)

    def tokens(self) -> dict[str, int]:
        """Return tokens by kind, {} where neither the program nor a span said any."""
        said = self._said(TOKEN_USAGE_KEY)
        if said:
            return {key: int(value) for key, value in said.items()}
        reports = {k: (r.ancestors, r.tokens) for k, r in list(self._reports.items())}
        return {key: int(value) for key, value in _roll_up(reports, _TOKENS).items()}

    def cost(self) -> dict[str, float]:
        """Return US dollars by kind, {} where neither the program nor a span said any."""
        said = self._said(COST_KEY)
        if said:
            return said
        reports = {k: (r.ancestors, r.cost) for k, r in list(self._reports.items())}
        return _roll_up(reports, _COSTS)

    def _said(self, key: str) -> dict[str, float]:
        """Return what the metadata says, {} where it says nothing or what is no JSON object."""
        text = self._metadata.get(key)
        if text is None:
            return {}
        try:
            return _numbers(msgspec.json.decode(text))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return {}


def _roll_up(
    reports: Mapping[str, tuple[frozenset[str], Mapping[str, float]]], base: tuple[str, ...]
) -> dict[str, float]:
    if len(reports) == 1:  # the usual case: nothing is above it
        [(_, report)] = reports.values()
        return {**dict.fromkeys(base, 0), **report} if report else {}
    reporting = {span_id for span_id, (_, report) in reports.items() if report}
    top = [report for ancestors, report in reports.values() if report and not ancestors & reporting]
    total: dict[str, float] = dict.fromkeys(base, 0) if top else {}
    for report in top:
        for key, value in report.items():
            total[key] = total.get(key, 0) + value
    return total


def _numbers(report: Any) -> dict[str, float]:
    if type(report) is not dict and not isinstance(report, Mapping):
        return {}
    return {
        str(key): value
        for key, value in report.items()
        if isinstance(value, (int, float)) and math.isfinite(value) and abs(value) < 2**53
    }
