"""Runs chats that are lines of batches: up to where a model would be asked, and from its answer on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from penstock_common.contract.cache import LookupRequest, LookupResponse, StoreRequest
from penstock_common.contract.inference import GenerateRequest
from penstock_common.contract.upstream_batches import KeptAnswer
from penstock_common.errors import PenstockError
from penstock_common.llm.types import Candidate
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.batches.handing import MOST_LINE_BYTES, AskedLine, HandedLine, Handing, LineState
from penstock_gateway.domain.jobs.executing import Attempt, ChatExecution, NotYet
from penstock_gateway.domain.jobs.results import AnyResult
from penstock_gateway.domain.jobs.retrying import is_final
from penstock_gateway.domain.life.chat import ChatExchange, ChatLife, LifeParts
from penstock_gateway.domain.life.ports import AnswerCache, AnswerStream, Generator
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.domain.limits.limit import Limit, Measure

# It is woken by what it waits for; should that word be lost, it looks by itself.
_LOOK_AGAIN = timedelta(hours=1)
_UNBOUND_NANO_USD = 10**15


class HandedChats:
    """Implements ``Execution``: chats, of which lines of batches may be handed to providers."""

    def __init__(self, usual: ChatExecution, parts: LifeParts, handing: Handing) -> None:
        self._usual = usual
        self._handing = handing
        # Others neither follow a line that is handed over, nor have it follow them.
        self._parts = msgspec.structs.replace(parts, flights=None)
        self._life = ChatLife(self._parts)

    async def run(self, attempt: Attempt) -> AnyResult:
        """Return the answer, or have the job wait for one; see the port."""
        job = attempt.job
        if not job.batch:
            return await self._usual.run(attempt)
        held = await self._handing.store.find(job)
        if held is None:
            return await self._usual.run_by(self._life, attempt, self._hand_over)
        if held.state is LineState.ALONE:
            return await self._usual.run(attempt)
        if held.kept is None:
            raise NotYet(min(job.deadline_at, datetime.now(UTC) + _LOOK_AGAIN))
        return await self._told(attempt, held, held.kept)

    async def _hand_over(self, attempt: Attempt, exchange: ChatExchange) -> bool:
        """Keep what a model would be asked, where its provider is to answer it later; return whether it is."""
        request = exchange.to_be_asked
        if not exchange.call.caller.tenant.hands_batches or request is None or request.given:
            return False
        candidate = request.plan.candidates[0]
        if not await self._handing.takes(candidate):
            return False
        asked = AskedLine(candidate, request.input, request.plan.unsupported)
        if len(msgspec.msgpack.encode(asked)) > MOST_LINE_BYTES:
            return False
        await self._handing.store.park(attempt.job, asked, datetime.now(UTC))
        exchange.hand_over()
        return True

    async def _told(self, attempt: Attempt, held: HandedLine, kept: KeptAnswer) -> AnyResult:
        """Return the answer that a provider gave. It is asked for by itself where that is none, and another might be."""
        parts = self._parts
        visits = msgspec.structs.replace(parts.visits, book=SpentBook(parts.visits.book))
        generator = KeptGenerator(parts.generator, held.candidate, kept)
        life = ChatLife(
            msgspec.structs.replace(parts, visits=visits, generator=generator, cache=Untouched(parts.cache))
        )
        try:
            return await self._usual.run_by(life, attempt)
        except PenstockError as error:
            if generator.is_told and not is_final(error):
                await self._handing.store.leave_alone(attempt.job)
            raise


class KeptGenerator:
    """Implements ``Generator``: the first answer is the one that a provider gave within a batch."""

    def __init__(self, generator: Generator, candidate: Candidate, kept: KeptAnswer) -> None:
        self.is_told = False
        """Whether it was given."""
        self._generator = generator
        self._candidate = candidate
        self._kept = kept

    def generate(self, request: GenerateRequest, steps: list[Step], timeout: float | None = None) -> AnswerStream:
        """Return the answer; see the port."""
        if not self.is_told:
            self.is_told = True
            plan = msgspec.structs.replace(request.plan, candidates=(self._candidate,), prices=())
            request = msgspec.structs.replace(request, plan=plan, kept=self._kept, may_hedge=False)
        return self._generator.generate(request, steps, timeout)


class Untouched:
    """Implements ``AnswerCache``: what it has is not given, as there is another answer, which it may keep."""

    def __init__(self, cache: AnswerCache) -> None:
        self._cache = cache

    async def look_up(self, request: LookupRequest, steps: list[Step]) -> LookupResponse:
        """Return what an answer is kept with; see the port."""
        found = await self._cache.look_up(msgspec.structs.replace(request, afresh=True), steps)
        return msgspec.structs.replace(found, hit=None)

    async def keep(self, request: StoreRequest) -> None:
        """Keep an answer; see the port."""
        await self._cache.keep(request)


class SpentBook(LimitBook):
    """The limits of a request that is answered already: money is counted, and refuses nothing."""

    def __init__(self, book: LimitBook) -> None:
        super().__init__()
        self._book = book

    def limits_of(self, caller: Caller, model: str, feature: str = "") -> tuple[Limit, ...]:
        """Return what counts a request, each counter once."""
        return tuple(map(_unbound, self._book.limits_of(caller, model, feature)))


def _unbound(limit: Limit) -> Limit:
    if limit.allowance.measure is not Measure.SPEND:
        return limit
    allowance = msgspec.structs.replace(limit.allowance, amount=_UNBOUND_NANO_USD, burst=0)
    return msgspec.structs.replace(limit, allowance=allowance)
