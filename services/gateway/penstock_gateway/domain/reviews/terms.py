"""How long reviews take, and how many may wait."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from penstock_gateway.domain.reviews.item import Decision, Ruling
from penstock_gateway.domain.reviews.ports import Expiry, Room

MAX_LEASE = timedelta(hours=8)
MAX_NOTE = 1024
"""Characters of what a reviewer says."""


class ReviewTerms(msgspec.Struct, frozen=True, kw_only=True):
    """``service_level``: until when an item should be decided, from its flag on; ``expires_after``: when it is by itself.

    ``lease``: how long a claim lasts that says nothing of it. ``kept``: how long it is known what was decided;
    ``content_kept``: how long it is known of what.
    """

    service_level: timedelta = timedelta(hours=4)
    expires_after: timedelta = timedelta(hours=24)
    expiry: Expiry = Expiry(Ruling(decision=Decision.BLOCK))
    lease: timedelta = timedelta(minutes=15)
    room: Room = Room(10_000, 1_000)
    kept: timedelta = timedelta(days=90)
    content_kept: timedelta = timedelta(days=30)
    every: timedelta = timedelta(seconds=30)

    @property
    def soon(self) -> timedelta:
        """How long before its time an item is due soon: the last quarter."""
        return self.service_level / 4
