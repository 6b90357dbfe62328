"""The circle of `policy: latency`: plans send requests, requests teach latencies, latencies make plans; on a clock of the test."""

from __future__ import annotations

import random

import pytest

from penstock_common.contract.router import Policy, Requirements, RouteRequest
from penstock_common.llm.types import Candidate, GenerationInput, Message, Role, Text, Usage
from penstock_common.upstreams.state import Word, merged
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.summary import summary
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.upstream import UpstreamCall
from penstock_router.domain.catalogue import Catalogue, PublicModel, UpstreamModel
from penstock_router.domain.preference import PreferenceRules
from penstock_router.domain.routing import Router

REQUEST = RouteRequest(model="fast", requirements=Requirements())
VALUE = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="x" * 400),)),))
CALL = UpstreamCall("m", VALUE, 3.0, lambda: None, lambda: None)
PER_SECOND = 10


class World:
    """Two upstreams, each with a time to the first token that a test sets, and noise of a third around it."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.firsts = ""
        """Who has come first by latency, one after another."""
        self.seconds = {"a": 0.8, "b": 0.3}
        self.chance = random.Random(seed)
        self.health = Health(clock=lambda: self.now, chance=self.chance.random)
        self.pools = {name: Pool([Endpoint(None, "e")], self.health.upstream(name)) for name in self.seconds}  # pyright: ignore[reportArgumentType] - never asked
        for pool in self.pools.values():
            pool.places("m")
        names = [Candidate(upstream=name, model="m") for name in self.seconds]
        entries = tuple(UpstreamModel(name, "", 100, frozenset({"chat"})) for name in names)
        model = PublicModel("fast", entries, policy=Policy.LATENCY)
        self.router = Router(Catalogue([model]), random.Random(seed), PreferenceRules())

    def run(self, seconds: float) -> str:
        """Have so many seconds of requests answered, one after another; return whom each asked, a letter for each."""
        asked = ""
        for number in range(int(seconds * PER_SECOND)):
            if number % (PER_SECOND // 2) == 0:
                self.health.tick()
                self.router.hear(merged([Word(0.0, summary(self.health))]))
            plan = self.router.plan(REQUEST)
            upstream = plan.candidates[0].upstream
            asked += upstream
            if plan.reason.endswith("by latency") and (not self.firsts or self.firsts[-1] != upstream):
                self.firsts += upstream
            began = self.now
            turn = self.pools[upstream].turn(CALL)
            self.now += self.seconds[upstream] * self.chance.uniform(2 / 3, 4 / 3)
            turn.content_came()
            turn.answered(Usage(input_tokens=100, output_tokens=10))
            # As if others were asked beside it.
            self.now = began + 1 / PER_SECOND
        return asked


@pytest.mark.parametrize("seed", range(5))
def test_the_fastest_is_found_kept_and_left_when_it_is_no_longer(seed: int) -> None:
    world = World(seed)
    asked = world.run(120)
    # Until it is found, few are sent to find out; from then on the other is hardly asked.
    assert asked.startswith("aaaa")
    assert asked[-600:].count("b") >= 570
    world.seconds["b"] = 2.4
    asked = world.run(120)
    assert asked[-600:].count("a") >= 570


@pytest.mark.parametrize("seed", range(5))
def test_two_that_are_as_fast_do_not_take_turns(seed: int) -> None:
    world = World(seed)
    world.seconds = {"a": 0.5, "b": 0.47}
    world.run(600)
    assert len(world.firsts) <= 3
