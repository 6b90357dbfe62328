"""Two providers of one model: what fails at the first comes from the second, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from penstock_common.contract.embedding import EmbedRequest, EmbedResponse
from penstock_common.contract.wire.embedding import EMBED
from penstock_common.errors import InvalidRequest, Overloaded, UpstreamFailed
from penstock_common.rpc.client import Channel
from penstock_common.service import Service
from penstock_common.telemetry.steps import Step
from penstock_common.testing.openai_upstream import Body, End, Failure, NoResponse, OpenAIUpstream, RecordedRequest
from penstock_common.testing.transports import SOCKET, channel_to
from penstock_embedding.app import build
from penstock_embedding.settings import Settings

SOUTH = [0.0, 1.0]
CENT, DIME = {"input": "0.01"}, {"input": "0.1"}


def body(*vectors: list[float], tokens: int = 5, **more: Any) -> Body:
    data = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    document = {"object": "list", "data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    return Body(frames=[json.dumps(document).encode()], content_type="application/json", **more)


def numbered(request: RecordedRequest) -> Body:
    """Answer each text, which is a number, by a vector that tells which one it was."""
    texts = request.body["input"]
    return body(*[[1.0, int(text) / 1000] for text in texts], tokens=len(texts))


class World:
    """Upstreams ``north`` and ``south``, and the service before them."""

    def __init__(self, north: OpenAIUpstream, south: OpenAIUpstream, stack: AsyncExitStack, transport: str) -> None:
        self.north, self.south = north, south
        self._stack = stack
        self._transport = transport
        self.steps: list[Step] = []

    async def start(self, standby: dict[str, Any] | None = None, **first: Any) -> Channel:
        provider = {
            "name": "north", "base_url": self.north.base_url, "model": "m", "revision": "7", "price": CENT, **first,
            "standbys": [
                {"name": "south", "base_url": self.south.base_url, "model": "m", "revision": "7", "price": DIME,
                 **(standby or {})}
            ],
        }  # fmt: skip
        section = {"model": "small", "runtime": "provider", "provider": provider}
        settings = Settings.model_validate({"embedding": section})
        self.service: Service = await self._stack.enter_async_context(build(settings))
        self._channel = await self._stack.enter_async_context(channel_to(self.service, self._transport))
        return self._channel

    async def embed(self, *texts: str, timeout: float = 60) -> EmbedResponse:
        self.steps = []
        return await self._channel.call(EMBED, EmbedRequest(texts=texts), timeout=timeout, steps=self.steps)

    def metric(self, name: str, **labels: str) -> float | None:
        samples = [sample for one in self.service.collectors for metric in one.collect() for sample in metric.samples]
        return next((s.value for s in samples if s.name == name and labels.items() <= s.labels.items()), None)

    @property
    def attempts(self) -> list[tuple[object, object]]:
        (step,) = self.steps
        return [(attempt.attributes["upstream"], attempt.attributes["outcome"]) for attempt in step.children]


@pytest.fixture
async def world(transport: str) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        north, south = [await stack.enter_async_context(OpenAIUpstream()) for _ in range(2)]
        south.otherwise = lambda _: body(SOUTH)
        yield World(north, south, stack, transport)


FAULTS: dict[str, tuple[Any, int]] = {
    "500": (Failure(500), 2),
    "503 with a time": (Failure(503, headers={"retry-after": "60"}), 1),
    "429 with a time": (Failure(429, headers={"retry-after": "60"}), 1),
    "429 without a time": (Failure(429), 1),
    "our key": (Failure(401), 1),
    "nothing there": (Failure(404), 1),
    "cut before the head": (NoResponse(end=End.RESET), 2),
    "cut in the body": (Body(frames=[b'{"data": ['], content_type="application/json", end=End.RESET), 2),
    "html": (Body(frames=[b"<html>"], content_type="text/html"), 1),
    "nothing": (Body(frames=[b""], content_type="application/json"), 1),
    "null": (Body(frames=[b'{"data":[{"index":0,"embedding":[null]}]}'], content_type="application/json"), 1),
    "too few": (body(), 1),
    "too many": (body([1.0, 0.0], [1.0, 0.0]), 1),
    "zero": (body([0.0, 0.0]), 1),
    "not finite": (body([float("inf"), 0.0]), 1),
    "not a number": (body([float("nan"), 0.0]), 1),
    "an error in band": (Body(frames=[b'{"error":{"message":"no"}}'], content_type="application/json"), 1),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_fails_at_the_first_is_answered_by_the_standby_at_its_price(world: World, fault: str) -> None:
    failure, attempts = FAULTS[fault]
    await world.start()
    world.north.otherwise = lambda _: failure
    response = await world.embed("hello")
    assert list(response.vectors[0].values) == SOUTH
    assert (response.upstream, response.input_tokens, response.revision) == ("south", 5, "7")
    assert (response.unit_prices.input_nano_usd, response.cost_nano_usd) == (100_000_000, 500)
    assert (len(world.north.requests), len(world.south.requests)) == (attempts, 1)
    assert response.attempts == attempts + 1
    assert world.attempts[-1] == ("south", "answered")
    assert [upstream for upstream, _ in world.attempts[:-1]] == ["north"] * attempts
    assert world.metric("penstock_embedding_attempts_total", upstream="south", outcome="answered") == 1


async def test_nobody_listening_is_passed_over(world: World, unused_tcp_port: int) -> None:
    await world.start(base_url=f"http://127.0.0.1:{unused_tcp_port}/v1")
    assert (await world.embed("hello")).upstream == "south"
    assert world.attempts[0] == ("north", "connect")


async def test_silence_is_borne_for_a_shorter_time_while_there_is_a_standby(world: World) -> None:
    await world.start(timeout="1h", timeout_with_others="100ms")
    world.north.otherwise = lambda _: NoResponse()
    response = await world.embed("hello")
    assert (response.upstream, response.attempts, len(world.north.requests)) == ("south", 2, 1)
    await asyncio.wait_for(world.north.requests[0].left.wait(), 60)


async def test_silence_leaves_half_of_the_callers_time_to_the_standby(world: World) -> None:
    await world.start(timeout="1h", timeout_with_others="1h")
    world.north.otherwise = lambda _: NoResponse()
    assert (await world.embed("hello", timeout=10)).upstream == "south"


async def test_a_vector_of_another_length_is_another_models_and_reaches_nobody(world: World) -> None:
    await world.start()
    world.north.enqueue(body([1.0, 0.0]), body([1.0, 0.0, 0.0]))
    assert (await world.embed("hello")).upstream == "north"
    assert list((await world.embed("hello")).vectors[0].values) == SOUTH
    assert world.attempts == [("north", "dimensions"), ("south", "answered")]


async def test_only_the_part_that_failed_is_asked_again_and_counted_once(world: World) -> None:
    await world.start(max_inputs=25)
    asked: list[int] = []

    def third_fails(request: RecordedRequest) -> Any:
        asked.append(int(request.body["input"][0]))
        return Failure(400 + 4) if asked[-1] == 50 else numbered(request)

    world.north.otherwise = third_fails
    world.south.otherwise = numbered
    response = await world.embed(*map(str, range(100)))
    values = [vector.values[1] / vector.values[0] for vector in response.vectors]
    assert values == pytest.approx([number / 1000 for number in range(100)], abs=1e-6)
    assert asked == [0, 25, 50, 75]
    assert [request.body["input"] for request in world.south.requests] == [[str(n) for n in range(50, 75)]]
    assert (response.input_tokens, response.attempts, response.upstream) == (100, 2, "north")
    # 75 tokens at a cent and 25 at a dime for a million.
    assert response.cost_nano_usd == 75 * 10 + 25 * 100


async def test_what_the_texts_are_at_fault_for_is_asked_of_nobody_else(world: World) -> None:
    await world.start()
    world.north.otherwise = lambda _: Failure(400)
    with pytest.raises(InvalidRequest):
        await world.embed("hello")
    assert world.south.requests == []


async def test_where_both_fail_the_first_ones_reason_is_told(world: World) -> None:
    await world.start()
    world.north.otherwise = lambda _: Failure(404)
    world.south.otherwise = lambda _: Failure(401)
    with pytest.raises(UpstreamFailed, match="'north' answered with status 404"):
        await world.embed("hello")


async def test_a_told_time_holds_for_the_requests_that_follow(world: World) -> None:
    await world.start()
    world.north.otherwise = lambda _: Failure(429, headers={"retry-after": "3600"})
    await asyncio.gather(*[world.embed("hello") for _ in range(3)])
    asked = len(world.north.requests)
    await asyncio.gather(*[world.embed("hello") for _ in range(20)])
    assert len(world.north.requests) == asked <= 3
    assert world.metric("penstock_embedding_upstream_left_alone", upstream="north") == 1
    assert world.metric("penstock_embedding_upstream_left_alone", upstream="south") == 0


async def test_all_that_ask_for_time_are_a_refusal_that_says_when(world: World) -> None:
    await world.start()
    world.north.otherwise = lambda _: Failure(429, headers={"retry-after": "60"})
    world.south.otherwise = lambda _: Failure(429, headers={"retry-after": "90"})
    with pytest.raises(Overloaded) as refused:
        await world.embed("hello")
    assert 0 < refused.value.retry_after.total_seconds() <= 60


async def test_five_failures_in_a_row_put_it_out(world: World) -> None:
    await world.start()
    world.north.otherwise = lambda _: Failure(404)
    for _ in range(10):
        assert (await world.embed("hello")).upstream == "south"
    assert len(world.north.requests) == 5
    assert world.metric("penstock_embedding_upstream_left_alone", upstream="north") == 1


async def test_who_leaves_owes_what_was_answered_and_what_was_sent(world: World, transport: str) -> None:
    await world.start(max_inputs=1, timeout_with_others="100ms")
    world.north.enqueue(body([1.0, 0.0], tokens=7))
    world.north.otherwise = world.south.otherwise = lambda _: NoResponse()
    call = asyncio.ensure_future(world.embed("hello", "x" * 400))
    request = await asyncio.wait_for(world.south.next_request(), 60)
    call.cancel()
    await asyncio.wait_for(request.left.wait(), 60)
    await asyncio.wait([call])
    # Who hangs up a call to another process hears no more of it.
    told = [step.attributes for step in world.steps]
    if transport == SOCKET:
        assert told == []
        return
    # The answered part at the first one's price, the other, estimated, at that of who has it.
    assert [(one["owed_input_tokens"], one["owed_cost_nano_usd"]) for one in told] == [(107, 7 * 10 + 100 * 100)]
    assert told[0]["attempts"] == 2


STANDBY = {"name": "south", "base_url": "https://south/v1"}
FIRST = {"name": "north", "base_url": "https://north/v1"}


@pytest.mark.parametrize(
    ("first", "standby", "reason"),
    [
        pytest.param({}, {}, r"provider\.revision.*each upstream declares its 'revision'", id="none declared"),
        pytest.param({}, {"revision": "7"}, r"provider\.revision.*declares", id="the first's missing"),
        pytest.param({"revision": "7"}, {}, r"standbys\[0\]\.revision.*declares.*leave the standbys out", id="its own"),
        pytest.param({"revision": "7"}, {"revision": "8"}, r"standbys\[0\]\.revision.*'8' is not '7'", id="another"),
        pytest.param({"revision": "7"}, {"revision": "7", "name": "north"}, r"standbys\[0\]\.name.*taken", id="name"),
        pytest.param({"revision": "7", "attempts": 3}, {"revision": "7"}, r"attempts.*at most 2", id="attempts"),
    ],
)
def test_standbys_of_another_or_an_undeclared_revision_are_refused_with_what_to_do(
    first: dict[str, Any], standby: dict[str, Any], reason: str
) -> None:
    from penstock_common.configuration import Configuration, ConfigurationError

    provider = {**FIRST, **first, "standbys": [{**STANDBY, **standby}]}
    section = {"model": "small", "runtime": "provider", "provider": provider}
    with pytest.raises(ConfigurationError, match=reason):
        Configuration({"embedding": section}).settings(Settings)
