"""A message to a webhook, and when it is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

RETRY_AFTER = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""What lies between one try and the next, 75 h 35 min in all; after the last there is no more (Standard Webhooks 1.0.0)."""
LONGEST_ASKED = timedelta(hours=24)
"""That a receiver may put the next try off by its Retry-After."""
JITTER = 0.2
"""By so much of it, more or less, so that what failed together is not tried together."""
GONE = 410
"""The status by which an endpoint says that it wants no more."""


class DeliveryState(StrEnum):
    """How a delivery is."""

    WAITING = "waiting"
    """It is due now, or later."""
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    """The last try has failed."""
    DISABLED = "disabled"
    """Its endpoint wants no more, or is not configured any more."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message to ``webhook``, the name of an endpoint; ``body`` is JSON. ``id`` stays the same over all tries."""

    id: str
    webhook: str
    type: str
    body: str
    created_at: datetime
    next_at: datetime
    attempts: int = 0
    state: DeliveryState = DeliveryState.WAITING
    error: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """How a try went: the status that came back, 0 where none did, and why it failed; empty where it did not.

    ``retry_after``: how long the receiver asks to be left alone.
    """

    status: int = 0
    error: str = ""
    retry_after: timedelta | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the endpoint has it."""
        return not self.error


def message(kind: str, now: datetime, data: Mapping[str, object]) -> str:
    """Return the body of a message as Standard Webhooks has it: a type, a time, and the data of the type."""
    stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.json.encode({"type": kind, "timestamp": stamp, "data": dict(data)}).decode()


def after_try(delivery: Delivery, outcome: Outcome, now: datetime, draw: float) -> Delivery:
    """Return the delivery after a try; ``draw`` from 0 to 1 spreads the next."""
    attempts = delivery.attempts + 1
    tried = msgspec.structs.replace(delivery, attempts=attempts, error=outcome.error)
    if outcome.is_delivered:
        return msgspec.structs.replace(tried, state=DeliveryState.DELIVERED)
    if outcome.status == GONE:
        return msgspec.structs.replace(tried, state=DeliveryState.DISABLED)
    if attempts > len(RETRY_AFTER):
        return msgspec.structs.replace(tried, state=DeliveryState.EXHAUSTED)
    wait = RETRY_AFTER[attempts - 1] * (1 + JITTER * (2 * draw - 1))
    if outcome.retry_after is not None:
        wait = max(wait, min(outcome.retry_after, LONGEST_ASKED))
    return msgspec.structs.replace(tried, next_at=now + wait)
