"""How a job is to be run: what its submitter may say of it, and what holds where they say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from penstock_common.errors import InvalidRequest
from penstock_common.priority import Priority

MAX_DEADLINE, MAX_RESULT_TTL, MAX_DELAY = timedelta(days=7), timedelta(days=30), timedelta(days=30)
MAX_ATTEMPTS = 10
MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE = 16, 64, 512
"""Pairs, and characters of each."""


class JobTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a submitter says; None, 0 and empty: nothing."""

    priority: Priority | None = None
    due_at: datetime | None = None
    deadline: timedelta | None = None
    max_attempts: int = 0
    result_ttl: timedelta | None = None
    webhook: str = ""
    metadata: Mapping[str, str] = {}


NO_TERMS = JobTerms()


class UsualTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds where a submitter says nothing."""

    priority: Priority = Priority.SHEDDABLE
    deadline: timedelta = timedelta(hours=24)
    max_attempts: int = 5
    result_ttl: timedelta = timedelta(hours=24)
    max_queued: int = 200_000
    """Jobs of one tenant."""


def check_terms(terms: JobTerms, now: datetime) -> None:
    """Check what a submitter says.

    Raises:
        InvalidRequest: if it is out of bounds.
    """
    for field, value, most in (
        ("deadline", terms.deadline, MAX_DEADLINE),
        ("result_ttl", terms.result_ttl, MAX_RESULT_TTL),
        ("due_at", None if terms.due_at is None else terms.due_at - now, MAX_DELAY),
    ):
        if value is not None and (value > most or (field != "due_at" and value <= timedelta())):
            days = most // timedelta(days=1)
            raise InvalidRequest(f"options.{field} must be longer than nothing and at most {days} days.", field=field)
    if not 0 <= terms.max_attempts <= MAX_ATTEMPTS:
        raise InvalidRequest(f"options.max_attempts must be 1 to {MAX_ATTEMPTS}.", field="max_attempts")
    _check_metadata(terms.metadata)


def _check_metadata(metadata: Mapping[str, str]) -> None:
    if len(metadata) > MAX_METADATA:
        raise InvalidRequest(f"metadata has {len(metadata)} pairs, of {MAX_METADATA} at most.", field="metadata")
    for key, value in metadata.items():
        if not 0 < len(key) <= MAX_METADATA_KEY or len(value) > MAX_METADATA_VALUE:
            text = f"metadata: keys have 1 to {MAX_METADATA_KEY} characters, values at most {MAX_METADATA_VALUE}."
            raise InvalidRequest(text, field="metadata")
