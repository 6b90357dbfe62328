"""Batches of upstreams: many requests handed over at once, and answered later at their price of batches.

Nothing is kept here, and nothing is begun twice in one call: whoever asks keeps a batch's id, and says where
it may have been begun before. An upstream's first address is asked with its first key, as what one
key has made another does not find.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from dataclasses import replace
from typing import NamedTuple, TypeVar

from penstock_common.contract.upstream_batches import (
    BATCH_TIER,
    BegunUpstreamBatch,
    KeptAnswer,
    UpstreamBatch,
    UpstreamBatchAnswer,
    UpstreamBatchOrder,
    UpstreamBatchPlace,
)
from penstock_common.errors import InvalidRequest, ResourceNotFound, UnsupportedParameter
from penstock_common.llm.types import Candidate
from penstock_inference.domain.batch_upstream import BatchNotThere, BatchUpstream
from penstock_inference.domain.catalogue import Catalogue, Model
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed, FailureKind, error_before_content
from penstock_inference.domain.generation import GenerationParts
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.upstream import UpstreamCall
from penstock_inference.domain.watchdog import silence

_GivenT = TypeVar("_GivenT")
_MOST_NAME = 64


class _Asked(NamedTuple):
    model: Model
    upstream: BatchUpstream

    @property
    def connect_seconds(self) -> float:
        return self.model.timeouts.seconds.connect


class UpstreamBatches:
    """The batches of one revision's upstreams."""

    def __init__(self, catalogue: Catalogue, parts: GenerationParts) -> None:
        self._catalogue = catalogue
        self._parts = parts

    def takes(self, model: Model) -> bool:
        """Return whether requests of a model can be handed over: its upstream is open to that, and the price is known."""
        return BATCH_TIER in model.tier_prices and self._of(model.candidate) is not None

    def _of(self, candidate: Candidate) -> BatchUpstream | None:
        return self._parts.pools[candidate.upstream].endpoints[0].batches

    async def begin(self, order: UpstreamBatchOrder) -> BegunUpstreamBatch:
        """Hand requests over, unless they were before.

        Raises:
            PenstockError: why they could not be; where it is not ``InvalidRequest``, they may have been all the same.
        """
        if not 0 < len(order.name) <= _MOST_NAME:
            raise InvalidRequest(f"A batch's name has 1 to {_MOST_NAME} characters.", field="name")
        asked = self._asked(order.candidate)
        return await self._within(asked.model, self._begun(order, asked), asked.model.timeouts.seconds.total)

    async def _begun(self, order: UpstreamBatchOrder, asked: _Asked) -> BegunUpstreamBatch:
        lines, refused = await _lines_of(order, asked)
        upstream, connect_seconds = asked.upstream, asked.connect_seconds
        if order.maybe_begun_since is not None:
            found = await upstream.find(order.name, order.maybe_begun_since, connect_seconds)
            if found is not None:
                return BegunUpstreamBatch(found, refused)
        batch = await upstream.begin(order.name, lines, connect_seconds) if lines else None
        return BegunUpstreamBatch(batch, refused)

    async def get(self, place: UpstreamBatchPlace) -> UpstreamBatch:
        """Return how a batch stands.

        Raises:
            ResourceNotFound: if the upstream has none of that id.
        """
        asked = self._asked(place.candidate)
        return await self._within(asked.model, asked.upstream.get(place.id, asked.connect_seconds))

    async def cancel(self, place: UpstreamBatchPlace) -> UpstreamBatch:
        """Ask for a batch's end; raises as ``get`` does."""
        asked = self._asked(place.candidate)
        return await self._within(asked.model, asked.upstream.cancel(place.id, asked.connect_seconds))

    async def read(self, place: UpstreamBatchPlace) -> AsyncGenerator[tuple[UpstreamBatchAnswer, ...]]:
        """Yield what a batch was answered with; raises as ``get`` does."""
        asked = self._asked(place.candidate)
        async with aclosing(asked.upstream.read(place.id, asked.connect_seconds)) as answers:
            while True:
                several = await self._within(asked.model, anext(answers, None))
                if several is None:
                    return
                yield tuple(several)

    def telling(self, candidate: Candidate, answer: KeptAnswer) -> GenerationParts:
        """Return parts with which a candidate gives an answer that is there already: its health hears nothing of it."""
        kept = self._asked(candidate).upstream.kept(answer)
        pools = {**self._parts.pools, candidate.upstream: Pool([Endpoint(kept)])}
        return replace(self._parts, pools=pools, hedging=None)

    def _asked(self, candidate: Candidate) -> _Asked:
        model = self._catalogue.find(candidate)
        upstream = None if model is None else self._of(candidate)
        if model is None or upstream is None or not self.takes(model):
            raise UnsupportedParameter(
                f"{candidate} takes no batches: its upstream needs 'batches: true', and the model a price for the tier "
                f"'{BATCH_TIER}'.",
                parameter="candidate",
            )
        return _Asked(model, upstream)

    async def _within(self, model: Model, asked: Awaitable[_GivenT], seconds: float | None = None) -> _GivenT:
        try:
            async with asyncio.timeout(model.timeouts.seconds.whole if seconds is None else seconds):
                return await asked
        except TimeoutError:
            raise error_before_content(silence("whole", hurried=False), model.candidate) from None
        except BatchNotThere:
            text = f"The upstream '{model.candidate.upstream}' has no such batch."
            raise ResourceNotFound(text, kind="upstream batch", name="") from None
        except AttemptFailed as failure:
            raise error_before_content(failure, model.candidate) from failure


async def _lines_of(order: UpstreamBatchOrder, asked: _Asked) -> tuple[list[bytes], tuple[str, ...]]:
    """Return the lines that the upstream's batches take, and the names of the others."""
    model, lines, refused = asked.model, [], []
    for line in order.lines:
        call = UpstreamCall(
            model.candidate.model, line.input, 0.0, _nothing, _nothing,
            whole=True, unsupported=order.unsupported, facts=model.facts,
        )  # fmt: skip
        try:
            lines.append(asked.upstream.line(line.id, call))
        except AttemptFailed as failure:
            if failure.kind not in (FailureKind.UNSUPPORTED, FailureKind.BAD_REQUEST):
                raise
            refused.append(line.id)
        # A line takes a fraction of a millisecond, and there are thousands.
        await asyncio.sleep(0)
    return lines, tuple(refused)


def _nothing() -> None:
    """Nobody waits for a line of a batch."""
