"""When a refused request may be asked again, by the status and headers of the refusal.

Servers write ``Retry-After`` in seconds or as a date (RFC 9110, 10.2.3), OpenAI
and Azure also ``retry-after-ms``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

# A day is longer than any wait that is meant; more overflows a timedelta.
_LONGEST_SECONDS = 86400.0 * 1000

_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


def may_pass(status: int) -> bool:
    """Return whether the same request may be answered later."""
    return status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return when to come again, from milliseconds, seconds or an HTTP date; None where none can be read.

    A date is read against the response's own ``Date``, as the server's clock need not be ours; one that is past says nothing.
    """
    milliseconds = seconds_in(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return timedelta(milliseconds=milliseconds)
    value = headers.get("retry-after", "")
    seconds = seconds_in(value)
    if seconds is not None:
        return timedelta(seconds=seconds)
    try:
        wait = _date_in(value) - _now_of(headers.get("date", ""))
    except (ValueError, OverflowError):
        # No date, or one that no calendar reaches.
        return None
    return wait if wait > timedelta(0) else None


def _now_of(date: str) -> datetime:
    try:
        return _date_in(date)
    except (ValueError, OverflowError):
        return datetime.now(UTC)


def _date_in(text: str) -> datetime:
    date = parsedate_to_datetime(text)
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def seconds_in(text: str) -> float | None:
    """Return a number that can be a wait; None where the text is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return min(number, _LONGEST_SECONDS) if math.isfinite(number) and number >= 0 else None
