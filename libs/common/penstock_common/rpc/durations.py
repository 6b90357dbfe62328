"""A ``google.protobuf.Duration`` that somebody else has written: any 64 and 32 bits, of which few are a duration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from penstock_common.errors import InvalidRequest

_MOST_NANOS = 999_999_999
_NANOS_PER_MICROSECOND = 1000
_DAY = timedelta(days=1)


def duration_from(message: Any, field: str, most: timedelta, path: str = "") -> timedelta | None:
    """Return the duration in ``field``, None where it is unset; ``path`` is how an error names the field.

    Raises:
        InvalidRequest: if it is none by protobuf's rules, negative, or longer than ``most``.
    """
    if not message.HasField(field):
        return None
    duration = getattr(message, field)
    seconds, nanos = duration.seconds, duration.nanos
    # The longest that we take is far below what a timedelta can hold.
    if 0 <= seconds <= most.total_seconds() and 0 <= nanos <= _MOST_NANOS:
        value = timedelta(seconds=seconds, microseconds=nanos // _NANOS_PER_MICROSECOND)
        if value <= most:
            return value
    path = path or field
    raise InvalidRequest(f"{path} must be between 0 and {_said(most)}.", field=path)


def _said(most: timedelta) -> str:
    return f"{most.days} days" if not most % _DAY else f"{most // timedelta(seconds=1)} seconds"
