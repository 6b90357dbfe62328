"""Keys in a real Redis, and what the exact tiers keep under them: nobody else reads it, and nobody at all once it is shredded."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from penstock_cache.adapters.kek import FileKek
from penstock_cache.adapters.key_ring import EnvelopeKeyRing
from penstock_cache.adapters.redis_rings import RedisRings
from penstock_cache.domain.cache import ExactCache
from penstock_cache.domain.entries import NoEntries
from penstock_cache.domain.envelope import Kept
from penstock_cache.domain.secrecy import KeysUnavailable, Unreadable
from penstock_cache.domain.shredding import Shredder
from penstock_cache.surfaces.servicer import CacheServicer
from penstock_common.contract.cache import LookupRequest, Scope, StoreRequest, meaning_of, probe_of
from penstock_common.errors import InvalidRequest, ServiceUnavailable
from penstock_common.llm.types import GenerationEvent, GenerationInput
from penstock_common.redis_connection import RedisConnection
from penstock_common.rpc.scope import RequestScope
from penstock_common.rpc.server_call import ServerCall
from penstock_common.telemetry.steps import Steps
from penstock_common.testing.canaries import Canaries
from penstock_common.testing.redis_server import RedisServer

Ask = Callable[..., GenerationInput]
Events = Callable[..., tuple[GenerationEvent, ...]]
NewCache = Callable[..., Awaitable[ExactCache]]
NewRing = Callable[..., Awaitable[EnvelopeKeyRing]]
SCOPE = Scope("acme", "fast")
SECRET = b"s" * 32
NO_MEMORY = {"memory_entries": 0}
# The suite's share of what was run once: CACHE_PROBES=100000.
PROBES = int(os.environ.get("CACHE_PROBES", "5000"))
BATCH = 250


@pytest.fixture
async def new_ring(redis_server: RedisServer, clock: Any) -> AsyncIterator[NewRing]:
    """A maker of rings, each with a connection of its own."""
    async with AsyncExitStack() as stack:

        async def make(secret: bytes = SECRET) -> EnvelopeKeyRing:
            connection = await stack.enter_async_context(RedisConnection(redis_server.url, timedelta(seconds=5)))
            return EnvelopeKeyRing(RedisRings(connection), FileKek(secret), SECRET, (clock, clock))

        yield make


def lookup(scope: Scope, request: GenerationInput) -> LookupRequest:
    return LookupRequest(scope=scope, probe=probe_of(request))


async def keep(cache: ExactCache, scope: Scope, request: GenerationInput, events: Any) -> None:
    # Whoever stores has looked up before.
    await cache.lookup(lookup(scope, request))
    assert await cache.store(StoreRequest(scope=scope, probe=probe_of(request), events=events)) == ""
    await cache._shared._connection.execute("PING")  # type: ignore[attr-defined]


def shredder_of(cache: ExactCache) -> Shredder:
    ring: EnvelopeKeyRing = cache._shared._ring  # type: ignore[attr-defined]
    return Shredder(ring, [lambda tenant: cache.invalidate(Scope(tenant, ""))])


def sealed_entries(server: RedisServer) -> dict[bytes, bytes]:
    with server.client() as client:
        return {key: client.get(key) for key in client.scan_iter("*exact*")}


# Rings in Redis


async def test_replicas_that_draw_at_once_agree(new_ring: NewRing) -> None:
    replicas = [await new_ring() for _ in range(8)]
    keys = await asyncio.gather(*[ring.of("acme") for ring in replicas])
    sealed = keys[0].seal("exact", "id", b"content")
    assert {each.unseal("exact", "id", sealed) for each in keys} == {b"content"}
    assert len({each.digest("text", b"content") for each in keys}) == 1


async def test_a_ring_in_redis_is_shredded_for_every_process_and_stays_so(
    new_ring: NewRing, redis_server: RedisServer, clock: Any
) -> None:
    first, second = await new_ring(), await new_ring()
    sealed = (await first.of("acme")).seal("exact", "id", b"content")
    name = (await second.of("acme")).name
    ring = f"{{t:{name}}}:cache:keys"
    with redis_server.client() as client:
        backup = client.get(ring)
        assert client.ttl(ring) == -1
        await first.shred("acme")
        assert client.get(ring) is None
        assert client.ttl(f"{{t:{name}}}:cache:shredded") == -1
        clock.advance(1)
        for process in (first, second, await new_ring()):
            with pytest.raises(Unreadable):
                (await process.of("acme")).unseal("exact", "id", sealed)
        client.set(ring, backup)
    clock.advance(1)
    for process in (first, second, await new_ring()):
        with pytest.raises(Unreadable):
            (await process.of("acme")).unseal("exact", "id", sealed)


async def test_only_who_has_seen_a_ring_in_redis_replaces_it(redis_server: RedisServer) -> None:
    async with RedisConnection(redis_server.url, timedelta(seconds=5)) as connection:
        store = RedisRings(connection)
        assert not await store.replace("name", b"seen", b"ring")
        assert await store.replace("name", b"", b"ring")
        for seen in (b"", b"another"):
            assert not await store.replace("name", seen, b"late")
        assert (await store.read("name")).ring == b"ring"
        assert await store.replace("name", b"ring", b"next")
        await store.shred("name", 7)
        await store.shred("name", 5)
        assert await store.read("name") == Kept(b"", 7)


async def test_rotations_by_replicas_at_once_all_count(new_ring: NewRing) -> None:
    replicas = [await new_ring() for _ in range(4)]
    first = (await replicas[0].of("acme")).seal("exact", "id", b"content")
    assert await asyncio.gather(*[ring.rotate("acme") for ring in replicas]) == [1] * 4
    newest = [(await ring.of("acme")).seal("exact", "id", b"content") for ring in replicas]
    keys = await (await new_ring()).of("acme")
    assert {keys.unseal("exact", "id", sealed) for sealed in (first, *newest)} == {b"content"}
    assert {int.from_bytes(sealed[1:7]) - int.from_bytes(first[1:7]) for sealed in newest} <= {1, 2, 3, 4}


async def test_all_tenants_are_rotated_and_counted(new_ring: NewRing) -> None:
    ring = await new_ring()
    for number in range(30):
        await ring.of(f"tenant {number}")
    assert await (await new_ring()).rotate("") == 30


async def test_a_redis_that_is_away_shreds_nothing_and_that_is_said(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer
) -> None:
    cache = await new_cache()
    await keep(cache, SCOPE, ask(), answer_events())
    redis_server.stop()
    with pytest.raises(ServiceUnavailable, match="may still be there.*Shred again"):
        await shredder_of(cache).shred("acme")
    with pytest.raises(ServiceUnavailable, match="Rotate again"):
        await shredder_of(cache).rotate("")


# The exact tiers


async def test_after_a_shredding_exact_answers_are_gone_and_unreadable_in_every_process(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer, clock: Any
) -> None:
    first, second = await new_cache(), await new_cache()
    rival = Scope("rival", "fast")
    for scope in (SCOPE, Scope("acme", "large"), rival):
        await keep(first, scope, ask(), answer_events())
        assert (await second.lookup(lookup(scope, ask()))).tier == "redis"
    kept = sealed_entries(redis_server)
    assert await shredder_of(first).shred("acme") == 2
    clock.advance(1)
    for cache in (first, second):
        assert (await cache.lookup(lookup(SCOPE, ask()))).hit is None
        assert (await cache.lookup(lookup(rival, ask()))).hit is not None
    assert len(sealed_entries(redis_server)) == 1
    opened = 0
    for place, sealed in kept.items():
        for tenant in ("acme", "rival"):
            keys = await second._shared._ring.of(tenant)  # type: ignore[attr-defined]
            try:
                keys.unseal("exact", place.decode().rpartition(":")[2], sealed)
                opened += 1
            except Unreadable:
                pass
    assert opened == 1, "the rival's own"
    assert await shredder_of(first).shred("acme") == 0
    await keep(first, SCOPE, ask(), answer_events("anew"))
    clock.advance(1)
    assert (await second.lookup(lookup(SCOPE, ask()))).hit is not None


async def test_exact_answers_outlive_a_rotation(
    new_cache: NewCache, ask: Ask, answer_events: Events, clock: Any
) -> None:
    first, second = await new_cache(**NO_MEMORY), await new_cache(**NO_MEMORY)
    await keep(first, SCOPE, ask("before"), answer_events())
    assert await shredder_of(second).rotate("acme") == 1
    clock.advance(1)
    await keep(first, SCOPE, ask("after"), answer_events())
    for text in ("before", "after"):
        for cache in (first, second):
            assert (await cache.lookup(lookup(SCOPE, ask(text)))).tier == "redis"


async def test_a_ring_that_redis_evicted_costs_misses_and_one_line(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer, clock: Any, caplog: Any
) -> None:
    cache = await new_cache(**NO_MEMORY)
    await keep(cache, SCOPE, ask(), answer_events())
    with redis_server.client() as client:
        client.delete(*client.scan_iter("{t:*cache:keys"))
    clock.advance(1)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (await cache.lookup(lookup(SCOPE, ask()))).hit is None
            clock.advance(1)
    assert caplog.text.count("are gone from their store") == 1
    await keep(cache, SCOPE, ask(), answer_events())
    assert (await cache.lookup(lookup(SCOPE, ask()))).tier == "redis"


async def test_another_secret_misses_says_why_once_and_overwrites_nothing(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer, clock: Any, caplog: Any
) -> None:
    await keep(await new_cache(), SCOPE, ask(), answer_events())
    with redis_server.client() as client:
        before = {key: client.dump(key) for key in client.scan_iter("*")}
        wrong = await new_cache(secret=b"o" * 32)
        with caplog.at_level(logging.WARNING):
            for number in range(5):
                assert (await wrong.lookup(lookup(SCOPE, ask(f"{number}")))).hit is None
                await wrong.store(StoreRequest(scope=SCOPE, probe=probe_of(ask(f"{number}")), events=answer_events()))
                clock.advance(2)
        (told,) = [record.message for record in caplog.records]
        assert told == (
            "a key ring is set aside, and what it sealed is not found: the cache's keys were wrapped by another "
            "'secrets.cache_key_file': name that one in 'secrets.old_cache_key_files'"
        )
        assert {key: client.dump(key) for key in client.scan_iter("*")} == before
    # Its own memory serves.
    assert (await wrong.lookup(lookup(SCOPE, ask("4")))).tier == "memory"
    with pytest.raises(KeysUnavailable):
        await wrong._shared._ring.of("acme")  # type: ignore[attr-defined]


async def test_a_new_tenant_whose_keys_have_no_room_takes_nothing_from_others(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer, caplog: Any
) -> None:
    cache = await new_cache(**NO_MEMORY)
    await keep(cache, SCOPE, ask(), answer_events())
    with redis_server.client() as client:
        client.config_set("maxmemory", "1")
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            assert (await cache.lookup(lookup(Scope(f"new {number}", "fast"), ask()))).hit is None
            assert (await cache.lookup(lookup(SCOPE, ask()))).tier == "redis"
    assert caplog.text.count("keys of a tenant are not at hand") == 1


# The wall


async def test_probes_by_other_tenants_over_a_full_cache_find_nothing(
    new_cache: NewCache, ask: Ask, answer_events: Events
) -> None:
    """With equal texts, and so equal digests, over what one tenant has kept, by tenants with and without entries."""
    requests = [ask(f"question {number}") for number in range(100)]
    owner, prober = await new_cache(), await new_cache(memory_entries=1000)
    for request in requests:
        await keep(owner, SCOPE, request, answer_events("the owner's"))
    for number in range(0, 50, 10):
        await keep(prober, Scope(f"tenant {number}", "fast"), ask("another question"), answer_events("its own"))
    probes = [
        lookup(Scope(f"tenant {number % 50}", "fast"), requests[number // 50 % len(requests)])
        for number in range(PROBES)
    ]
    hits = 0
    for begin in range(0, PROBES, BATCH):
        found = await asyncio.gather(*[prober.lookup(probe) for probe in probes[begin : begin + BATCH]])
        hits += sum(each.hit is not None for each in found)
    assert hits == 0
    owned = [(await prober.lookup(lookup(SCOPE, request))).tier for request in requests]
    assert owned == ["redis"] * 100, "the search must be able to find"


async def test_a_look_up_asks_redis_the_same_whatever_others_have_kept(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer
) -> None:
    async def commands_of(cache: ExactCache, tenant: str) -> dict[str, int]:
        with redis_server.client() as client:
            client.config_resetstat()
            for number in range(3):
                await cache.lookup(lookup(Scope(tenant, "fast"), ask(f"{number}")))
            await cache._shared._connection.execute("PING")  # type: ignore[attr-defined]
            asked = client.info("commandstats")
        return {name: stats["calls"] for name, stats in asked.items() if name != "cmdstat_info"}

    cache = await new_cache()
    await keep(cache, Scope("first", "fast"), ask("other"), answer_events())
    over_little = await commands_of(cache, "stranger")
    for number in range(3):
        await keep(cache, Scope("busy", "fast"), ask(f"{number}"), answer_events())
    assert await commands_of(cache, "other stranger") == over_little
    assert over_little["cmdstat_get"] >= 3


# Canaries


async def test_no_canary_lies_in_redis_its_files_logs_or_traces(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    cache = await new_cache()
    servicer = CacheServicer(cache, NoEntries(), shredder_of(cache))
    call = ServerCall("/path", RequestScope(), None, Steps())
    prompts, answers, tenants = Canaries.drawn(20), Canaries.drawn(20), Canaries.drawn(5)
    for number, (prompt, answer) in enumerate(zip(prompts.texts, answers.texts, strict=True)):
        scope = Scope(tenants.texts[number % 5], "fast")
        request = ask(prompt)
        probe = msgspec.structs.replace(probe_of(request), meaning=meaning_of(request, user=prompt))
        await servicer.lookup(LookupRequest(scope=scope, probe=probe), call)
        await servicer.store(StoreRequest(scope=scope, probe=probe, events=answer_events(answer)), call)
        assert (await servicer.lookup(LookupRequest(scope=scope, probe=probe), call)).hit is not None
    await servicer.rotate_keys("", call)
    with redis_server.client() as client:
        client.config_set("rdbcompression", "no")
        client.save()
        folder = redis_server.socket_path.parent
        assert list(folder.glob("*.rdb"))
        every = Canaries((*prompts.texts, *answers.texts, *tenants.texts))
        assert every.found_below(folder) == set()
        assert every.found_in(b"".join(key + client.dump(key) for key in client.scan_iter("*"))) == set()
        assert every.found_in(caplog.text.encode()) == set()
        assert every.found_in(repr([(step.name, step.attributes) for step in call.steps.recorded]).encode()) == set()
        # The search finds what is there.
        client.set("control", gzip.compress(answers.texts[0].encode()))
        client.save()
        assert {said.partition(": ")[0] for said in every.found_below(folder)} == {
            f"{answers.texts[0]} as UTF-8, compressed"
        }


async def test_who_shreds_names_a_tenant_and_has_the_cache_on() -> None:
    call = ServerCall("/path", RequestScope(), None, Steps())
    servicer = CacheServicer(None, NoEntries(), Shredder(None, []))  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="names no tenant"):
        await servicer.shred_tenant("", call)
    for asked in (servicer.shred_tenant("acme", call), servicer.rotate_keys("", call)):
        with pytest.raises(InvalidRequest, match="The cache is off"):
            await asked


async def test_a_tenant_is_told_of_what_is_not_deleted(new_ring: NewRing) -> None:
    deleted: list[str] = []

    async def delete(tenant: str) -> int:
        deleted.append(tenant)
        return 3

    async def fail(tenant: str) -> int:
        raise ServiceUnavailable("away", service="cache")

    assert await Shredder(await new_ring(), [delete, delete]).shred("acme") == 6
    with pytest.raises(ServiceUnavailable, match="away"):
        await Shredder(await new_ring(), [fail, delete]).shred("acme")
    assert deleted == ["acme"] * 3


async def test_no_file_of_redis_has_a_ring_that_was_shredded(clock: Any) -> None:
    with RedisServer("--appendfsync", "always", durable=True) as server, server.client() as client:
        connection = RedisConnection(server.url, timedelta(seconds=5))
        async with connection:
            rings = RedisRings(connection)
            assert await rings.replace("acme", b"", b"ring of acme" * 9)
            assert await rings.replace("rival", b"", b"ring of rival" * 9)
            await rings.shred("acme", 1)
            rewritten = client.info("persistence")
            while rewritten["aof_rewrite_in_progress"] or rewritten["aof_rewrite_scheduled"]:
                await asyncio.sleep(0)
                rewritten = client.info("persistence")
            files = b"".join(path.read_bytes() for path in server.socket_path.parent.rglob("*") if path.is_file())
            assert b"ring of acme" not in files
            assert b"ring of rival" in files
