"""What applications hand over to be judged."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from penstock_common.errors import InvalidRequest, RateLimited, ServiceUnavailable
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.audit import Now, utc_now
from penstock_gateway.domain.reviews.flag import Flag, ReviewDesk, Source, Surface
from penstock_gateway.domain.reviews.item import ReviewItem
from penstock_gateway.domain.reviews.ports import ReviewStore
from penstock_gateway.domain.reviews.reviewing import Reviewer, check_text

OPEN_REVIEWS = "open_reviews"
_MAX_ID = 64
_RETRY_AFTER = timedelta(minutes=1)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What an application says of a text."""

    text: str
    tenant: str = ""
    context: str = ""
    surface: Surface = Surface.OUTPUT
    model: str = ""
    user: str = ""
    generation_id: str = ""
    hold: bool = False


class Opening:
    """Makes items of what applications say."""

    def __init__(self, desk: ReviewDesk, store: ReviewStore, now: Now = utc_now) -> None:
        self._desk = desk
        self._store = store
        self._now = now

    async def open(self, asker: Reviewer, wanted: Wanted) -> ReviewItem:
        """Return the new item, or the one that holds the same already.

        Raises:
            InvalidRequest: if there is no text, or something is too long.
            RateLimited: if as many are undecided as may be.
        """
        actor = asker.actor
        owner = bounds.required_tenant(actor.meant(wanted.tenant))
        if not wanted.text.strip():
            raise InvalidRequest("text must say what is to be judged.", field="text")
        check_text("text", wanted.text)
        check_text("context", wanted.context)
        flag = Flag(
            tenant=owner,
            key_id=asker.counted_key_id,
            source=Source.CALLER,
            surface=wanted.surface,
            text=wanted.text,
            context=wanted.context,
            public_model=bounds.model(wanted.model),
            user=bounds.end_user(wanted.user),
            user_id=actor.user_id,
            request_id=actor.request_id,
            generation_id=bounds.readable("generation_id", wanted.generation_id, 0, _MAX_ID),
            hold=wanted.hold,
        )
        review_id = await self._desk.flag(flag)
        if not review_id:
            raise RateLimited(
                "As many items wait for a reviewer as may: hand over more when some are decided.",
                limit=OPEN_REVIEWS,
                retry_after=_RETRY_AFTER,
            )
        item = await self._store.get(owner, review_id, self._now())
        if item is None:
            # Decided and forgotten since, which takes days.
            raise ServiceUnavailable("The database does not answer. Try again.", service="sql")
        return item
