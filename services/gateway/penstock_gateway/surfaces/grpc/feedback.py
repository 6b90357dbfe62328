"""FeedbackService: convert, keep or look, convert."""

from __future__ import annotations

from collections.abc import Callable

from penstock.gateway.v1 import feedback_service_pb2 as pb
from penstock_common.errors import InvalidRequest
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.feedback.giving import FeedbackBook
from penstock_gateway.domain.feedback.looking import FeedbackAdministration
from penstock_gateway.domain.feedback.ports import Wanted
from penstock_gateway.surfaces.grpc.arrival import admitted
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf
from penstock_gateway.surfaces.grpc.feedback_messages import (
    dimensions_from,
    feedback_message,
    judgement_from,
    moment_from,
    summary_message,
    thumb_from,
)

IDEMPOTENCY_HEADER = "idempotency-key"


class FeedbackServicer:
    """Serves feedback; calls come authorised or not at all, and the domain keeps the walls between tenants."""

    def __init__(
        self,
        book: FeedbackBook,
        looking: FeedbackAdministration,
        actor_of: ActorOf,
        sent_key: Callable[[ServerCall], str] = lambda _: "",
    ) -> None:
        """``sent_key`` returns the idempotency key in a call's headers."""
        self._book = book
        self._looking = looking
        self._feedback_actor = actor_of
        self._sent_key = sent_key

    async def GiveFeedback(self, request: pb.GiveFeedbackRequest, call: ServerCall) -> pb.GiveFeedbackResponse:
        """Return what was kept."""
        idempotency_key = _one_key(request.idempotency_key, self._sent_key(call))
        kept = await self._book.give(
            self._feedback_actor(call),
            request.tenant,
            request.generation_id,
            judgement_from(request),
            idempotency_key,
        )
        return pb.GiveFeedbackResponse(feedback=feedback_message(kept))

    async def ListFeedback(self, request: pb.ListFeedbackRequest, call: ServerCall) -> pb.ListFeedbackResponse:
        """Return a page of feedback."""
        wanted = Wanted(
            tenant=request.tenant,
            generation_id=request.generation_id,
            models=frozenset([request.model] if request.model else []),
            user=request.user,
            thumb=thumb_from(request.thumb, "thumb"),
        )
        page = Page.of(request.page_size, request.page_token)
        listed = await self._looking.list(self._feedback_actor(call), wanted, page, with_content=request.with_content)
        feedback = [feedback_message(one) for one in listed.items]
        return pb.ListFeedbackResponse(feedback=feedback, next_page_token=listed.next_token)

    async def SummarizeFeedback(
        self, request: pb.SummarizeFeedbackRequest, call: ServerCall
    ) -> pb.SummarizeFeedbackResponse:
        """Return a line for each group."""
        wanted = Wanted(
            tenant=request.tenant,
            models=frozenset([request.model] if request.model else []),
            since=moment_from(request, "since"),
            until=moment_from(request, "until"),
        )
        told = await self._looking.summarize(self._feedback_actor(call), wanted, dimensions_from(request.by))
        return pb.SummarizeFeedbackResponse(summaries=map(summary_message, told.lines), is_cut=told.is_cut)

    async def DeleteFeedback(self, request: pb.DeleteFeedbackRequest, call: ServerCall) -> pb.DeleteFeedbackResponse:
        """Return how much was erased."""
        wanted = Wanted(tenant=request.tenant, user=request.user, generation_id=request.generation_id)
        deleted = await self._looking.delete(self._feedback_actor(call), wanted, everything=request.everything)
        return pb.DeleteFeedbackResponse(deleted=deleted)


def sent_key(call: ServerCall) -> str:
    """Return the idempotency key in a call's headers; empty where there is none."""
    return admitted(call).arrival.headers.get(IDEMPOTENCY_HEADER, "")


def _one_key(in_message: str, in_header: str) -> str:
    if in_message and in_header and in_message != in_header:
        raise InvalidRequest(
            "idempotency_key and the header idempotency-key differ: send one of them.", field="idempotency_key"
        )
    return in_message or in_header
