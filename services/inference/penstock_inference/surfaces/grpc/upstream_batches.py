"""Batches of upstreams: handed over, looked at, cancelled and read."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from penstock_common.contract.upstream_batches import (
    BegunUpstreamBatch,
    UpstreamBatch,
    UpstreamBatchAnswer,
    UpstreamBatchOrder,
    UpstreamBatchPlace,
)
from penstock_common.contract.wire.upstream_batches import (
    BEGIN_UPSTREAM_BATCH,
    CANCEL_UPSTREAM_BATCH,
    GET_UPSTREAM_BATCH,
    READ_UPSTREAM_BATCH,
)
from penstock_common.rpc.method import Handler, Responses
from penstock_common.rpc.server_call import ServerCall
from penstock_inference.domain.revisions import Revisions


class UpstreamBatchServicer:
    """Asks the upstreams of the newest revision."""

    def __init__(self, revisions: Revisions) -> None:
        self._revisions = revisions

    def handlers(self) -> tuple[Handler, ...]:
        """Return what this serves."""
        return (
            BEGIN_UPSTREAM_BATCH.served_by(self.begin),
            GET_UPSTREAM_BATCH.served_by(self.get),
            CANCEL_UPSTREAM_BATCH.served_by(self.cancel),
            READ_UPSTREAM_BATCH.served_by(self.read),
        )

    async def begin(self, order: UpstreamBatchOrder, call: ServerCall) -> BegunUpstreamBatch:
        """Hand requests over."""
        # Whoever has the revision keeps its upstreams open.
        revision = self._revisions.newest
        return await revision.batches.begin(order)

    async def get(self, place: UpstreamBatchPlace, call: ServerCall) -> UpstreamBatch:
        """Return how a batch stands."""
        revision = self._revisions.newest
        return await revision.batches.get(place)

    async def cancel(self, place: UpstreamBatchPlace, call: ServerCall) -> UpstreamBatch:
        """Ask for a batch's end."""
        revision = self._revisions.newest
        return await revision.batches.cancel(place)

    def read(self, place: UpstreamBatchPlace, call: ServerCall) -> Responses[tuple[UpstreamBatchAnswer, ...]]:
        """Return what a batch was answered with."""
        return self._answers(place)

    async def _answers(self, place: UpstreamBatchPlace) -> AsyncGenerator[tuple[UpstreamBatchAnswer, ...]]:
        revision = self._revisions.newest
        async with aclosing(revision.batches.read(place)) as answers:
            async for several in answers:
                yield several
