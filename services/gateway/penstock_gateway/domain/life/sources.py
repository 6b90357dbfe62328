"""Where an answer comes from: one port, whether it is generated now or was given before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from penstock_common.contract.cache import Hit
from penstock_common.contract.inference import GenerateRequest
from penstock_common.llm.types import Batch, Finished, GenerationEvent, Plan, Started
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.life.ports import Generator


class AnswerStream(Protocol):
    """An answer's events in batches, in the contract's order. Whoever opens it closes it."""

    def __aiter__(self) -> AsyncIterator[Batch]:
        """Iterate once."""
        ...

    async def aclose(self) -> None:
        """End it, and whatever works on it."""
        ...


class AnswerSource(Protocol):
    """Gives one answer."""

    plan: Plan | None
    """Who may answer; None where nobody is asked."""

    def open(self, steps: list[Step]) -> AnswerStream:
        """Return the answer; the attempts that are made for it are added to ``steps``."""
        ...


class Generation:
    """An answer that a model gives now."""

    __slots__ = ("_generator", "_request", "plan")

    def __init__(self, generator: Generator, request: GenerateRequest) -> None:
        self._generator = generator
        self._request = request
        self.plan: Plan | None = request.plan

    def open(self, steps: list[Step]) -> AnswerStream:
        """Return the answer."""
        return self._generator.generate(self._request, steps)


class Replay:
    """An answer that was given before: at its own price, and asking nobody."""

    __slots__ = ("_hit", "plan")

    def __init__(self, hit: Hit) -> None:
        self._hit = hit
        self.plan: Plan | None = None

    def open(self, steps: list[Step]) -> AnswerStream:
        """Return the answer, all of it at once."""
        return _Replayed(self._hit.events)


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


class _Replayed:
    __slots__ = ("_events",)

    def __init__(self, events: tuple[GenerationEvent, ...]) -> None:
        self._events: tuple[GenerationEvent, ...] | None = events

    def __aiter__(self) -> _Replayed:
        return self

    async def __anext__(self) -> Batch:
        events, self._events = self._events, None
        if events is None:
            raise StopAsyncIteration
        *before, last = events
        if isinstance(last, Finished):
            last = msgspec.structs.replace(last, attempts=0, cost_nano_usd=0)
        return (*before, last)

    async def aclose(self) -> None:
        """End it."""
        self._events = None


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
