"""The turns of a calendar, by the clocks of a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.limits.windows import Period, Window, WindowKind, period_of

MAX_TURNS = 1500
"""Of one report: the minutes of a day, or the hours of two months."""


class Step(StrEnum):
    """How long a turn is."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    """From Monday on."""
    MONTH = "month"


_WINDOWS = {Step.DAY: WindowKind.DAY, Step.WEEK: WindowKind.WEEK, Step.MONTH: WindowKind.MONTH}
_SECONDS = {Step.MINUTE: 60, Step.HOUR: 3600}


def known_zone(name: str, field: str = "time_zone") -> str:
    """Return the IANA name of a time zone; empty means UTC.

    Raises:
        InvalidRequest: if there is no such zone.
    """
    if not name:
        return "UTC"
    try:
        ZoneInfo(name)
    except (OSError, ValueError):
        # OSError has those that are not there, and folders of zones.
        raise _no_zone(name, field) from None
    except KeyError:
        raise _no_zone(name, field) from None
    return name


def turns(step: Step, zone: str, since: datetime, until: datetime) -> tuple[datetime, ...]:
    """Return the moments at which turns begin, in UTC, from that of ``since`` on and before ``until``.

    Raises:
        InvalidRequest: if there are too many.
    """
    found: list[datetime] = []
    for start in _starts(step, zone, since):
        if start >= until:
            break
        found.append(start)
        if len(found) > MAX_TURNS:
            raise InvalidRequest(
                f"That is more than {MAX_TURNS} times a {step}: ask for a shorter time, or a longer step.",
                field="since",
            )
    return tuple(found)


def turn_after(step: Step, zone: str, start: datetime) -> datetime:
    """Return when the turn that begins at ``start`` ends."""
    if step in _SECONDS:
        return start + timedelta(seconds=_SECONDS[step])
    return _period(step, zone, start).end


def _starts(step: Step, zone: str, since: datetime) -> Iterator[datetime]:
    start = _start(step, zone, since)
    while True:
        yield start
        start = turn_after(step, zone, start)


def _start(step: Step, zone: str, moment: datetime) -> datetime:
    if step not in _SECONDS:
        return _period(step, zone, moment).start
    # An hour begins with the zone's own: in Kathmandu at a quarter to the hour of UTC.
    offset = moment.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    passed = (moment + offset).timestamp() % _SECONDS[step]
    return (moment - timedelta(seconds=passed)).astimezone(UTC)


def _period(step: Step, zone: str, moment: datetime) -> Period:
    return period_of(Window(_WINDOWS[step], zone=zone), moment)


def _no_zone(name: str, field: str) -> InvalidRequest:
    return InvalidRequest(f"There is no time zone '{name[:64]}': say such as Europe/Berlin.", field=field)
