"""The time in which a limit counts: a sliding one, a calendar's, all time, or this moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

MINUTE, HOUR, ROLLING_DAY = 60, 3_600, 86_400


class WindowKind(StrEnum):
    """How a window moves."""

    NOW = "now"
    """What is under way at once."""
    ROLLING = "rolling"
    """Refilled continuously, all of it in ``seconds``."""
    DAY = "day"
    WEEK = "week"
    """From Monday on."""
    MONTH = "month"
    TOTAL = "total"
    """A sum that is never given back."""


class Window(msgspec.Struct, frozen=True, gc=False):
    """``seconds`` of a rolling window; ``zone`` is the IANA name of the time zone whose calendar counts."""

    kind: WindowKind
    seconds: int = 0
    zone: str = "UTC"

    def __str__(self) -> str:
        """Return it as messages say it: ``minute``, ``day``, ``90 s``."""
        if self.kind is not WindowKind.ROLLING:
            return self.kind.value
        return _ROLLING.get(self.seconds, f"{self.seconds} s")

    @property
    def is_calendar(self) -> bool:
        """Whether it begins and ends with days of a time zone."""
        return self.kind in (WindowKind.DAY, WindowKind.WEEK, WindowKind.MONTH)


class Period(msgspec.Struct, frozen=True, gc=False):
    """One turn of a calendar window, from ``start`` until before ``end``, both in UTC."""

    start: datetime
    end: datetime


NOW = Window(WindowKind.NOW)
PER_MINUTE, PER_HOUR, PER_DAY = (Window(WindowKind.ROLLING, seconds) for seconds in (MINUTE, HOUR, ROLLING_DAY))
TOTAL = Window(WindowKind.TOTAL)
EVER = Period(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_ROLLING = {MINUTE: "minute", HOUR: "hour", ROLLING_DAY: "24 hours"}


def period_of(window: Window, now: datetime) -> Period:
    """Return the turn of a calendar window that ``now`` is in; all time for any other window.

    A day begins at its first moment: where the clocks are put forward at midnight, that is 01:00.
    """
    if not window.is_calendar:
        return EVER
    local = now.astimezone(_zone(window.zone))
    first = local.date()
    if window.kind is WindowKind.WEEK:
        first -= timedelta(days=first.weekday())
    elif window.kind is WindowKind.MONTH:
        first = first.replace(day=1)
    return _period(window, datetime(first.year, first.month, first.day))  # noqa: DTZ001 - the zone's own midnight


@lru_cache(maxsize=1024)
def _period(window: Window, first: datetime) -> Period:
    if window.kind is WindowKind.DAY:
        following = first + timedelta(days=1)
    elif window.kind is WindowKind.WEEK:
        following = first + timedelta(days=7)
    else:
        following = (first + timedelta(days=31)).replace(day=1)
    zone = _zone(window.zone)
    return Period(first.replace(tzinfo=zone).astimezone(UTC), following.replace(tzinfo=zone).astimezone(UTC))


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
