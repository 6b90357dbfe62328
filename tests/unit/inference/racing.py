"""Two upstreams whose answers do what a test tells them, and requests that are hedged at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from penstock_common.llm.types import (
    Batch,
    Candidate,
    FinishReason,
    GenerationEvent,
    GenerationInput,
    Message,
    Plan,
    Recovery,
    Role,
    Text,
    TextDelta,
    Usage,
)
from penstock_common.telemetry.steps import Steps
from penstock_inference.domain.batches import Batches
from penstock_inference.domain.catalogue import Catalogue, Model
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed
from penstock_inference.domain.generation import Generation, GenerationParts, Pauses
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.hedging import SAMPLES_WANTED, HedgeOutcome, Hedging, HedgingRules
from penstock_inference.domain.load.gate import Gate, GateLimits
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.upstream import Stopped, UpstreamCall, UpstreamEvent

QUESTION = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="x" * 40),)),))
A = [TextDelta(text="a")]
END: list[UpstreamEvent] = [Usage(input_tokens=10, output_tokens=2), Stopped(FinishReason.STOP)]
WHOLE: list[UpstreamEvent] = [TextDelta(text="a b"), *END]
ROOM = 5


class Answer:
    """One answer: what it is told to bring, it brings."""

    dropped = ()
    unread_bytes = 0

    def __init__(self, call: UpstreamCall) -> None:
        self.call = call
        self.sent = True
        self.ended = False
        self.closed = 0
        self.reading: asyncio.Task[object] | None = None
        self._told: asyncio.Queue[Sequence[UpstreamEvent] | AttemptFailed] = asyncio.Queue()

    def tell(self, what: Sequence[UpstreamEvent] | AttemptFailed) -> None:
        """Have it bring, or fail with, this."""
        self._told.put_nowait(what)

    async def read(self) -> Sequence[UpstreamEvent]:
        self.reading = asyncio.current_task()
        what = await self._told.get()
        if isinstance(what, AttemptFailed):
            raise what
        self.ended = any(isinstance(event, Stopped) for event in what)
        return what

    async def aclose(self) -> None:
        self.closed += 1


class Upstream:
    """Keeps its answers; those after the first bring ``later`` at once, a whole answer."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.later: Sequence[UpstreamEvent] | AttemptFailed = WHOLE

    def ask(self, call: UpstreamCall) -> Answer:
        answer = Answer(call)
        if self.answers:
            answer.tell(self.later)
        self.answers.append(answer)
        return answer

    async def asked(self) -> Answer:
        """Return its first answer, once it is read."""
        while not self.answers or self.answers[0].reading is None:
            await asyncio.sleep(0)
        return self.answers[0]


class Observer:
    """Keeps what came of hedges."""

    def __init__(self) -> None:
        self.hedges: list[HedgeOutcome] = []

    def hedged(self, candidate: Candidate, outcome: HedgeOutcome) -> None:
        self.hedges.append(outcome)

    def unpriced(self, candidate: Candidate, tier: str) -> None: ...

    def recovered(self, recovery: Recovery) -> None: ...

    def broke_off(self, candidate: Candidate, cause: str) -> None: ...

    def reasoning_missing(self, candidate: Candidate, why: str) -> None: ...


class Races:
    """Requests to ``first`` and ``second``; whatever the first is asked is late at once."""

    def __init__(self, *names: str, endpoints: int = 1, share: float = 0.05, room: int = ROOM, **model: object) -> None:
        names = names or ("first", "second")
        self.upstreams = {name: [Upstream() for _ in range(endpoints)] for name in names}
        self.health = Health()
        self.candidates = [Candidate(upstream=name, model="m") for name in names]
        self.models = [Model(each, **model) for each in self.candidates]  # pyright: ignore[reportArgumentType] - a model's fields
        clock = asyncio.get_running_loop()
        self.pools = {
            name: Pool(
                [Endpoint(one, f"e{number}") for number, one in enumerate(upstreams)],
                self.health.upstream(name),
                Gate(GateLimits(concurrent_requests=room), clock),
            )
            for name, upstreams in self.upstreams.items()
        }
        self.hedging = Hedging(HedgingRules(share, 0.0))
        for candidate in self.candidates:
            known = self.hedging.first_tokens(candidate, QUESTION)
            for _ in range(SAMPLES_WANTED):
                known.observe(0.0)
        self.question = QUESTION
        self.observer = Observer()
        self.steps = Steps()
        self.asking: asyncio.Task[list[GenerationEvent]] | None = None

    def upstream(self, name: str, endpoint: int = 0) -> Upstream:
        return self.upstreams[name][endpoint]

    def batches(self, *, whole: bool = False, seconds: float | None = None, may_hedge: bool = True) -> Batches:
        """Return the batches of one request."""

        async def sleep(_: float) -> None:
            await asyncio.sleep(0)

        catalogue = Catalogue(self.models)
        pauses = Pauses(lambda: 0.5, sleep)
        parts = GenerationParts(self.pools, catalogue, pauses, self.observer, self.hedging)
        plan = Plan(candidates=tuple(self.candidates))
        return Batches(Generation(self.question, plan, seconds, whole, may_hedge=may_hedge), parts, self.steps)

    def ask(
        self, *, whole: bool = False, seconds: float | None = None, may_hedge: bool = True
    ) -> asyncio.Task[list[GenerationEvent]]:
        """Ask in a task of its own."""
        batches = self.batches(whole=whole, seconds=seconds, may_hedge=may_hedge)
        self.asking = asyncio.ensure_future(_events_of(batches))
        return self.asking

    async def both(self) -> tuple[Answer, Answer]:
        """Return the answers of the first two, once both are read."""
        first, second = (self.upstream(candidate.upstream) for candidate in self.candidates[:2])
        return await first.asked(), await second.asked()

    @property
    def outcomes(self) -> list[str]:
        """How each attempt ended."""
        return [f"{step.attributes['upstream']} {step.attributes['outcome']}" for step in self.steps.recorded]

    def open(self) -> list[str]:
        """Return what has not been ended as it must be, once nobody asks any longer."""
        left = [f"{step.attributes} has no end" for step in self.steps.recorded if not step.end_ns]
        for name, upstreams in self.upstreams.items():
            answers = [answer for one in upstreams for answer in one.answers]
            left += [f"{name} is not closed" for answer in answers if not answer.closed]
            left += [f"{name} is read" for answer in answers if answer.reading and not answer.reading.done()]
            gate, budget = self.pools[name].gate, self.health.upstream(name).budget
            assert gate is not None
            left += [f"{gate.in_flight} permits of {name}"] if gate.in_flight else []
            left += [f"{name} waits"] if len(gate.queue) else []
            left += (
                [f"{budget.in_flight} turns, {budget.retries} retries"] if budget.in_flight or budget.retries else []
            )
            places = self.pools[name].places("m")
            left += [f"{place.name} has turns" for place in places if place.in_flight or place.waiting]
        return left


async def _events_of(batches: Batches) -> list[GenerationEvent]:
    read: list[Batch] = []
    try:
        async for batch in batches:
            read.append(batch)
    finally:
        await batches.aclose()
    return [event for batch in read for event in batch]


async def settled() -> None:
    """Let everything happen that can."""
    for _ in range(15):
        await asyncio.sleep(0)
