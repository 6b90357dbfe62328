"""Router and inference service in one process: what one learns of its upstreams the other plans by, without a Redis."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from penstock_common.configuration import Configuration
from penstock_common.contract.router import Requirements, RouteRequest
from penstock_common.contract.wire.router import ROUTE
from penstock_common.testing.generations import GenerationCaller
from penstock_common.testing.openai_upstream import Answer, Failure, OpenAIUpstream
from penstock_suite.app.wiring import Wiring
from penstock_suite.domain.requests import Role

REQUEST = RouteRequest(model="fast", requirements=Requirements())
PATIENCE_SECONDS = 60


@pytest.fixture
async def stack():
    async with AsyncExitStack() as stack:
        yield stack


class Pair:
    """The two roles, and a caller that does as the gateway does: asks for a plan, and has it run."""

    def __init__(self, router, inference):
        self._router = router
        self._caller = GenerationCaller(inference)

    async def plan(self):
        return await self._router.call(ROUTE, REQUEST)

    async def ask(self):
        return await self._caller.ask(*map(str, (await self.plan()).candidates))


@pytest.fixture
async def pair(stack):
    first, second = [await stack.enter_async_context(OpenAIUpstream()) for _ in range(2)]
    document = {
        "upstreams": [first.settings("first"), second.settings("second")],
        "models": [{"name": "fast", "candidates": ["first/m", "second/m"]}],
        "health": {"probe_every": "50ms"},
        "router": {"listen_every": "10ms"},
    }
    wiring = Wiring(Configuration(document), dict.fromkeys((Role.ROUTER, Role.INFERENCE)), stack)
    made = Pair(await wiring.channel(Role.ROUTER), await wiring.channel(Role.INFERENCE))
    made.first, made.second = first, second
    return made


async def test_who_fails_is_left_out_with_a_reason_and_back_once_it_has_recovered(pair):
    pair.first.otherwise = lambda _: Failure(503)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len((plan := await pair.plan()).candidates) == 2:
            assert (await pair.ask()).answer.text == "Hello, world."
            await asyncio.sleep(0)
    assert [str(candidate) for candidate in plan.candidates] == ["second/m"]
    assert plan.reason.startswith("fast: second/m first by order; left out first/m (ejected: server_error, ")
    asked = await pair.ask()
    # Nobody names it any more; so it was not passed over, and yet it is probed.
    assert asked.outcomes == ["second answered"]
    assert "passed_over" not in asked.steps[0].attributes
    pair.first.otherwise = lambda _: Answer()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len((plan := await pair.plan()).candidates) == 1:
            await asyncio.sleep(0.01)
    assert plan.reason == "fast: first/m first by order"
    assert (await pair.ask()).outcomes == ["first answered"]


async def test_once_both_are_out_both_are_planned_for_again(pair):
    pair.first.otherwise = lambda _: Failure(503)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len((await pair.plan()).candidates) == 2:
            await pair.ask()
        pair.second.otherwise = lambda _: Failure(503)
        while len((plan := await pair.plan()).candidates) == 1:
            await pair.ask()
    assert plan.reason == "fast: first/m first by order"
