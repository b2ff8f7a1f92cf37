"""Assertions on recorded traces, for tests of programs that record them.

Knows a store, not pytest: `pytest_plugin` has the fixture. Every failure is an AssertionError that says what was
expected, what there was instead, and shows the trace as a tree.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tracestore import display
from tracestore.arguments import checked, shown
from tracestore.entities import Trace
from tracestore.errors import InvalidArgumentError
from tracestore.figures.conditions import parse
from tracestore.figures.summaries import agrees
from tracestore.readable import decoded
from tracestore.store import Store

#: pytest shows the line of the test that failed, not those of this file.
__tracebackhide__ = True

#: The tag that says which test recorded a trace.
TEST_TAG = "pytest.test"

#: How much more than in the baseline a figure may be, as a share of the baseline's.
DEFAULT_INCREASE = {"count": 0.0, "errors": 0.0, "span_count": 0.0, "tokens_total": 0.1}


class Recorded:
    """What one test recorded, in a file of its own.

    Attributes:
        store: The file as a Store: search it, measure it.
        test: The name of the test.
        baseline: The file of an earlier run, None where none was named.
    """

    @checked
    def __init__(self, store: Store, test: str = "", baseline: str | None = None) -> None:
        self.store, self.test, self.baseline = store, test, baseline

    @property
    def path(self) -> str:
        """The file."""
        return self.store.path

    @checked
    def traces(self, filter_string: str | None = None) -> list[Trace]:
        """Return the traces that meet a filter, in the order in which they began."""
        return list(
            self.store.search_traces(filter_string, max_results=None, order_by="timestamp_ms ASC")
        )

    @checked
    def assert_trace(
        self,
        filter_string: str | None = None,
        *,
        name: str | None = None,
        count: int | None = None,
        max_duration: float | str | None = None,
        no_errors: bool = False,
        max_tokens: int | None = None,
        spans: Sequence[str] = (),
        outputs: Any = None,
    ) -> Trace:
        """Assert that the test recorded such a trace, and that every such trace is as it should be.

        Args:
            filter_string: Which traces are meant, besides their name.
            name: The traces' name.
            count: How many there are, 1 or more; None: at least one. See `assert_no_trace`.
            max_duration: Seconds, or text such as "500ms".
            no_errors: No span has failed.
            max_tokens: In total, of each trace.
            spans: Names of spans that each trace has.
            outputs: What each trace returned; see `agreement`.

        Returns:
            The last of them.

        Raises:
            AssertionError: It is otherwise; with the traces there are.
            FilterSyntaxError: The filter can't be read.

        Example:
            >>> recorded = Recorded(tracestore.open(path))
            >>> recorded.traces()
            []
        """
        if count is not None and count < 1:
            raise InvalidArgumentError(f"count is {count}; for none there is assert_no_trace")
        found = [
            trace for trace in self.traces(filter_string) if name is None or trace.info.name == name
        ]
        if len(found) != count if count is not None else not found:
            raise AssertionError(self._missing(name, filter_string, count, len(found)))
        limit_ms = None if max_duration is None else milliseconds(max_duration)
        for trace in found:
            _check_spans(trace, spans, no_errors=no_errors)
            _check_bounds(trace, limit_ms, max_tokens)
            if outputs is not None and not agrees(outputs, decoded(trace.data.response)):
                _fail(f"returned {trace.data.response!r:.200}, not {shown(outputs)}", trace)
        return found[-1]

    @checked
    def assert_no_trace(self, filter_string: str | None = None) -> None:
        """Assert that the test recorded no trace that meets a filter, none at all without one."""
        found = self.traces(filter_string)
        if found:
            _fail(f"is one of {len(found):,} that meet {filter_string or 'no filter'!r}", found[0])

    def _missing(
        self, name: str | None, filter_string: str | None, count: int | None, found: int
    ) -> str:
        asked = " and ".join(
            filter(None, [name and f"name {name!r}", filter_string and f"filter {filter_string!r}"])
        )
        wanted = "a trace" if count is None else f"{count} traces"
        there = Counter(trace.info.name for trace in self.traces())
        listed = ", ".join(f"{n} of {each!r}" for each, n in there.items()) or "none"
        return (
            f"expected {wanted}{' of ' + asked if asked else ''}, found {found}; recorded: {listed}"
        )

    @checked
    def assert_no_worse(
        self,
        max_increase: Mapping[str, float] | None = None,
        baseline: str | os.PathLike[str] | None = None,
        filter_string: str | None = None,
    ) -> bool:
        """Assert that figures are no higher than those that the same test had in an earlier run.

        Args:
            max_increase: By metric (see `metrics`), how much more it may be, as a share of what it was: 0.1 is
                10 %. Default: no more traces, errors and spans, 10 % more tokens. Latency is left out: say
                {"p50": 0.5} where the machine is quiet.
            baseline: The file of the earlier run; default what --tracestore-baseline named.
            filter_string: Only these traces of both runs.

        Returns:
            False where the baseline has no trace of this test, so nothing was compared.

        Raises:
            AssertionError: A figure is higher; all that are, with both values.
            InvalidArgumentError: No baseline was named.
        """
        path = baseline or self.baseline
        if path is None:
            raise InvalidArgumentError(
                "there is no baseline: pass baseline=…, or run pytest with --tracestore-baseline FILE"
            )
        allowed = dict(DEFAULT_INCREASE if max_increase is None else max_increase)
        of_test = f"tags.`{TEST_TAG}` = '{self.test.replace(chr(39), chr(39) * 2)}'"
        both = f"({filter_string}) AND {of_test}" if filter_string else of_test
        with Store(path, read_only=True) as earlier:
            if not earlier.count_traces(both):
                return False
            before = earlier.metrics(list(allowed), both)[0]
        now = self.store.metrics(list(allowed), filter_string)[0]
        worse = [
            f"{name}: {now[name]:g}, was {before[name]:g} (at most {share:+.0%})"
            for name, share in allowed.items()
            if now[name] is not None
            and before[name] is not None
            and now[name] > before[name] * (1 + share) + 1e-9
        ]
        if worse:
            raise AssertionError(
                f"{self.test} is worse than in {os.fspath(path)}:\n" + "\n".join(worse)
            )
        return True


def milliseconds(given: float | str) -> float:
    """Return a length of time in milliseconds: a number of seconds, or text such as "500ms".

    Example:
        >>> milliseconds("1.5s"), milliseconds(2)
        (1500.0, 2000)
    """
    if isinstance(given, str):
        return parse(f"latency_max <= {given}").bound
    return given * 1_000


def _check_spans(trace: Trace, spans: Sequence[str], *, no_errors: bool) -> None:
    names = {span.name for span in trace.data.spans}
    missing = [name for name in spans if name not in names]
    if missing:
        _fail(f"has no span {', '.join(map(repr, missing))}", trace)
    if not no_errors:
        return
    failed = [span.name for span in trace.data.spans if str(span.status.status_code) == "ERROR"]
    if failed or trace.info.state == "ERROR":
        _fail(f"has failed in {', '.join(map(repr, failed)) or 'itself'}", trace)


def _check_bounds(trace: Trace, limit_ms: float | None, max_tokens: int | None) -> None:
    taken_ms = trace.info.execution_duration
    if limit_ms is not None and (taken_ms is None or taken_ms > limit_ms):
        taken = "has not ended" if taken_ms is None else f"took {taken_ms:,} ms"
        _fail(f"{taken}, at most {limit_ms:,g} ms are allowed", trace)
    used = (trace.info.token_usage or {}).get("total_tokens", 0)
    if max_tokens is not None and used > max_tokens:
        _fail(f"used {used:,} tokens, at most {max_tokens:,} are allowed", trace)


def _fail(reason: str, trace: Trace) -> None:
    raise AssertionError(f"trace {trace.info.name!r} {reason}\n{display.trace_text(trace)}")
