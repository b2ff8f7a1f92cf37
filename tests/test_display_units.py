"""Numbers in words."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracestore.display.units import (
    cost_text,
    count_text,
    duration_text,
    short_time_text,
    size_text,
    time_text,
)


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (None, "-"),
        (0, "0"),
        (850, "850 ns"),
        (1_000, "1 µs"),
        (999_499, "999 µs"),
        (999_500, "1.00 ms"),
        (12_345_678, "12.3 ms"),
        (1_500_000_000, "1.5 s"),
        (1_303_000_000, "1.30 s"),
        (59_940_000_000, "59.9 s"),
        (59_999_000_000, "60.0 s"),
        (60_000_000_000, "1 min 00 s"),
        (125_000_000_000, "2 min 05 s"),
        (999_600_000_000, "16 min 39 s"),
        (12_000_000_000_000, "3 h 20 min"),
        (352_800_000_000_000, "4 d 02 h"),
        (-2_000_000, "-2 ms"),
    ],
)
def test_durations_have_three_digits_and_a_unit(duration_ns: int | None, text: str) -> None:
    assert duration_text(duration_ns) == text


@given(st.integers(-(2**63), 2**63))
def test_any_duration_has_a_short_text(duration_ns: int) -> None:
    assert 0 < len(duration_text(duration_ns)) <= 15


def test_absurd_numbers_have_a_text_too() -> None:
    assert " d " in duration_text(10**400)
    assert time_text(10**400) == f"time {10**400} ms"


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"),
     (3_400_000, "3.4 MB"), (5_600_000_000, "5.6 GB")],
)  # fmt: skip
def test_sizes_have_a_unit(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (None, ""),
        ({"total_cost": 0.0000774}, "$0.0000774"),
        ({"total_cost": 0.005295}, "$0.005295"),
        ({"total_cost": 12_345.678}, "$12,350"),
        ({"total_cost": 0}, "$0"),
        ({"total_cost": float("nan")}, ""),
        ({"total_cost": 1e300}, ""),
        ({"total_cost": "1"}, ""),
    ],
)
def test_costs_have_four_digits_and_no_exponent(cost: dict[str, Any] | None, text: str) -> None:
    assert cost_text(cost) == text


def test_counts_agree_with_their_noun() -> None:
    assert count_text(1, "span") == "1 span"
    assert count_text(2_300, "span") == "2,300 spans"
    assert count_text(0, "entry", "entries") == "0 entries"


def test_times_name_their_zone() -> None:
    india = timezone(timedelta(hours=5, minutes=30))

    assert time_text(1_795_199_528_123, timezone.utc) == "2026-11-20 18:32:08.123 UTC"
    assert time_text(1_795_199_528_123, india) == "2026-11-21 00:02:08.123 UTC+05:30"
    assert time_text(-1, timezone.utc) == "1969-12-31 23:59:59.999 UTC"
    assert time_text(None) == "-"
    assert short_time_text(1_795_199_528_123, india) == "2026-11-21 00:02:08+05:30"
    assert short_time_text(None) == "-"


@given(st.integers(-(2**63), 2**63))
def test_any_time_has_a_text(time_ms: int) -> None:
    assert time_text(time_ms, timezone.utc)
