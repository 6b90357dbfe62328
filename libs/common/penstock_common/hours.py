"""Hours of the week by the clocks of a time zone: when something holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_OF_A_DAY = 24 * 60
_OF_A_WEEK = len(DAYS) * MINUTES_OF_A_DAY


@dataclass(frozen=True, slots=True)
class WeekHours:
    """From ``start`` to before ``end``, in minutes after midnight, on some days of the week; Monday is 0.

    An ``end`` that is not after ``start`` is on the next day: from 22:00 to 06:00 on Fridays holds on Saturday at 5. What the
    clocks show counts: an hour that they skip is not there, one that they show twice holds twice.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: str
    """Of the IANA database."""

    def hold(self, moment: datetime) -> bool:
        """Return whether it is one of these hours at a moment, whose own zone does not matter."""
        local = moment.astimezone(ZoneInfo(self.zone))
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        return (day in self.days and minute >= self.start) or ((day - 1) % len(DAYS) in self.days and minute < self.end)

    def minutes(self) -> frozenset[int]:
        """Return the minutes of a week, from Monday's midnight on, in which it holds."""
        last = self.end if self.start < self.end else self.end + MINUTES_OF_A_DAY
        return frozenset(
            (day * MINUTES_OF_A_DAY + minute) % _OF_A_WEEK for day in self.days for minute in range(self.start, last)
        )
