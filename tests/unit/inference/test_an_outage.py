"""A minute without the first of two upstreams, on a clock that is made to run: the rules alone, at twice the usual load."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from itertools import count

import pytest

from penstock_common.llm.types import Candidate, GenerationInput, Message, Role, Text, Usage
from penstock_common.rpc.scope import RequestScope
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.rules import State
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.succession import Succession
from penstock_inference.domain.upstream import UpstreamCall

VALUE = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="x" * 400),)),))
CALL = UpstreamCall("m", VALUE, 3.0, lambda: None, lambda: None)
USUAL_SECONDS = 0.3
FIRST_TOKEN_SECONDS = 10.0
"""What silence is borne while another candidate is left."""


def refused() -> tuple[float, AttemptFailed]:
    return 0.001, AttemptFailed(FailureKind.CONNECT, "no connection")


def overloaded() -> tuple[float, AttemptFailed]:
    return 0.05, AttemptFailed(FailureKind.SERVER_ERROR, "503")


def black_hole() -> tuple[float, AttemptFailed]:
    return 3.0, AttemptFailed(FailureKind.TIMEOUT, "no connection in time", stage="connect")


def silent() -> tuple[float, AttemptFailed]:
    return FIRST_TOKEN_SECONDS, AttemptFailed(FailureKind.TIMEOUT, "no first token in time", stage="first_token")


@dataclass
class Seen:
    """What came of it."""

    answered: int = 0
    failed: int = 0
    attempts: int = 0
    asked_while_down: list[float] = field(default_factory=list[float])
    probes_while_down: int = 0
    back_after: float = 0.0
    by_second: dict[int, int] = field(default_factory=dict[int, int])


class Simulation:
    """Two upstreams and open-loop callers; each caller is a generator of the seconds that it waits."""

    def __init__(self, down: Callable[[], tuple[float, AttemptFailed]]) -> None:
        self.now = 0.0
        self.down = down
        self.is_down = False
        self.seen = Seen()
        self.chance = random.Random(11)
        self.health = Health(clock=lambda: self.now, chance=self.chance.random, whose=self._whose)
        self.models = [Model(Candidate(upstream=name, model="m")) for name in ("first", "second")]
        self.pools = {name: Pool([Endpoint(None)], self.health.upstream(name)) for name in ("first", "second")}  # pyright: ignore[reportArgumentType] - never asked
        self.first = self.pools["first"].places("m")[0]
        self._numbers = count()
        self._due: list[tuple[float, int, Generator[float, None, None]]] = []

    def _whose(self) -> RequestScope:
        number = next(self._numbers)
        return RequestScope(f"r{number}", "ab"[number % 2])

    def caller(self) -> Generator[float, None, None]:
        """One request, as the loop makes it."""
        made = Succession(self.models, lambda: 60.0, self.chance.random, pools=self.pools)
        delay = made.delay
        while delay is not None:
            while delay:
                yield delay
                delay = made.woken()
            if delay is None:
                break
            made.begin()
            self.seen.attempts += 1
            turn = made.turn(CALL)
            if made.current.candidate.upstream == "first":
                self.seen.by_second[int(self.now)] = self.seen.by_second.get(int(self.now), 0) + 1
                if self.is_down:
                    self.seen.asked_while_down.append(self.now)
                    seconds, failure = self.down()
                    yield seconds
                    turn.failed(failure)
                    delay = made.after(failure)
                    continue
            yield USUAL_SECONDS * (0.8 + 0.4 * self.chance.random())
            turn.content_came()
            turn.answered(Usage(input_tokens=100, output_tokens=10))
            self.seen.answered += 1
            return
        self.seen.failed += 1

    def watch(self) -> Generator[float, None, None]:
        """The service's watch."""
        while True:
            self.health.tick()
            for place in self.health.due_probes():
                self.start(self.probe(place))
            yield 0.25

    def probe(self, place) -> Generator[float, None, None]:  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType] - a place
        failure = None
        if self.is_down and place is self.first:
            self.seen.probes_while_down += 1
            seconds, failure = self.down()
        else:
            seconds = USUAL_SECONDS
        yield seconds
        self.health.probe_ended(place, seconds, "", failure)  # pyright: ignore[reportUnknownArgumentType] - a place

    def start(self, work: Generator[float, None, None]) -> None:
        heapq.heappush(self._due, (self.now, next(self._numbers), work))

    def run(self, until: float, per_second: int) -> None:
        """Let callers come until then."""
        arrivals = self.now
        while self.now < until:
            if arrivals <= self._due[0][0]:
                self.now = arrivals
                arrivals += 1 / per_second
                self.start(self.caller())
            else:
                self.now, _, work = heapq.heappop(self._due)
                for seconds in work:
                    heapq.heappush(self._due, (self.now + seconds, next(self._numbers), work))
                    break


@pytest.mark.parametrize("down", [refused, overloaded, black_hole, silent], ids=lambda down: down.__name__)
def test_a_minute_without_the_first_costs_few_attempts_and_no_answers(
    down: Callable[[], tuple[float, AttemptFailed]],
) -> None:
    made = Simulation(down)
    made.start(made.watch())
    made.run(20, per_second=20)
    seen = made.seen = Seen()
    made.is_down = True
    made.run(80, per_second=40)
    assert made.first.condition is State.EJECTED
    made.is_down = False
    well_at = made.now
    while made.first.condition is not State.OK:
        made.run(made.now + 0.25, per_second=20)
    assert made.now - well_at <= 30
    made.run(made.now + 20, per_second=20)

    requests = seen.answered + seen.failed
    assert seen.answered >= 0.999 * requests
    assert seen.attempts <= 1.10 * requests
    # Once it is known to be down, it sees probes alone.
    assert max(seen.asked_while_down) <= 24
    assert seen.probes_while_down <= 60 / 8 + 1
    # It is back with as much as comes, and no more.
    assert max(number for second, number in seen.by_second.items() if second > well_at) <= 21


def test_two_hundred_in_flight_at_the_moment_of_the_outage_are_answered_and_few_ask_again() -> None:
    made = Simulation(refused)
    made.start(made.watch())
    made.is_down = True
    for _ in range(200):
        made.start(made.caller())
    made.run(30, per_second=1)
    assert made.seen.failed == 0
    assert made.seen.answered >= 200
    assert len(made.seen.asked_while_down) <= 200 + 20
