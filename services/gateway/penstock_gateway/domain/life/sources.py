"""Where an answer comes from: one port, whether it is generated now or was given before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from penstock_common.contract.cache import Hit
from penstock_common.contract.inference import GenerateRequest
from penstock_common.llm.events import merge_deltas
from penstock_common.llm.owed import is_owing, owed_in
from penstock_common.llm.types import (
    Batch,
    Candidate,
    Degradation,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationInput,
    Message,
    Plan,
    Started,
    TextDelta,
    Usage,
)
from penstock_common.rpc.scope import CURRENT_SCOPE
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.life.ladder import Ladder
from penstock_gateway.domain.life.order import ChatOrder
from penstock_gateway.domain.life.pace import Pace
from penstock_gateway.domain.life.ports import AnswerStream, Generator
from penstock_gateway.domain.limits.meter import Meter, OutOfMoney

# A short deadline is the answer's own.
_MOST_RESERVED = 0.1


class Saved(NamedTuple):
    """What an answer has cost that is given again: its tokens, and billionths of a dollar."""

    tokens: int
    nano_usd: int


class AnswerSource(Protocol):
    """Gives one answer."""

    plan: Plan | None
    """Who may answer; None where nobody is asked."""

    @property
    def saved(self) -> Saved | None:
        """What was not spent again, once an answer that was given before has been told to its end."""
        ...

    def open(self, steps: list[Step]) -> AnswerStream:
        """Return the answer; the attempts that are made for it are added to ``steps``."""
        ...


def request_of(order: ChatOrder, effective: GenerationInput, plan: Plan) -> GenerateRequest:
    """Return what inference is asked for an order."""
    return GenerateRequest(
        input=effective,
        plan=plan,
        whole=order.whole,
        may_recover=order.may_recover,
        may_hedge=order.may_hedge,
        priority=order.priority,
    )


class Generation:
    """An answer that a model gives now, in time for the steps ``below`` it, and for as long as its ``meter`` lets it."""

    __slots__ = ("_below", "_generator", "_meter", "_request", "_reserve_seconds", "plan", "saved")

    def __init__(
        self, generator: Generator, request: GenerateRequest, below: Ladder | None = None, meter: Meter | None = None
    ) -> None:
        self._generator = generator
        self._meter = meter
        self._request = request
        self._below = below
        self._reserve_seconds = 0.0 if below is None else below.reserve.total_seconds()
        self.plan: Plan | None = request.plan
        self.saved: Saved | None = None

    def going_on_from(self, given: Batch, *, is_owed: bool) -> Generation:
        """Return the generation of what follows ``given``; ``is_owed``: what that has cost is this one's."""
        request = msgspec.structs.replace(self._request, given=tuple(given), given_is_owed=is_owed)
        if self._meter is not None:
            # It is read as well.
            self._meter.is_near(given)
        return Generation(self._generator, request, self._below, self._meter)

    @property
    def request(self) -> GenerateRequest:
        """What inference is asked."""
        return self._request

    @property
    def asked(self) -> GenerationInput:
        """What the model is asked."""
        return self._request.input

    def asking_otherwise(self, more: tuple[Message, ...], turn: int) -> Generation:
        """Return the generation of another answer: with more said, and asking first whoever stands ``turn`` places further."""
        request, plan = self._request, self._request.plan
        asked = msgspec.structs.replace(request.input, messages=(*request.input.messages, *more))
        turn %= len(plan.candidates)
        plan = msgspec.structs.replace(
            plan,
            candidates=(*plan.candidates[turn:], *plan.candidates[:turn]),
            prices=(*plan.prices[turn:], *plan.prices[:turn]),
        )
        request = msgspec.structs.replace(request, input=asked, plan=plan)
        return Generation(self._generator, request, self._below, self._meter)

    def open(self, steps: list[Step]) -> AnswerStream:
        """Return the answer."""
        answer = self._generator.generate(self._request, steps, self._timeout() if self._reserve_seconds else None)
        return answer if self._meter is None else _Metered(answer, self._meter, steps)

    def _timeout(self) -> float | None:
        deadline = CURRENT_SCOPE.get().deadline
        if deadline is None:
            return None
        left = deadline - time.monotonic()
        return left - min(self._reserve_seconds, left * _MOST_RESERVED)


class _Metered:
    """An answer that ends, by ``OutOfMoney``, before it costs more than its budgets have for it.

    Of ``steps`` it sees which attempts were in vain, as soon as whoever makes them says so.
    """

    __slots__ = ("_answer", "_attempts", "_batches", "_is_near", "_meter", "_steps")

    def __init__(self, answer: AnswerStream, meter: Meter, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._attempts = 1
        self._answer = answer
        self._batches = aiter(answer)
        self._is_near = False
        self._meter = meter

    def __aiter__(self) -> _Metered:
        return self

    async def __anext__(self) -> Batch:
        if self._is_near:
            self._meter.owe(self._in_vain())
            if not await self._meter.goes_on():
                await self._answer.aclose()
                raise OutOfMoney("A budget has nothing left.")
        batch = await anext(self._batches)
        if len(self._steps) > self._attempts:
            self._attempts = len(self._steps)
            self._meter.owe(self._in_vain())
        # What has ended asks for no more.
        self._is_near = self._meter.is_near(batch) and not isinstance(batch[-1], Finished)
        return batch

    def _in_vain(self) -> int:
        """Return the nano-dollars that are owed for attempts which came to no end, as far as that is known."""
        return sum(owed_in(step.attributes).cost_nano_usd for step in self._steps if is_owing(step.attributes))

    async def aclose(self) -> None:
        """End it."""
        await self._answer.aclose()


class Replay:
    """An answer that was given before: at its own price, and asking nobody; at a ``pace``, None for all of it at once."""

    __slots__ = ("_hit", "_pace", "plan", "saved")

    def __init__(self, hit: Hit, pace: Pace | None = None) -> None:
        self._hit = hit
        self._pace = pace
        self.plan: Plan | None = None
        self.saved: Saved | None = None

    def open(self, steps: list[Step]) -> AnswerStream:
        """Return the answer."""
        events, self.saved = free_of_charge(self._hit.events)
        return Replayed((events,)) if self._pace is None else Replayed(self._pace.batches(events), self._pace.seconds)


def free_of_charge(batch: Batch) -> tuple[Batch, Saved | None]:
    """Return the end of an answer that is given again, asking nobody and costing nothing, and what that has saved."""
    *before, last = batch
    if not isinstance(last, Finished):
        return batch, None
    tokens = 0
    if before and isinstance(usage := before[-1], Usage):
        tokens = usage.input_tokens + usage.output_tokens
    saved = Saved(tokens, last.cost_nano_usd)
    # Nothing is asked, whatever the price is.
    prices = msgspec.structs.replace(last.unit_prices, is_unknown=False)
    return (*before, msgspec.structs.replace(last, attempts=0, cost_nano_usd=0, unit_prices=prices)), saved


_TEMPLATE = Candidate(upstream="", model="template")


def text_alone(text: str, named: Candidate = _TEMPLATE) -> Replay:
    """Return an answer of this text, which no upstream was asked for and which costs nothing; it is told to be of ``named``."""
    started = Started(generation_id="", answered_by=named)
    finished = Finished(reason=FinishReason.STOP, answered_by=named)
    return Replay(Hit(events=(started, TextDelta(text=text), Usage(), finished), created_at=0))


class Degraded:
    """An answer that is given in the place of the model's own, and says so at its end.

    ``attempts`` were made in vain before it.
    """

    __slots__ = ("_attempts", "_degradation", "_source", "plan")

    def __init__(self, source: AnswerSource, degradation: Degradation, attempts: int) -> None:
        self._source = source
        self._degradation = degradation
        self._attempts = attempts
        self.plan: Plan | None = source.plan

    @property
    def saved(self) -> Saved | None:
        """What was not spent again."""
        return self._source.saved

    def open(self, steps: list[Step]) -> AnswerStream:
        """Return the answer."""
        return _Marked(self._source.open(steps), self._mark)

    def _mark(self, finished: Finished) -> Finished:
        attempts = finished.attempts + self._attempts
        return msgspec.structs.replace(finished, degraded=self._degradation, attempts=attempts)


class _Marked:
    __slots__ = ("_answer", "_batches", "_mark")

    def __init__(self, answer: AnswerStream, mark: Callable[[Finished], Finished]) -> None:
        self._answer = answer
        self._batches = aiter(answer)
        self._mark = mark

    def __aiter__(self) -> _Marked:
        return self

    async def __anext__(self) -> Batch:
        batch = await anext(self._batches)
        last = batch[-1]
        return (*batch[:-1], self._mark(last)) if isinstance(last, Finished) else batch

    async def aclose(self) -> None:
        """End it."""
        await self._answer.aclose()


class Recorded:
    """An answer as its source gives it, whatever guards make of it further on; ``events`` are those so far."""

    __slots__ = ("_answer", "_batches", "events")

    def __init__(self, answer: AnswerStream) -> None:
        self.events: list[GenerationEvent] = []
        self._answer = answer
        self._batches = aiter(answer)

    def __aiter__(self) -> Recorded:
        return self

    async def __anext__(self) -> Batch:
        batch = await anext(self._batches)
        self.events += batch
        return batch

    async def aclose(self) -> None:
        """End it."""
        await self._answer.aclose()


class Replayed:
    """An answer's batches, each ``seconds`` after the one before."""

    __slots__ = ("_batches", "_due", "_seconds")

    def __init__(self, batches: Iterable[Batch], seconds: float = 0.0) -> None:
        self._batches: Iterator[Batch] = iter(batches)
        self._due = 0.0
        self._seconds = seconds

    def __aiter__(self) -> Replayed:
        return self

    async def __anext__(self) -> Batch:
        for batch in self._batches:
            if self._seconds:
                await self._its_turn()
            return batch
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End it."""
        self._batches = iter(())

    async def _its_turn(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._due > now:
            await asyncio.sleep(self._due - now)
        self._due = max(self._due, now) + self._seconds


def kept_form(events: list[GenerationEvent], hints_json: str) -> list[GenerationEvent]:
    """Return an answer's events as the cache keeps them, for whoever asks the same."""
    merged = merge_deltas(events)
    return without_hints(merged, hints_json) if hints_json else merged


def without_hints(events: list[GenerationEvent], hints_json: str) -> list[GenerationEvent]:
    """Return an answer's events as others may be given them: what was dropped of this request's hints is not of theirs."""
    first = events[0] if events else None
    if not isinstance(first, Started) or not first.dropped:
        return events
    hints = msgspec.json.decode(hints_json, type=dict[str, msgspec.Raw])
    dropped = tuple([name for name in first.dropped if name not in hints])
    return [msgspec.structs.replace(first, dropped=dropped), *events[1:]]


def renamed(batch: Batch, generation_id: str) -> Batch:
    """Return an answer's first batch with our name of the answer in it."""
    first = batch[0]
    if isinstance(first, Started):
        return (msgspec.structs.replace(first, generation_id=generation_id), *batch[1:])
    return batch
