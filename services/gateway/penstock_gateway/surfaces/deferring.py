"""What a request's head says of an answer that may come later: ``Prefer: respond-async`` and ``x-penstock-when-limited``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from penstock_common.errors import InvalidRequest, PenstockError, QuotaExhausted, RateLimited
from penstock_gateway.domain.idempotency.keys import KEY_HEADER

PREFER_HEADER, LIMITED_HEADER = "prefer", "x-penstock-when-limited"
QUEUED_HEADER = "x-penstock-queued-reason"
"""Tells which limit a request waits for."""
DEFERRING = (KEY_HEADER, PREFER_HEADER, LIMITED_HEADER)
"""A request without these headers is answered as it comes."""
JOBS_PATH = "/api/v1/jobs/"
MOST_WAIT = timedelta(minutes=10)
_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,9})"?')
_RESPOND_ASYNC = "respond-async"
# A limit that is back at once lets the next one in; this one comes a little later.
_LEAST_DELAY = timedelta(milliseconds=100)


class Preference(NamedTuple):
    """What a client prefers (RFC 7240): an answer later, after it has waited so long for one now."""

    is_async: bool = False
    wait: timedelta = timedelta()
    applied: str = ""
    """What is answered to it, where it is honoured."""


def preference_in(headers: Mapping[str, str]) -> Preference:
    """Return what ``Prefer`` says; what is unknown of it means nothing, as the RFC has it."""
    words = [word.split(";", 1)[0].strip().lower() for word in headers.get(PREFER_HEADER, "").split(",")]
    if _RESPOND_ASYNC not in words:
        return Preference()
    for word in words:
        match = _WAIT.fullmatch(word)
        if match is not None:
            wait = min(timedelta(seconds=int(match[1])), MOST_WAIT)
            return Preference(True, wait, f"{_RESPOND_ASYNC}, wait={int(wait.total_seconds())}")
    return Preference(True, applied=_RESPOND_ASYNC)


def queues_when_limited(headers: Mapping[str, str]) -> bool:
    """Return whether a request that a limit refuses for now is to wait for its allowance.

    Raises:
        InvalidRequest: for a word that means nothing here.
    """
    word = headers.get(LIMITED_HEADER)
    if word is None:
        return False
    word = word.strip().lower()
    if word not in ("queue", "refuse"):
        raise InvalidRequest(f"{LIMITED_HEADER} must be queue or refuse.", field=LIMITED_HEADER)
    return word == "queue"


def due_after(error: PenstockError | None, most: timedelta) -> datetime | None:
    """Return when the allowance is back that refused a request; None where that is later than ``most``, or nobody knows."""
    now = datetime.now(UTC)
    if isinstance(error, RateLimited):
        due = now + max(error.retry_after, _LEAST_DELAY)
    elif isinstance(error, QuotaExhausted) and error.resets_at:
        due = datetime.fromisoformat(error.resets_at)
    else:
        return None
    return due if due <= now + most else None


def reason_of_limit(error: PenstockError | None) -> str:
    """Return whose limit refused a request, and which: ``team search; tokens_per_minute``."""
    if not isinstance(error, RateLimited | QuotaExhausted):
        return ""
    return f"{error.scope}; {error.limit}" if error.scope else error.limit
