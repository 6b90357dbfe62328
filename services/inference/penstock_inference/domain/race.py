"""The first attempt, and a second beside it where its first token is late: whoever has content first goes on, alone."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

import msgspec

from penstock_common.llm.events import Answer
from penstock_common.llm.types import ContentEvent
from penstock_inference.domain.attempt import Attempt
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.failure import AttemptFailed, FailureKind, Next, Weight
from penstock_inference.domain.generation import Generation, GenerationParts
from penstock_inference.domain.hedging import HedgeOutcome, Hedging
from penstock_inference.domain.load.admission import permit_at_once
from penstock_inference.domain.load.gate import Permit
from penstock_inference.domain.succession import Succession

_Came = Sequence[ContentEvent] | AttemptFailed


class Course(msgspec.Struct, frozen=True):
    """What a race is run on: one request, who is asked for it, and how an attempt is begun beside another."""

    generation: Generation
    parts: GenerationParts
    hedging: Hedging
    succession: Succession
    seconds_left: Callable[[], float]
    begin: Callable[[Succession, Model], Attempt]
    tier: str


def race_of(first: Attempt, course: Course) -> Race | None:
    """Return the race that a request begins with, None where it runs alone, however late it is."""
    hedging, succession, first_tokens = course.hedging, course.succession, first.first_tokens
    hedging.note_request()
    if not course.generation.may_hedge or first_tokens is None or not first.may_be_hedged:
        return None
    seconds = hedging.delay(first_tokens)
    pool = course.parts.pools[first.model.candidate.upstream]
    if seconds == math.inf or not (succession.others_left or len(pool.endpoints) > 1):
        return None
    return Race(first, course, seconds)


class Race:
    """Reads each attempt in a task of its own until either has content; then the other is ended, and what it owes counted.

    Whoever has it run closes it, whatever happened: then no task reads any longer, and no attempt is open but the one that
    ``run`` has told of.
    """

    __slots__ = (
        "_course", "_first", "_first_failed", "_is_told", "_open", "_reads", "_second", "_seconds", "_wrote", "cost_nano_usd",
        "has_unknown_cost",
    )  # fmt: skip

    def __init__(self, first: Attempt, course: Course, seconds: float) -> None:
        """A second attempt is begun where the first has no content after ``seconds``."""
        self.cost_nano_usd = 0
        self.has_unknown_cost = False
        """What is owed for the one that lost."""
        self._first = first
        self._second: Attempt | None = None
        self._course = course
        self._seconds = seconds
        self._first_failed: AttemptFailed | None = None
        # Those that are ended here, should nobody win.
        self._open = [first]
        self._is_told = False
        self._reads: dict[asyncio.Task[_Came], Attempt] = {}
        # The first content of each; also where nobody is given it.
        self._wrote: dict[Attempt, Sequence[ContentEvent]] = {}

    async def run(self) -> tuple[Attempt, Sequence[ContentEvent]]:
        """Return who has content first, and it.

        Raises:
            AttemptFailed: how the first failed: alone, for good, or as the second failed, too.
        """
        self._read(self._first)
        await asyncio.wait(self._reads, timeout=self._seconds)
        if not any(read.done() for read in self._reads):
            self._begin_second()
        while True:
            await asyncio.wait(self._reads, return_when=asyncio.FIRST_COMPLETED)
            came = {self._reads.pop(read): read.result() for read in tuple(self._reads) if read.done()}
            self._wrote = {attempt: each for attempt, each in came.items() if not isinstance(each, AttemptFailed)}
            for attempt, failure in came.items():
                if isinstance(failure, AttemptFailed):
                    await self._failed(attempt, failure)
            # Of those that came at the same moment it is the first.
            for winner, content in self._wrote.items():
                await self._won(winner)
                return winner, content

    async def aclose(self) -> None:
        """End whoever runs, as the caller has left; may be repeated."""
        if self._second is not None and self._second.is_open and self._open:
            self._tell(HedgeOutcome.LEFT)
        try:
            await self._stop_reading()
        finally:
            await self._leave_all()

    async def _leave_all(self) -> None:
        if not self._open:
            return
        attempt = self._open.pop()
        self._note_owed(attempt)
        try:
            await attempt.aclose()
        finally:
            await self._leave_all()

    def _tell(self, outcome: HedgeOutcome) -> None:
        if not self._is_told:
            self._is_told = True
            self._course.parts.observer.hedged(self._first.model.candidate, outcome)

    def _read(self, attempt: Attempt) -> None:
        self._reads[asyncio.ensure_future(self._first_of(attempt))] = attempt

    async def _first_of(self, attempt: Attempt) -> _Came:
        try:
            content = await attempt.next_batch()
            if not content:
                attempt.check_not_empty(stop_was_asked=bool(self._course.generation.input.sampling.stop))
        except AttemptFailed as failure:
            return failure
        return content

    async def _stop_reading(self) -> None:
        for read in self._reads:
            # Once: what it does to end itself is not to be disturbed.
            if not read.cancelling():
                read.cancel()
        if self._reads:
            await asyncio.wait(self._reads)
            # Whoever is cancelled before has them waited for by ``aclose``.
            self._reads.clear()

    def _begin_second(self) -> None:
        course = self._course
        allowed = self._whom_to_ask()
        if isinstance(allowed, HedgeOutcome):
            self._tell(allowed)
            return
        model, permit = allowed
        try:
            second = self._second = course.begin(course.succession, model)
        except BaseException:
            if permit is not None:
                permit.leave(0)
            raise
        second.permit = permit
        self._open.append(second)
        self._read(second)

    def _whom_to_ask(self) -> tuple[Model, Permit | None] | HedgeOutcome:
        course, first = self._course, self._first
        succession, generation = course.succession, course.generation
        if not first.may_be_hedged:
            return HedgeOutcome.IN_ONE_PIECE
        if course.seconds_left() < self._seconds:
            return HedgeOutcome.NO_TIME
        model = succession.well_beside(whole=generation.whole)
        if model is None:
            return HedgeOutcome.NO_CANDIDATE
        if not course.hedging.take():
            return HedgeOutcome.NO_SHARE
        gate, permit = course.parts.pools[model.candidate.upstream].gate, None
        refused = None if succession.may_ask_beside(model) else HedgeOutcome.NO_BUDGET
        if refused is None and gate is not None:
            permit = permit_at_once(gate, model, generation.input, generation.priority)
            refused = HedgeOutcome.NO_PERMIT if permit is None else None
        if refused is None:
            return model, permit
        succession.leave()
        course.hedging.give_back()
        return refused

    async def _failed(self, attempt: Attempt, failure: AttemptFailed) -> None:
        second = self._second
        if second is not None and attempt is second:
            await self._second_failed(second, failure)
            return
        if second is None or not second.is_open or failure.next is Next.FINAL:
            await self._end_second(failure)
            # Whoever is told of the failure ends the attempt.
            self._open.clear()
            raise failure
        self._first_failed = failure
        await self._end_failed(attempt, failure)

    async def _second_failed(self, second: Attempt, failure: AttemptFailed) -> None:
        course = self._course
        if failure.weight is Weight.OURS:
            course.hedging.give_back()
        course.succession.beside_failed(failure)
        self._tell(HedgeOutcome.FAILED)
        await self._end_failed(second, failure)
        if self._first_failed is not None:
            raise self._first_failed

    async def _end_failed(self, attempt: Attempt, failure: AttemptFailed) -> None:
        if failure.kind is FailureKind.DEADLINE:
            self._note_owed(attempt)
        attempt.failed(failure)
        await attempt.aclose()
        self._open.remove(attempt)

    async def _end_second(self, failure: AttemptFailed) -> None:
        """End the second attempt where the first has failed for good."""
        second = self._second
        if second is None or not second.is_open:
            return
        if failure.kind is FailureKind.DEADLINE:
            self._note_owed(second)
        self._course.succession.beside_lost()
        await self._end_loser(second, HedgeOutcome.LOST)

    async def _won(self, winner: Attempt) -> None:
        """End the other."""
        succession, first, second = self._course.succession, self._first, self._second
        if winner is second:
            succession.beside_won(self._first_failed)
            self._note_owed(first)
            await self._end_loser(first, HedgeOutcome.WON)
        elif second is not None and second.is_open:
            succession.beside_lost()
            self._note_owed(second)
            await self._end_loser(second, HedgeOutcome.LOST)
        self._open.clear()

    async def _end_loser(self, loser: Attempt, outcome: HedgeOutcome) -> None:
        self._tell(outcome)
        if loser.is_open:
            loser.outrun()
            await self._stop_reading()
            await loser.aclose()

    def _note_owed(self, attempt: Attempt) -> None:
        """Note what is owed for an attempt that comes to no end: the prompt, where it was sent, and what it wrote."""
        if not attempt.is_open:
            return
        answer = Answer()
        answer.extend(self._wrote.get(attempt, ()))
        owed = attempt.interrupted(self._course.generation.input, answer, self._course.tier)
        if owed is not None:
            self.cost_nano_usd += owed.cost_nano_usd
            self.has_unknown_cost |= owed.unit_prices.is_unknown
