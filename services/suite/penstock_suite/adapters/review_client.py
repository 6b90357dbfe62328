"""ReviewService as the command asks for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from penstock.gateway.v1 import review_service_pb2 as pb
from penstock_suite.domain.reviews import (
    FoundRow,
    ReviewClaim,
    ReviewContentRow,
    ReviewListing,
    ReviewOpening,
    ReviewOutcome,
    ReviewRow,
    ReviewRuling,
    SeenReview,
)

_PAGE_SIZE = 500
_STATE, _SOURCE, _SURFACE, _DECISION = "REVIEW_STATE_", "REVIEW_SOURCE_", "REVIEW_SURFACE_", "REVIEW_DECISION_"


class ReviewClient:
    """Implements ``Reviews`` by what ``_ask`` does."""

    async def _ask(self, method: str, request: Any) -> Any:
        raise NotImplementedError

    async def open_review(self, wanted: ReviewOpening) -> ReviewRow:
        """Return the new item."""
        request = pb.OpenReviewRequest(
            tenant=wanted.tenant,
            text=wanted.text,
            context=wanted.context,
            surface=_number(_SURFACE, wanted.surface),
            model=wanted.model,
            hold=wanted.hold,
        )
        return _row((await self._ask("OpenReview", request)).review)

    async def reviews(self, wanted: ReviewListing, most: int) -> list[ReviewRow]:
        """Return items."""
        request = pb.ListReviewsRequest(
            tenant=wanted.tenant,
            states=[_number(_STATE, state) for state in wanted.states],
            source=_number(_SOURCE, wanted.source),
            rule=wanted.rule,
            overdue=wanted.overdue,
        )
        found: list[ReviewRow] = []
        while len(found) < most:
            request.page_size = min(_PAGE_SIZE, most - len(found))
            page = await self._ask("ListReviews", request)
            found += map(_row, page.reviews)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        return found

    async def review(self, tenant: str, review_id: str, *, with_content: bool) -> SeenReview:
        """Return an item."""
        request = pb.GetReviewRequest(tenant=tenant, id=review_id, with_content=with_content)
        return _seen(await self._ask("GetReview", request))

    async def review_outcome(self, tenant: str, review_id: str) -> ReviewOutcome:
        """Return what came of an item."""
        told = await self._ask("GetReviewOutcome", pb.GetReviewOutcomeRequest(tenant=tenant, id=review_id))
        return ReviewOutcome(
            id=told.id,
            state=_word(pb.ReviewState.Name(told.state), _STATE),
            decision=_word(pb.ReviewDecision.Name(told.decision), _DECISION),
            text=told.text,
            due_at=_moment(told, "due_at"),
            decided_at=_moment(told, "decided_at"),
        )

    async def claim_review(self, wanted: ReviewClaim) -> ReviewRow:
        """Return the item that is the asker's now."""
        if wanted.id:
            method, request = "ClaimReview", pb.ClaimReviewRequest(tenant=wanted.tenant, id=wanted.id)
        else:
            method = "ClaimNextReview"
            request = pb.ClaimNextReviewRequest(
                tenant=wanted.tenant, source=_number(_SOURCE, wanted.source), rule=wanted.rule
            )
        if wanted.lease is not None:
            request.lease.FromTimedelta(wanted.lease)
        return _row((await self._ask(method, request)).review)

    async def decide_review(self, ruling: ReviewRuling) -> ReviewRow:
        """Return the decided item."""
        request = pb.DecideReviewRequest(
            tenant=ruling.tenant,
            id=ruling.id,
            claim=ruling.claim,
            decision=_number(_DECISION, ruling.decision),
            edited=ruling.edited,
            note=ruling.note,
        )
        return _row((await self._ask("DecideReview", request)).review)

    async def release_review(self, ruling: ReviewRuling) -> ReviewRow:
        """Return the item that is nobody's now."""
        request = pb.ReleaseReviewRequest(tenant=ruling.tenant, id=ruling.id, claim=ruling.claim, note=ruling.note)
        return _row((await self._ask("ReleaseReview", request)).review)

    async def escalate_review(self, ruling: ReviewRuling) -> ReviewRow:
        """Return the item that waits for others."""
        request = pb.EscalateReviewRequest(tenant=ruling.tenant, id=ruling.id, claim=ruling.claim, note=ruling.note)
        return _row((await self._ask("EscalateReview", request)).review)

    async def decided_reviews(self, wanted: ReviewListing, since: datetime | None) -> list[SeenReview]:
        """Return decided items and what they hold, the oldest decision first."""
        request = pb.ExportReviewsRequest(
            tenant=wanted.tenant, rule=wanted.rule, source=_number(_SOURCE, wanted.source), page_size=_PAGE_SIZE
        )
        if since is not None:
            request.since.FromDatetime(since)
        found: list[SeenReview] = []
        while True:
            page = await self._ask("ExportReviews", request)
            found += map(_seen, page.reviews)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token


def _row(told: pb.Review) -> ReviewRow:
    named: dict[str, Any] = {
        name: getattr(told, name) for name in ReviewRow.__struct_fields__ if name not in _CONVERTED
    }
    named.update({name: _moment(told, name) for name in _MOMENTS})
    return ReviewRow(
        **named,
        state=_word(pb.ReviewState.Name(told.state), _STATE),
        source=_word(pb.ReviewSource.Name(told.source), _SOURCE),
        surface=_word(pb.ReviewSurface.Name(told.surface), _SURFACE),
        decision=_word(pb.ReviewDecision.Name(told.decision), _DECISION),
        kinds=tuple(told.kinds),
    )


_MOMENTS = ("claimed_until", "created_at", "due_at", "expires_at", "decided_at")
_CONVERTED = {*_MOMENTS, "state", "source", "surface", "decision", "kinds"}


def _seen(told: Any) -> SeenReview:
    content = None
    if told.HasField("content"):
        content = ReviewContentRow(
            text=told.content.text,
            context=told.content.context,
            found=tuple(FoundRow(one.kind, one.start, one.end) for one in told.content.found),
            edited=told.content.edited,
            notes=tuple(told.content.notes),
        )
    return SeenReview(_row(told.review), content)


def _number(prefix: str, word: str) -> Any:
    return f"{prefix}{word.upper() or 'UNSPECIFIED'}"


def _word(name: str, prefix: str) -> str:
    word = name.removeprefix(prefix).lower()
    return "" if word == "unspecified" else word


def _moment(message: Any, field: str) -> datetime | None:
    return getattr(message, field).ToDatetime(tzinfo=UTC) if message.HasField(field) else None
