"""ReviewService: convert, flag, look or decide, convert."""

from __future__ import annotations

from collections.abc import Callable

from penstock.gateway.v1 import review_service_pb2 as pb
from penstock_common.rpc.durations import duration_from
from penstock_common.rpc.method import Handler
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.reviews.opening import Opening, Wanted
from penstock_gateway.domain.reviews.ports import Held, ReviewFilter
from penstock_gateway.domain.reviews.reviewing import Reviewer, Reviews
from penstock_gateway.domain.reviews.terms import MAX_LEASE
from penstock_gateway.surfaces.grpc.arrival import admitted
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf
from penstock_gateway.surfaces.grpc.methods import handlers_of
from penstock_gateway.surfaces.grpc.review_messages import (
    content_message,
    filter_from,
    outcome_message,
    review_message,
    ruling_from,
    seen_message,
    since_from,
    source_from,
    surface_from,
)

ReviewerOf = Callable[[ServerCall], Reviewer]
"""Returns who makes a call."""


class ReviewServicer:
    """Serves reviews; calls come authorised or not at all, and the domain keeps the walls between tenants and keys."""

    def __init__(self, reviews: Reviews, opening: Opening, reviewer_of: ReviewerOf) -> None:
        self._reviews = reviews
        self._opening = opening
        self._reviewer_of = reviewer_of

    def handlers(self) -> list[Handler]:
        """Return what this serves."""
        return handlers_of(pb.DESCRIPTOR.services_by_name["ReviewService"], self)

    async def OpenReview(self, request: pb.OpenReviewRequest, call: ServerCall) -> pb.OpenReviewResponse:
        """Return a new item."""
        wanted = Wanted(
            tenant=request.tenant,
            text=request.text,
            context=request.context,
            surface=surface_from(request.surface),
            model=request.model,
            user=request.user,
            generation_id=request.generation_id,
            hold=request.hold,
        )
        return pb.OpenReviewResponse(review=review_message(await self._opening.open(self._reviewer_of(call), wanted)))

    async def ListReviews(self, request: pb.ListReviewsRequest, call: ServerCall) -> pb.ListReviewsResponse:
        """Return a page of items."""
        page = Page.of(request.page_size, request.page_token)
        listed = await self._reviews.list(self._reviewer_of(call), filter_from(request), page)
        return pb.ListReviewsResponse(reviews=map(review_message, listed.items), next_page_token=listed.next_token)

    async def GetReview(self, request: pb.GetReviewRequest, call: ServerCall) -> pb.GetReviewResponse:
        """Return an item, and what it holds."""
        seen = await self._reviews.get(
            self._reviewer_of(call), request.tenant, request.id, with_content=request.with_content
        )
        return pb.GetReviewResponse(review=review_message(seen.item), content=content_message(seen.content))

    async def GetReviewOutcome(
        self, request: pb.GetReviewOutcomeRequest, call: ServerCall
    ) -> pb.GetReviewOutcomeResponse:
        """Return what came of an item."""
        return outcome_message(*await self._reviews.outcome(self._reviewer_of(call), request.tenant, request.id))

    async def ClaimReview(self, request: pb.ClaimReviewRequest, call: ServerCall) -> pb.ClaimReviewResponse:
        """Return an item that is the caller's now."""
        lease = duration_from(request, "lease", MAX_LEASE)
        claimed = await self._reviews.claim(self._reviewer_of(call), request.tenant, request.id, lease)
        return pb.ClaimReviewResponse(review=review_message(claimed))

    async def ClaimNextReview(self, request: pb.ClaimNextReviewRequest, call: ServerCall) -> pb.ClaimNextReviewResponse:
        """Return the item that is due first, and the caller's now."""
        wanted = ReviewFilter(tenant=request.tenant, source=source_from(request.source), rule=request.rule)
        lease = duration_from(request, "lease", MAX_LEASE)
        claimed = await self._reviews.claim_next(self._reviewer_of(call), wanted, lease)
        return pb.ClaimNextReviewResponse(review=review_message(claimed))

    async def DecideReview(self, request: pb.DecideReviewRequest, call: ServerCall) -> pb.DecideReviewResponse:
        """Return a decided item."""
        held = Held(request.tenant, request.id, request.claim)
        decided = await self._reviews.decide(self._reviewer_of(call), held, ruling_from(request))
        return pb.DecideReviewResponse(review=review_message(decided))

    async def ReleaseReview(self, request: pb.ReleaseReviewRequest, call: ServerCall) -> pb.ReleaseReviewResponse:
        """Return an item that is nobody's any more."""
        held = Held(request.tenant, request.id, request.claim)
        released = await self._reviews.release(self._reviewer_of(call), held, request.note)
        return pb.ReleaseReviewResponse(review=review_message(released))

    async def EscalateReview(self, request: pb.EscalateReviewRequest, call: ServerCall) -> pb.EscalateReviewResponse:
        """Return an item that waits for others."""
        held = Held(request.tenant, request.id, request.claim)
        escalated = await self._reviews.escalate(self._reviewer_of(call), held, request.note)
        return pb.EscalateReviewResponse(review=review_message(escalated))

    async def ExportReviews(self, request: pb.ExportReviewsRequest, call: ServerCall) -> pb.ExportReviewsResponse:
        """Return a page of decided items and what they hold."""
        wanted = ReviewFilter(
            tenant=request.tenant,
            source=source_from(request.source),
            rule=request.rule,
            decided_since=since_from(request),
        )
        page = Page.of(request.page_size, request.page_token)
        listed = await self._reviews.export(self._reviewer_of(call), wanted, page)
        return pb.ExportReviewsResponse(reviews=map(seen_message, listed.items), next_page_token=listed.next_token)


def reviewers_of(actor_of: ActorOf) -> ReviewerOf:
    """Return what finds who makes a call that the guard has let in."""
    return lambda call: Reviewer.of(actor_of(call), admitted(call).caller)
