"""The inference service: what it is asked, handed on to the attempts and to who administers models and upstreams."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from penstock_common.contract.inference import GenerateRequest, RunnableModel, UpstreamOrder, UpstreamPlace
from penstock_common.contract.wire.inference import (
    CONTROL_UPSTREAM,
    GENERATE,
    LIST_MODELS,
    LIST_UPSTREAMS,
    LOAD_MODEL,
    UNLOAD_MODEL,
)
from penstock_common.llm.types import Batch, Candidate
from penstock_common.rpc.method import Handler, Responses
from penstock_common.rpc.server_call import ServerCall
from penstock_inference.domain.batches import Batches
from penstock_inference.domain.generation import Generation
from penstock_inference.domain.revisions import Revisions
from penstock_inference.domain.upstream_control import UpstreamControl


class InferenceServicer:
    """Runs plans; the attempts' steps reach the caller, also when all fail."""

    def __init__(self, revisions: Revisions, upstreams: UpstreamControl) -> None:
        self._revisions = revisions
        self._upstreams = upstreams

    def handlers(self) -> tuple[Handler, ...]:
        """Return what this serves."""
        return (
            GENERATE.served_by(self.generate),
            LIST_MODELS.served_by(self.list_models),
            LOAD_MODEL.served_by(self.load_model),
            UNLOAD_MODEL.served_by(self.unload_model),
            LIST_UPSTREAMS.served_by(self.list_upstreams),
            CONTROL_UPSTREAM.served_by(self.control_upstream),
        )

    def generate(self, request: GenerateRequest, call: ServerCall) -> Responses[Batch]:
        """Return the batches of one answer."""
        generation = Generation(
            request.input,
            request.plan,
            call.seconds_left(),
            request.whole,
            request.may_recover,
            request.priority,
            request.may_hedge,
            request.given,
            request.given_is_owed,
        )
        revisions = self._revisions
        revision = revisions.of(request.plan) if revisions.earlier else revisions.newest
        parts, kept = revision.parts, request.kept
        if kept is not None:
            parts = revision.batches.telling(request.plan.candidates[0], kept)
        batches = Batches(generation, parts, call.steps)
        return batches if request.batches else one_by_one(batches)

    async def list_models(self, _: None, call: ServerCall) -> tuple[RunnableModel, ...]:
        """Return the models of the catalogue, with their states."""
        # Whoever has the revision keeps its upstreams open: a reload meanwhile closes none of them.
        revision = self._revisions.newest
        return tuple(await revision.models.list())

    async def load_model(self, candidate: Candidate, call: ServerCall) -> RunnableModel:
        """Return the model once it serves."""
        revision = self._revisions.newest
        return await revision.models.load(candidate)

    async def unload_model(self, candidate: Candidate, call: ServerCall) -> RunnableModel:
        """Return the model once it takes nothing new."""
        revision = self._revisions.newest
        return await revision.models.unload(candidate)

    async def list_upstreams(self, _: None, call: ServerCall) -> tuple[UpstreamPlace, ...]:
        """Return how every upstream's places are."""
        return self._upstreams.list()

    async def control_upstream(self, order: UpstreamOrder, call: ServerCall) -> tuple[UpstreamPlace, ...]:
        """Return the places that were meant, once it is done."""
        return await self._upstreams.obey(order)


async def one_by_one(batches: Batches) -> AsyncGenerator[Batch, None]:
    """Yield an event at a time, for a caller of an earlier version, which reads one of each response."""
    async with aclosing(batches):
        async for batch in batches:
            for event in batch:
                yield (event,)
