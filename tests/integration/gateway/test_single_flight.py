"""Equal requests that come at once share one answer, over several gateways, whatever becomes of who had it generated."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sqlite3
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

import penstock_cache.app
import penstock_gateway.app.gateway
import penstock_gateway.app.parts
import penstock_inference.app
import penstock_router.app
from penstock_common.configuration import Configuration
from penstock_common.testing.openai_answers import Answer, End, Failure
from penstock_common.testing.transports import IN_PROCESS, channel_to
from penstock_gateway.app.flights import open_flights

KEY, OTHER_KEY = "demo-key-demo-key-demo", "other-key-other-key-1"
FLIGHT = "hit; tier=flight; similarity=1.00; temperature=unset"
TOKENS = [f"word{number} " for number in range(12)]
WHOLE = "".join(TOKENS)
PATIENCE_SECONDS = 20
# Shorter, and on a busy machine whoever has taken over would be late itself, and be followed by another.
LEASE = "3s"


@dataclass
class Told:
    """What a caller was told."""

    status: int
    cache: str
    text: str
    error: Any = None
    is_whole: bool = False


@dataclass
class Gateway:
    """One of several, with a cache, a router and an inference of its own."""

    http: aiohttp.ClientSession
    flights: Any
    stack: AsyncExitStack

    @property
    def seats(self) -> int:
        return sum(flight.seats for flight in self.flights.open.values())

    @property
    def others(self) -> int:
        return sum(flight.elsewhere for flight in self.flights.open.values())

    async def ask(self, text="Hi", *, stream=True, key=KEY, heard=None, headers=(), **body) -> Told:
        """Return what a caller is told; ``heard`` is set with the first of it."""
        sent = {"model": "fast", "messages": [{"role": "user", "content": text}], "stream": stream, **body}
        head = {"authorization": f"Bearer {key}", **dict(headers)}
        async with self.http.post("http://penstock/v1/chat/completions", json=sent, headers=head) as response:
            cache = response.headers.get("x-penstock-cache", "")
            if response.status != 200:
                return Told(response.status, cache, "", (await response.json())["error"])
            if not stream:
                answer = (await response.json())["choices"][0]
                return Told(200, cache, answer["message"]["content"], None, answer["finish_reason"] == "stop")
            return await self._read(response, Told(200, cache, ""), heard)

    async def _read(self, response, told, heard) -> Told:
        async for line in response.content:
            if line.startswith(b"data: {"):
                chunk = json.loads(line[6:])
                told.error = chunk.get("error") or told.error
                for choice in chunk.get("choices", ()):
                    told.text += choice["delta"].get("content") or ""
                    told.is_whole = told.is_whole or choice.get("finish_reason") == "stop"
                if told.text and heard is not None:
                    heard.set()
        return told


@pytest.fixture
def opened(monkeypatch):
    """The flights of the gateways, as they are opened."""
    made = []

    @asynccontextmanager
    async def open_and_tell(settings, **options):
        async with open_flights(settings, **options) as flights:
            made.append(flights)
            yield flights

    monkeypatch.setattr(penstock_gateway.app.parts, "open_flights", open_and_tell)
    return made


@pytest.fixture
async def start(document, tmp_path, opened):
    """A function that starts gateways. No lease runs out by itself, on however busy a machine, where a test wants none to."""
    document["cache"].setdefault("flight_lease", "10m")
    async with AsyncExitStack() as outer:

        async def some(count=1, shares=True):
            made = []
            for number in range(len(opened), len(opened) + count):
                stack = await outer.enter_async_context(AsyncExitStack())
                configuration = Configuration(document)
                channels: dict[str, Any] = {}
                for package in (penstock_router, penstock_cache, penstock_inference):
                    settings = configuration.settings(package.settings.Settings)
                    service = await stack.enter_async_context(package.app.build(settings))
                    channels[service.name] = await stack.enter_async_context(channel_to(service, IN_PROCESS))
                gateway = await stack.enter_async_context(
                    penstock_gateway.app.gateway.running(
                        configuration.settings(penstock_gateway.settings.Settings),
                        penstock_gateway.app.gateway.Channels(**channels, inference_is_here=True),
                        penstock_gateway.app.gateway.Listen(grpc="127.0.0.1:0", http=f"unix:{tmp_path}/{number}.sock"),
                        upgrades_schema=True,
                        shares_limits=shares,
                    )
                )
                await gateway.set_ready()
                connector = aiohttp.UnixConnector(f"{tmp_path}/{number}.sock", limit=0)
                http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
                made.append(Gateway(http, opened[number], stack))
                if opened[number] is not None and opened[number].shared is not None:
                    await until(lambda flights=opened[number]: not flights.shared.is_deaf)
            return made

        yield some


async def until(holds):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.005)


async def ledger(gateways, tmp_path):
    for gateway in gateways:
        await gateway.stack.aclose()
    with sqlite3.connect(tmp_path / "penstock.db") as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM ledger ORDER BY created_at")]
    database.close()
    return rows


@pytest.fixture
def held(upstream, hold):
    """An upstream whose answer waits after five words."""
    upstream.otherwise = lambda _: Answer(tokens=TOKENS, hold={6: hold})
    return hold


@pytest.mark.parametrize("stream", [True, False])
async def test_a_storm_over_three_gateways_asks_the_upstream_once(start, upstream, held, tmp_path, stream):
    gateways = await start(3)
    if not stream:
        upstream.otherwise = lambda _: Answer(tokens=TOKENS, hold={0: held})
    storm = [asyncio.ensure_future(gateways[number % 3].ask(stream=stream)) for number in range(150)]
    await until(lambda: sum(gateway.seats for gateway in gateways) == 149)
    held.set()
    told = await asyncio.gather(*storm)
    assert {(one.status, one.text, one.is_whole) for one in told} == {(200, WHOLE, True)}
    assert Counter(one.cache for one in told) == {"miss": 1, FLIGHT: 149}
    assert len(upstream.requests) == 1
    rows = await ledger(gateways, tmp_path)
    assert len(rows) == 150
    (paid,) = [row for row in rows if row["cost_nano_usd"]]
    assert paid["cache_status"] == "miss"
    hits = [row for row in rows if row is not paid]
    assert {(row["cache_status"], row["attempts"], row["outcome"]) for row in hits} == {("hit", 0, "ok")}
    assert {row["saved_nano_usd"] for row in hits} == {paid["cost_nano_usd"]}
    assert {row["saved_tokens"] for row in hits} == {paid["input_tokens"] + paid["output_tokens"]}
    assert paid["saved_nano_usd"] == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_the_leaders_caller_leaves_and_the_others_have_the_whole(start, upstream, held, tmp_path, stream):
    gateways = await start(2)
    heard, first = asyncio.Event(), asyncio.Event()
    upstream.otherwise = lambda _: Answer(tokens=TOKENS, hold={4: first, 7: held} if stream else {0: held})
    leader = asyncio.ensure_future(gateways[0].ask(stream=stream, heard=heard))
    await upstream.next_request()
    if stream:
        await heard.wait()
    told = [asyncio.Event() for _ in range(6)]
    followers = [asyncio.ensure_future(gateways[n % 2].ask(stream=stream, heard=told[n])) for n in range(6)]
    await until(lambda: gateways[0].seats == 3 and gateways[0].others == 1 and gateways[1].seats == 3)
    if stream:
        first.set()
        await until(lambda: _recorded(gateways[0]).endswith(TOKENS[5]))
    leader.cancel()
    await asyncio.gather(leader, return_exceptions=True)
    held.set()
    told = await asyncio.gather(*followers)
    assert {(one.text, one.is_whole, one.cache) for one in told} == {(WHOLE, True, FLIGHT)}
    assert len(upstream.requests) == 1
    rows = await ledger(gateways, tmp_path)
    (paid,) = [row for row in rows if row["cost_nano_usd"]]
    assert (paid["outcome"], paid["output_tokens"]) == ("cancelled", len(TOKENS))


def _recorded(gateway):
    (flight,) = gateway.flights.open.values()
    return "".join(getattr(event, "text", "") for batch in flight.record for event in batch)


async def test_a_leader_who_leaves_within_the_read_that_others_join_is_followed_by_one_more_call(
    start, upstream, held, tmp_path
):
    gateways = await start(2)
    heard = asyncio.Event()
    leader = asyncio.ensure_future(gateways[0].ask(heard=heard))
    await heard.wait()
    await until(lambda: next(iter(gateways[0].flights.open.values())).record)
    followers = [asyncio.ensure_future(gateways[n % 2].ask()) for n in range(4)]
    await until(lambda: gateways[0].seats == 2 and gateways[0].others == 1 and gateways[1].seats == 2)
    leader.cancel()
    await until(lambda: len(upstream.requests) == 2)
    held.set()
    told = await asyncio.gather(*followers)
    assert {(one.text, one.is_whole) for one in told} == {(WHOLE, True)}
    assert len(upstream.requests) == 2
    rows = await ledger(gateways, tmp_path)
    assert sorted(row["outcome"] for row in rows if row["cost_nano_usd"]) == ["cancelled", "ok"]


async def test_a_lone_leaders_caller_who_leaves_ends_the_generation(start, upstream, held):
    (gateway,) = await start()
    leader = asyncio.ensure_future(gateway.ask())
    request = await upstream.next_request()
    leader.cancel()
    await asyncio.wait_for(request.left.wait(), PATIENCE_SECONDS)
    await until(lambda: not gateway.flights.open)


async def test_when_the_last_follower_leaves_too_the_generation_ends(start, upstream, held):
    gateways = await start(2)
    leader = asyncio.ensure_future(gateways[0].ask())
    request = await upstream.next_request()
    followers = [asyncio.ensure_future(gateway.ask()) for gateway in gateways]
    await until(lambda: gateways[0].seats == 1 and gateways[0].others == 1)
    for one in (leader, *followers):
        one.cancel()
    await asyncio.wait_for(request.left.wait(), PATIENCE_SECONDS)
    await until(lambda: not any(gateway.flights.open for gateway in gateways))


async def test_the_leaders_own_deadline_is_its_own(start, upstream, tmp_path):
    gateways = await start(2)
    upstream.enqueue(Answer(tokens=TOKENS, stop_after=6, end=End.STALL))
    upstream.otherwise = lambda _: Answer(tokens=TOKENS)
    heard = asyncio.Event()
    leader = asyncio.ensure_future(gateways[0].ask(heard=heard, headers={"x-penstock-timeout": "1500ms"}))
    await heard.wait()
    started = [asyncio.Event() for _ in range(4)]
    followers = [asyncio.ensure_future(gateways[n % 2].ask(heard=started[n])) for n in range(4)]
    for one in started:
        await one.wait()
    assert (await leader).error is not None
    told = await asyncio.gather(*followers)
    assert {(one.text, one.is_whole) for one in told} == {(WHOLE, True)}
    assert len(upstream.requests) == 2
    rows = await ledger(gateways, tmp_path)
    assert sorted(row["outcome"] for row in rows if row["cost_nano_usd"]) == ["deadline_exceeded", "ok"]


async def test_an_upstreams_error_is_everybodys(start, upstream, hold):
    gateways = await start(2)
    error = Failure(400).body()
    upstream.otherwise = lambda _: dataclasses.replace(error, hold={0: hold})
    asked = [asyncio.ensure_future(gateways[n % 2].ask(stream=n % 3 == 0)) for n in range(10)]
    await until(lambda: sum(gateway.seats for gateway in gateways) == 9)
    hold.set()
    told = await asyncio.gather(*asked)
    assert {one.status for one in told} == {400}
    assert len({one.error["message"] for one in told}) == 1
    assert len(upstream.requests) == 1
    assert not any(gateway.flights.open for gateway in gateways)


async def test_a_slow_follower_holds_nobody_up(start, upstream, held):
    (gateway,) = await start()
    leader = asyncio.ensure_future(gateway.ask())
    await upstream.next_request()
    body = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    head = {"authorization": f"Bearer {KEY}"}
    async with gateway.http.post("http://penstock/v1/chat/completions", json=body, headers=head) as slow:
        held.set()
        assert (await leader).text == WHOLE
        assert WHOLE.split()[-1].encode() in await slow.read()


APART = {
    "tenants": ({}, {"key": OTHER_KEY}),
    "private users": ({"headers": {"x-penstock-cache": "private"}, "user": "a"},
                      {"headers": {"x-penstock-cache": "private"}, "user": "b"}),
    "no-cache": ({}, {"headers": {"x-penstock-cache": "no-cache"}}),
    "no-store": ({}, {"headers": {"x-penstock-cache": "no-store"}}),
    "another temperature": ({}, {"temperature": 0.1}),
}  # fmt: skip


@pytest.mark.parametrize("case", APART)
async def test_others_answers_are_not_shared(start, upstream, held, case):
    gateways = await start(2)
    one, other = APART[case]
    asked = [asyncio.ensure_future(gateway.ask(**how)) for gateway, how in zip(gateways, (one, other), strict=True)]
    await until(lambda: len(upstream.requests) == 2)
    held.set()
    assert {each.cache.partition(";")[0] for each in await asyncio.gather(*asked)} <= {"miss", "bypass"}


async def test_redis_goes_away_and_each_gateway_answers_by_itself(start, upstream, held, redis_server):
    gateways = await start(2)
    heard = [asyncio.Event() for _ in range(6)]
    asked = [asyncio.ensure_future(gateways[0].ask(heard=heard[0]))]
    await heard[0].wait()
    asked += [asyncio.ensure_future(gateways[n % 2].ask(heard=heard[n])) for n in range(1, 6)]
    for one in heard:
        await one.wait()
    redis_server.crash()
    await until(lambda: len(upstream.requests) == 2)
    held.set()
    told = await asyncio.gather(*asked)
    assert {(one.text, one.is_whole) for one in told} == {(WHOLE, True)}
    assert len(upstream.requests) == 2


async def test_what_lies_in_redis_is_sealed(start, upstream, held, redis_server):
    gateways = await start(2)
    heard = asyncio.Event()
    asked = [asyncio.ensure_future(gateways[0].ask("canary question"))]
    await upstream.next_request()
    asked.append(asyncio.ensure_future(gateways[1].ask("canary question", heard=heard)))
    await heard.wait()
    with redis_server.client() as client:
        everything = b"".join(key + (client.dump(key) or b"") for key in client.keys("{fl:*"))
        assert b":log:" in everything
    for secret in (b"canary", b"word1", b"demo", b"fast"):
        assert secret not in everything
    held.set()
    assert {one.text for one in await asyncio.gather(*asked)} == {WHOLE}
    with redis_server.client() as client:
        await until(lambda: not client.keys("{fl:*}:claim"))


async def test_a_process_alone_asks_redis_for_nothing(start, upstream, document):
    (gateway,) = await start(shares=False)
    assert gateway.flights.shared is None
    assert (await gateway.ask()).is_whole


async def test_single_flight_can_be_off(start, upstream, held, document):
    document["cache"]["single_flight"] = False
    (gateway,) = await start()
    asked = [asyncio.ensure_future(gateway.ask()) for _ in range(2)]
    await until(lambda: len(upstream.requests) == 2)
    held.set()
    assert {one.cache for one in await asyncio.gather(*asked)} == {"miss"}


async def test_a_process_that_is_gone_is_followed_by_one_call_that_bears_both_costs(
    start, upstream, held, document, tmp_path, monkeypatch
):
    document["cache"]["flight_lease"] = LEASE
    gateways = await start(3)
    heard = [asyncio.Event() for _ in range(5)]
    leader = asyncio.ensure_future(gateways[0].ask(heard=heard[0]))
    await heard[0].wait()
    followers = [asyncio.ensure_future(gateways[1 + n % 2].ask(heard=heard[n])) for n in range(1, 5)]
    for one in heard:
        await one.wait()
    # It says nothing any more, as a process that was killed.
    redis = gateways[0].flights.shared._redis
    monkeypatch.setattr(redis, "send_script", lambda *_, **__: True)
    upstream.otherwise = lambda _: Answer(tokens=TOKENS)
    told = await asyncio.gather(*followers)
    assert {(one.text, one.is_whole) for one in told} == {(WHOLE, True)}
    assert len(upstream.requests) == 2
    leader.cancel()
    await asyncio.gather(leader, return_exceptions=True)
    rows = await ledger(gateways, tmp_path)
    (taker,) = [row for row in rows if row["outcome"] == "ok" and row["cost_nano_usd"]]
    assert taker["cost_nano_usd"] > 7 * 1000 + len(TOKENS) * 2000


async def test_an_answer_too_long_to_be_told_elsewhere_is_asked_for_there_anew(start, upstream, held, document):
    document["cache"]["flight_bytes"] = 1024
    gateways = await start(2)
    long = [f"{number:0500d} " for number in range(12)]
    upstream.otherwise = lambda _: Answer(tokens=long, hold={6: held})
    heard = [asyncio.Event() for _ in range(4)]
    asked = [asyncio.ensure_future(gateways[0].ask(heard=heard[0]))]
    await heard[0].wait()
    asked += [asyncio.ensure_future(gateways[n % 2].ask(heard=heard[n])) for n in range(1, 4)]
    await until(lambda: len(upstream.requests) == 2)
    for one in heard:
        await one.wait()
    held.set()
    told = await asyncio.gather(*asked)
    assert {(one.text, one.is_whole) for one in told} == {("".join(long), True)}
    assert len(upstream.requests) == 2


LATE = {"x-penstock-cache": "max-age=0"}


@pytest.mark.parametrize(("linger", "calls"), [("1h", 1), ("0s", 2)])
async def test_who_looked_before_the_answer_was_there_may_join_for_a_while_after_its_end(
    start, upstream, held, document, linger, calls
):
    document["cache"]["flight_linger"] = linger
    gateways = await start(2)
    asked = [asyncio.ensure_future(gateways[n % 2].ask()) for n in range(4)]
    await until(lambda: sum(gateway.seats for gateway in gateways) == 3)
    held.set()
    await asyncio.gather(*asked)
    if linger == "0s":
        await until(lambda: not gateways[0].flights.open)
    # What is kept is too old for this one; the flight is not over for it.
    late = await gateways[0].ask(headers=LATE)
    assert (late.text, late.is_whole, late.cache) == (WHOLE, True, FLIGHT if calls == 1 else "miss")
    assert len(upstream.requests) == calls


async def test_who_takes_over_goes_on_from_what_others_elsewhere_were_told(
    start, upstream, held, document, monkeypatch
):
    document["cache"].update({"flight_lease": "1s", "flight_linger": "0s"})
    gateways = await start(3)
    heard = [asyncio.Event() for _ in range(3)]
    leader = asyncio.ensure_future(gateways[0].ask(heard=heard[0]))
    await heard[0].wait()
    # Nobody was told anything in one process, all but the end in the other.
    followers = [asyncio.ensure_future(gateways[1].ask(stream=False)) for _ in range(2)]
    followers += [asyncio.ensure_future(gateways[2].ask(heard=one)) for one in heard[1:]]
    for one in heard:
        await one.wait()
    await until(lambda: gateways[1].seats == 2)
    # The first says nothing any more, and the last hears of that after the answer of the second is over.
    monkeypatch.setattr(gateways[0].flights.shared._redis, "send_script", lambda *_, **__: True)
    monkeypatch.setattr(gateways[2].flights.shared, "_check", lambda _: None)
    upstream.otherwise = lambda _: Answer(tokens=[WHOLE])
    told = await asyncio.gather(*followers[:2])
    await until(lambda: not gateways[1].flights.open)
    monkeypatch.undo()
    told += await asyncio.gather(*followers[2:])
    assert {(one.text, one.is_whole) for one in told} == {(WHOLE, True)}
    assert len(upstream.requests) == 2
    leader.cancel()
    await asyncio.gather(leader, return_exceptions=True)
