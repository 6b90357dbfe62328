"""Taking flags: each is kept before it is answered, in a queue that nobody can fill alone."""

from __future__ import annotations

import msgspec
import structlog

from penstock_common.errors import ServiceUnavailable
from penstock_gateway.domain.administration.audit import Now, utc_now
from penstock_gateway.domain.feedback.judgement import Feedback, Reason
from penstock_gateway.domain.reviews.flag import Flag, Source, Surface, shortened
from penstock_gateway.domain.reviews.item import Content, ReviewItem, new_review_id
from penstock_gateway.domain.reviews.observing import NobodyCounts, ReviewObserver
from penstock_gateway.domain.reviews.ports import Outcome, ReviewStore
from penstock_gateway.domain.reviews.terms import ReviewTerms

_log = structlog.get_logger(__name__)


class FlagDesk:
    """Implements ``ReviewDesk``."""

    def __init__(self, store: ReviewStore, terms: ReviewTerms, now: Now = utc_now) -> None:
        self.observer: ReviewObserver = NobodyCounts()
        self._store = store
        self._terms = terms
        self._now = now

    async def flag(self, flag: Flag) -> str:
        """Return the id of the item that the flag became; see the port."""
        item, content = self._formed(flag)
        added = await self._store.add(item, content, self._terms.room)
        self.observer.flagged(flag.source, added.outcome)
        if added.outcome is Outcome.FULL:
            _log.warning("reviews_full", tenant=flag.tenant, source=flag.source.value, rule=flag.rule)
        return added.id

    def _formed(self, flag: Flag) -> tuple[ReviewItem, Content]:
        now, flag = self._now(), shortened(flag)
        text = _kept(flag.text)
        found = tuple(one for one in flag.found if 0 <= one.start < one.end <= len(text))
        item = ReviewItem(
            id=new_review_id(now),
            tenant=flag.tenant,
            key_id=flag.key_id,
            source=flag.source,
            surface=flag.surface,
            created_at=now,
            due_at=now + self._terms.service_level,
            expires_at=now + self._terms.expires_after,
            user=flag.user,
            user_id=flag.user_id,
            rule=flag.rule,
            rule_version=flag.rule_version,
            public_model=flag.public_model,
            request_id=flag.request_id,
            generation_id=flag.generation_id,
            kinds=tuple(sorted({one.kind for one in flag.found})),
            held=flag.hold,
        )
        return item, Content(text=text, context=_kept(flag.context), found=found)


class FeedbackFlags(msgspec.Struct, frozen=True):
    """Implements ``giving.GivenObserver``: feedback for one of some reasons, or that disputes the cache, is for a reviewer, too."""

    desk: FlagDesk
    reasons: frozenset[Reason]
    disputes: bool

    async def given(self, feedback: Feedback) -> None:
        """See feedback that was kept; it counts whether or not a reviewer sees it."""
        judgement, judged = feedback.judgement, feedback.judged
        is_dispute = self.disputes and bool(feedback.disputed_entry)
        if not is_dispute and not (judgement.disputes and judgement.reason in self.reasons):
            return
        flag = Flag(
            tenant=judged.tenant,
            key_id=feedback.key_id,
            source=Source.DISPUTE if is_dispute else Source.FEEDBACK,
            surface=Surface.OUTPUT,
            # The answer itself is kept nowhere.
            text=judgement.correction or judgement.comment,
            context=judgement.comment if judgement.correction else "",
            rule=judgement.reason.value if judgement.reason is not None else "",
            public_model=judged.public_model,
            user=judgement.user,
            generation_id=judged.generation_id,
        )
        try:
            await self.desk.flag(flag)
        except ServiceUnavailable as error:
            _log.warning("feedback_not_flagged", generation=judged.generation_id, reason=str(error))


def _kept(text: str) -> str:
    """Return what is kept of a text: what every database takes."""
    return text.encode(errors="replace").decode()
