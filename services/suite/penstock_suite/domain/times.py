"""Times as people type them: months, days, moments, and how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_MONTH = re.compile(r"(\d{4})-(\d{2})")
_AGO = re.compile(r"(\d{1,5})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 168}


def zone_named(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name.

    Raises:
        ValueError: if there is none.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"there is no time zone '{name}'; say such as Europe/Berlin") from None


def month_of(text: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the first moments, in UTC, of a month such as 2026-10 and of the next.

    Raises:
        ValueError: if it is none.
    """
    match = _MONTH.fullmatch(text)
    if match is None or not 1 <= int(match[2]) <= 12 or not 1 <= int(match[1]) < 9999:
        raise ValueError("a month such as 2026-10 is expected")
    first = datetime(int(match[1]), int(match[2]), 1)
    following = (first + timedelta(days=31)).replace(day=1)
    return _in_utc(first, zone), _in_utc(following, zone)


def month_before(text: str) -> str:
    """Return the month before one."""
    year, month = int(text[:4]), int(text[5:])
    return f"{year - 1}-12" if month == 1 else f"{year}-{month - 1:02}"


def moment_of(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """Return a moment in UTC: 2026-10-31 or 2026-10-31T12:00 by the zone's clocks, one with an offset, or 30d ago.

    Raises:
        ValueError: if it is none.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - timedelta(hours=int(ago[1]) * _HOURS[ago[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a time such as 2026-10-31, 2026-10-31T12:00Z or 30d is expected") from None
    return moment.astimezone(UTC) if moment.tzinfo else _in_utc(moment, zone)


def _in_utc(local: datetime, zone: ZoneInfo) -> datetime:
    return local.replace(tzinfo=zone).astimezone(UTC)
