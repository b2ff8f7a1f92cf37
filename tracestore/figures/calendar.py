"""Buckets of time in a time zone: from "1h" and a moment to the start of its bucket, and of the next one.

Steps below a day begin at local midnight and are equally long, so a day with a change of the clock has one more
or one less of them, or a last one that is shorter; days and weeks begin at local midnight, weeks on Monday.
Pure functions of milliseconds since 1970. Invariant: `start_of(ms) <= ms < after(start_of(ms))`.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo

from tracestore.errors import InvalidArgumentError

_STEP = re.compile(r"([1-9]\d{0,5})\s*(s|m|min|h|d|w)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAY_MS = 86_400_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)

#: Today's time zones are whole quarters of an hour from UTC.
_SLOT_MS = 900_000

#: Buckets that an answer may have.
MAX_BUCKETS = 100_000


class Calendar:
    """Buckets of one length in one time zone.

    Args:
        every: A number and s, m (or min), h, d or w: "15m", "1h", "1d". Below a day it must divide a day.
        zone: A time zone, or its name such as "Europe/Berlin"; None: UTC.

    Raises:
        InvalidArgumentError: Either can't be read.

    Example:
        >>> Calendar("1d", "Europe/Berlin").moment(0).isoformat()
        '1970-01-01T01:00:00+01:00'
    """

    def __init__(self, every: str, zone: dt.tzinfo | str | None = None) -> None:
        match = _STEP.fullmatch(every.strip()) if isinstance(every, str) else None
        if match is None:
            raise InvalidArgumentError(f"every is {every!r:.200}; write '15m', '1h', '1d' or '1w'")
        self.step_ms = int(match[1]) * _SECONDS[match[2]] * 1_000
        if self.step_ms < _DAY_MS and _DAY_MS % self.step_ms:
            raise InvalidArgumentError(f"every is {every!r}; below a day it must divide a day")
        if self.step_ms > 3_660 * _DAY_MS:
            raise InvalidArgumentError(f"every is {every!r}; it can be ten years at most")
        self.zone = zone_of(zone)
        #: Buckets by slots of time that lie in one bucket whole: a million moments fall into few of them.
        self._starts: dict[int, int] = {}
        self._slot_ms = min(self.step_ms, _SLOT_MS)

    def start_of(self, time_ms: int) -> int:
        """Return when the bucket of a moment begins."""
        slot = time_ms // self._slot_ms
        start = self._starts.get(slot)
        if start is not None:
            return start
        start = self._compute(slot * self._slot_ms)
        if start != self._compute((slot + 1) * self._slot_ms - 1):
            return self._compute(time_ms)  # a bucket ends within the slot
        if len(self._starts) > MAX_BUCKETS:
            self._starts.clear()
        self._starts[slot] = start
        return start

    def after(self, start_ms: int) -> int:
        """Return when the bucket after the one that begins then does."""
        day = self._day_of(start_ms)
        if self.step_ms < _DAY_MS:
            return min(start_ms + self.step_ms, self._midnight(day + 1))
        return self._midnight(day + self.step_ms // _DAY_MS)

    def moment(self, time_ms: int) -> dt.datetime:
        """Return a moment as a time in the zone."""
        try:
            return (_EPOCH + dt.timedelta(milliseconds=time_ms)).astimezone(self.zone)
        except OverflowError:
            raise InvalidArgumentError(
                f"a trace starts at {time_ms} ms, which no calendar has; leave it out by a filter"
            ) from None

    def between(self, first_ms: int, last_ms: int) -> list[int]:
        """Return when every bucket from that of `first_ms` to that of `last_ms` begins.

        Raises:
            InvalidArgumentError: There are more than 100,000.
        """
        starts = [self.start_of(first_ms)]
        while (following := self.after(starts[-1])) <= last_ms:
            starts.append(following)
            if len(starts) > MAX_BUCKETS:
                raise InvalidArgumentError(
                    f"every makes more than {MAX_BUCKETS:,} buckets: take longer ones, or narrow the filter"
                )
        return starts

    def _compute(self, time_ms: int) -> int:
        day = self._day_of(time_ms)
        if self.step_ms < _DAY_MS:
            midnight = self._midnight(day)
            return midnight + (time_ms - midnight) // self.step_ms * self.step_ms
        days = self.step_ms // _DAY_MS
        offset = 1 if days % 7 == 0 else _EPOCH.toordinal()  # day 1 of year 1 is a Monday
        return self._midnight((day - offset) // days * days + offset)

    def _day_of(self, time_ms: int) -> int:
        """Return the local day, by number, between whose midnights a moment is.

        Where the clock is changed across midnight that is not the day that it shows.
        """
        day = self.moment(time_ms).toordinal()
        if time_ms < self._midnight(day):
            return day - 1
        return day + 1 if time_ms >= self._midnight(day + 1) else day

    def _midnight(self, day: int) -> int:
        """Return when a local day begins, in milliseconds since 1970."""
        try:
            local = dt.datetime.fromordinal(day).replace(tzinfo=self.zone)
            return (local - _EPOCH) // dt.timedelta(milliseconds=1)
        except (OverflowError, ValueError):
            raise InvalidArgumentError(
                "buckets reach beyond the calendar; narrow the filter"
            ) from None


def zone_of(zone: dt.tzinfo | str | None) -> dt.tzinfo:
    """Return a time zone by its name; UTC for None.

    Raises:
        InvalidArgumentError: There is none of that name on this machine.
    """
    if zone is None or (isinstance(zone, str) and zone.upper() == "UTC"):
        return dt.timezone.utc
    if isinstance(zone, dt.tzinfo):
        return zone
    try:
        return zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise InvalidArgumentError(
            f"there is no time zone {zone!r:.100}; write it as in 'Europe/Berlin'"
        ) from None
