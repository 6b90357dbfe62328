"""Reviews, as the configuration says them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from penstock_common.configuration import Duration, Section
from penstock_common.faults import KeyPath, nearest, refuse
from penstock_gateway.domain.feedback.judgement import Reason
from penstock_gateway.domain.reviews.item import Decision, Ruling
from penstock_gateway.domain.reviews.ports import Expiry, Room
from penstock_gateway.domain.reviews.terms import MAX_LEASE, ReviewTerms

_POSITIVE = ("service_level", "expires_after", "lease", "kept", "content_kept", "every")
_USUAL = ReviewTerms()
_EXPIRIES = {
    "refuse": Expiry(Ruling(decision=Decision.BLOCK)),
    "release": Expiry(Ruling(decision=Decision.ALLOW)),
    "escalate": Expiry(None),
}


class ReviewSettings(Section):
    """What people are to judge ([reviews](reviews.md))."""

    service_level: Duration = _USUAL.service_level
    """Until when an item should be decided, from its flag on; later it is overdue."""
    expires_after: Duration = _USUAL.expires_after
    """After this `on_expiry` is done with an item that nobody is at; not shorter than `service_level`."""
    on_expiry: Literal["refuse", "release", "escalate"] = "refuse"
    """`refuse` blocks the text, `release` allows it, `escalate` leaves it to those who decide escalated items."""
    lease: Duration = _USUAL.lease
    """How long an item is a reviewer's whose claim says nothing of it; at most 8h."""
    max_open: Annotated[int, Field(ge=1)] = _USUAL.room.tenant
    """Undecided items of one tenant; then no more are taken."""
    max_open_per_key: Annotated[int, Field(ge=1)] = _USUAL.room.key
    """Undecided items of one key's requests; then no more of it are taken."""
    content_kept: Duration = _USUAL.content_kept
    """How long what a decided item holds is kept."""
    kept: Duration = _USUAL.kept
    """How long it is known what was decided."""
    every: Duration = _USUAL.every
    """How often a process looks for items whose time is over, and that are old."""
    feedback_reasons: list[Reason] = []
    """Thumbs down for these reasons are for a reviewer, too, such as `unsafe` and `wrong`."""
    webhooks: list[str] = []
    """Those of `webhooks` that hear of decisions, of the tenants that they name, or of all where they name none; what tenants
    have made hears of `review.decided` and `review.escalated` where it wants to."""
    disputes: bool = False
    """Whether feedback that removes an entry of the cache is for a reviewer, too."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        refuse(((name,), "it must be longer than nothing") for name in _POSITIVE if getattr(self, name) <= timedelta())
        if self.lease > MAX_LEASE:
            refuse([(("lease",), "at most 8h is expected")])
        if self.expires_after < self.service_level:
            refuse([(("expires_after",), "it must not be shorter than service_level")])
        if self.content_kept > self.kept:
            refuse([(("content_kept",), "it must not be longer than kept")])
        return self

    @property
    def terms(self) -> ReviewTerms:
        """How long reviews take, and how many may wait."""
        return ReviewTerms(
            service_level=self.service_level,
            expires_after=self.expires_after,
            expiry=_EXPIRIES[self.on_expiry],
            lease=self.lease,
            room=Room(self.max_open, self.max_open_per_key),
            kept=self.kept,
            content_kept=self.content_kept,
            every=self.every,
        )


def reviews_at_odds(reviews: ReviewSettings, webhooks: Collection[str]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong with reviews beside the webhooks that there are."""
    for index, name in enumerate(reviews.webhooks):
        if name not in webhooks:
            yield ("reviews", "webhooks", index), f"there is no webhook '{name}'{nearest(name, set(webhooks))}"
