from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from penstock_cache.adapters import redis as redis_module
from penstock_cache.adapters.redis import RedisKeys
from penstock_cache.domain.cache import ExactCache, Found
from penstock_cache.domain.entry import Entry, EntryKey
from penstock_cache.domain.identity import Identity
from penstock_common import redis_connection
from penstock_common.contract.cache import Hit, LookupRequest, Probe, Scope, StoreRequest, probe_of
from penstock_common.errors import ServiceUnavailable
from penstock_common.llm.types import GenerationEvent, GenerationInput
from penstock_common.testing.redis_server import RedisServer

Ask = Callable[..., GenerationInput]
Events = Callable[..., tuple[GenerationEvent, ...]]
NewCache = Callable[..., Awaitable[ExactCache]]

SCOPE = Scope("acme", "fast")
SECRET = b"s" * 32
NO_MEMORY = {"memory_entries": 0}


def lookup(scope: Scope, request: GenerationInput, max_age: timedelta | None = None) -> LookupRequest:
    return LookupRequest(scope=scope, probe=probe_of(request), max_age=max_age)


def store(
    scope: Scope,
    request: GenerationInput,
    events: Sequence[GenerationEvent],
    created_at: float | None = None,
    ttl: timedelta | None = None,
) -> StoreRequest:
    return StoreRequest(scope=scope, probe=probe_of(request), events=events, created_at=created_at, ttl=ttl)


async def written(cache: ExactCache) -> None:
    """Wait until Redis has answered what was sent before: a store waits for nothing."""
    await cache._shared._connection.execute("PING")  # type: ignore[attr-defined]


def is_miss(found: Found) -> bool:
    return found == Found(generation=found.generation)


async def keep(cache: ExactCache, request: StoreRequest) -> None:
    assert await cache.store(request) == ""
    await written(cache)


def _redis_keys(server: RedisServer, pattern: str = "*") -> list[bytes]:
    with server.client() as client:
        return sorted(client.scan_iter(pattern))


class UnscopedIdentity(Identity):
    """The mutation that must not matter: a key without the tenant."""

    def key(self, scope: Scope, probe: Probe) -> EntryKey:
        return EntryKey(scope, super().key(Scope("", ""), probe).digest)


class UnscopedKeys(RedisKeys):
    """The mutation that must not matter: a Redis key without the tenant."""

    def entry(self, key: EntryKey) -> str:
        return f"cache:exact:{key.digest.hex()}"


async def test_a_second_process_finds_what_the_first_stored(
    new_cache: NewCache, ask: Ask, answer_events: Events, clock: Any
) -> None:
    first, second = await new_cache(), await new_cache()
    await keep(first, store(SCOPE, ask(), answer_events(), created_at=clock() - 5))
    found = await second.lookup(lookup(SCOPE, ask()))
    assert found.hit is not None
    assert (found.tier, found.hit.events, found.hit.created_at) == ("redis", answer_events(), clock() - 5)
    assert (await second.lookup(lookup(SCOPE, ask()))).tier == "memory"


async def test_memory_is_refilled_with_the_remaining_life_only(
    new_cache: NewCache, ask: Ask, answer_events: Events, clock: Any
) -> None:
    first, second = await new_cache(), await new_cache()
    await keep(first, store(SCOPE, ask(), answer_events(), ttl=timedelta(seconds=60)))
    clock.advance(50)
    assert (await second.lookup(lookup(SCOPE, ask()))).tier == "redis"
    clock.advance(9)
    assert (await second.lookup(lookup(SCOPE, ask()))).tier == "memory"
    clock.advance(2)
    assert (await second.lookup(lookup(SCOPE, ask()))).hit is None


async def test_an_entry_outlives_memory_in_redis_up_to_the_default_life(
    new_cache: NewCache, ask: Ask, answer_events: Events, clock: Any
) -> None:
    cache = await new_cache()
    await keep(cache, store(SCOPE, ask(), answer_events(), ttl=timedelta(days=1)))
    clock.advance(301)
    assert (await cache.lookup(lookup(SCOPE, ask()))).tier == "redis"
    clock.advance(3300)
    assert (await cache.lookup(lookup(SCOPE, ask()))).hit is None


async def test_entry_without_a_generation_is_not_kept_in_redis(
    new_cache: NewCache, ask: Ask, answer_events: Events, clock: Any, redis_server: RedisServer
) -> None:
    """Nothing could ever invalidate it."""
    cache = await new_cache()
    await cache.lookup(lookup(SCOPE, ask()))
    key = cache._identity.key(SCOPE, probe_of(ask()))
    hit, life = Hit(events=answer_events(), created_at=clock()), timedelta(seconds=60)
    cache._shared.put(key, Entry(hit, clock() + 60, ""), life)
    await written(cache)
    assert not _redis_keys(redis_server, "*exact*")
    cache._shared.put(key, Entry(hit, clock() + 60, "drawn"), life)
    await written(cache)
    assert _redis_keys(redis_server, "*exact*")


async def test_redis_forgets_entries_by_itself(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer
) -> None:
    cache = await new_cache()
    await keep(cache, store(SCOPE, ask(), answer_events(), ttl=timedelta(seconds=60)))
    await keep(cache, store(SCOPE, ask("And a turbine?"), answer_events()))
    entries = _redis_keys(redis_server, "*exact*")
    with redis_server.client() as client:
        lives = sorted(client.ttl(entry) for entry in entries)
        assert all(0 < life <= limit for life, limit in zip(lives, [60, 3600], strict=True))
        (index,) = _redis_keys(redis_server, "*index*")
        assert 0 < client.ttl(index) <= 3600


async def test_what_may_serve_past_its_time_is_kept_and_indexed_for_so_long_and_its_generation_longer(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer, clock: Any
) -> None:
    day, minute = timedelta(days=1), timedelta(minutes=1)
    cache = await new_cache(stale=day, **NO_MEMORY)
    kept = store(SCOPE, ask(), answer_events(), ttl=minute)
    await keep(cache, msgspec.structs.replace(kept, stale_for=timedelta(days=2)))
    with redis_server.client() as client:
        (entry,) = _redis_keys(redis_server, "*exact*")
        assert day.total_seconds() < client.ttl(entry) <= (day + minute).total_seconds()
        generations = _redis_keys(redis_server, "*generations")
        assert min(map(client.ttl, generations)) > client.ttl(entry)
    clock.advance(3600)
    await keep(cache, store(SCOPE, ask("second"), answer_events()))
    (index,) = _redis_keys(redis_server, "*index*")
    with redis_server.client() as client:
        assert client.zcard(index) == 2
    assert is_miss(await cache.lookup(lookup(SCOPE, ask())))
    wanted = msgspec.structs.replace(lookup(SCOPE, ask()), stale_for=day)
    assert (await cache.lookup(wanted)).hit is not None
    assert await cache.invalidate(SCOPE) == 2
    assert is_miss(await cache.lookup(wanted))


async def test_everything_in_redis_but_keys_has_a_life(
    new_cache: NewCache, redis_server: RedisServer, ask: Ask, answer_events: Events
) -> None:
    cache = await new_cache()
    for model in ("fast", "slow"):
        await keep(cache, store(Scope("acme", model), ask(), answer_events()))
    await cache.invalidate(Scope("other", "nowhere"))
    await written(cache)
    with redis_server.client() as client:
        lives = {key: client.ttl(key) for key in client.scan_iter("*") if not key.endswith(b"cache:keys")}
        assert lives
        assert [key for key, life in lives.items() if life < 0] == []
        # Generations outlive what was stored under them.
        assert min(life for key, life in lives.items() if key.endswith(b"generations")) > 3600


async def test_expired_digests_leave_the_index(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer, clock: Any
) -> None:
    cache = await new_cache()
    await keep(cache, store(SCOPE, ask("first"), answer_events(), ttl=timedelta(seconds=60)))
    clock.advance(61)
    await keep(cache, store(SCOPE, ask("second"), answer_events()))
    (index,) = _redis_keys(redis_server, "*index*")
    with redis_server.client() as client:
        assert client.zcard(index) == 1


async def test_a_newer_answer_of_another_process_serves_where_the_own_is_too_old(
    new_cache: NewCache, ask: Ask, answer_events: Events, clock: Any
) -> None:
    first, second = await new_cache(), await new_cache()
    await keep(first, store(SCOPE, ask(), answer_events("old")))
    clock.advance(100)
    await keep(second, store(SCOPE, ask(), answer_events("new")))
    found = await first.lookup(lookup(SCOPE, ask(), timedelta(seconds=50)))
    assert found.hit is not None
    assert found.hit.events == answer_events("new")


async def test_what_lies_in_redis_names_nobody_and_says_nothing(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer
) -> None:
    cache = await new_cache()
    await keep(cache, store(SCOPE, ask("my secret question"), answer_events("my secret answer")))
    with redis_server.client() as client:
        stored = b"".join(client.dump(key) for key in _redis_keys(redis_server, "*exact*"))
    everything = stored + b"".join(_redis_keys(redis_server))
    for secret in (b"secret", b"acme", b"openai", b"gen-1"):
        assert secret not in everything
    # The entry, its index; generations and keys, of the tenant and of all.
    assert len(_redis_keys(redis_server)) == 6


# The tenant's wall


async def test_tenants_never_share(new_cache: NewCache, ask: Ask, answer_events: Events) -> None:
    caches = [await new_cache(), await new_cache()]
    for number in range(50):
        await keep(caches[0], store(Scope("acme", "fast"), ask(f"{number}"), answer_events("canary")))
    for cache in caches:
        for tenant in ("rival", "Acme", "acme ", "acm", "acme\0", ""):
            for number in range(50):
                assert (await cache.lookup(lookup(Scope(tenant, "fast"), ask(f"{number}")))).hit is None


async def test_decryption_refuses_another_tenants_entry_where_keys_lost_the_tenant(
    new_cache: NewCache, ask: Ask, answer_events: Events, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr("penstock_cache.adapters.redis.RedisKeys", UnscopedKeys)
    owner = await new_cache(identity=UnscopedIdentity(SECRET), **NO_MEMORY)
    rival = await new_cache(identity=UnscopedIdentity(SECRET), **NO_MEMORY)
    await keep(owner, store(SCOPE, ask(), answer_events("canary")))
    assert (await owner.lookup(lookup(SCOPE, ask()))).tier == "redis", "the mutation must leave the owner's hits alone"
    with caplog.at_level(logging.WARNING):
        assert (await rival.lookup(lookup(Scope("rival", "fast"), ask()))).hit is None
    assert "does not open with this tenant's key" in caplog.text


async def test_memory_refuses_another_tenants_entry_where_keys_lost_the_tenant(
    new_cache: NewCache, ask: Ask, answer_events: Events
) -> None:
    cache = await new_cache(identity=UnscopedIdentity(SECRET))
    await keep(cache, store(SCOPE, ask(), answer_events("canary")))
    assert (await cache.lookup(lookup(Scope("rival", "fast"), ask()))).hit is None
    assert (await cache.lookup(lookup(Scope("acme", "large"), ask()))).hit is None


async def test_an_entry_moved_to_another_key_does_not_open(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer
) -> None:
    cache = await new_cache(**NO_MEMORY)
    await keep(cache, store(SCOPE, ask("first"), answer_events("first")))
    (first,) = _redis_keys(redis_server, "*exact*")
    await keep(cache, store(SCOPE, ask("second"), answer_events("second")))
    with redis_server.client() as client:
        second = next(key for key in _redis_keys(redis_server, "*exact*") if key != first)
        client.copy(first, second, replace=True)
    assert (await cache.lookup(lookup(SCOPE, ask("second")))).hit is None
    assert (await cache.lookup(lookup(SCOPE, ask("first")))).hit is not None


@pytest.mark.parametrize("damage", [b"", b"\x01", b"\x02" + bytes(60), b"\x01" + bytes(200)])
async def test_a_damaged_entry_is_a_miss(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer, damage: bytes
) -> None:
    cache = await new_cache(**NO_MEMORY)
    await keep(cache, store(SCOPE, ask(), answer_events()))
    (entry,) = _redis_keys(redis_server, "*exact*")
    with redis_server.client() as client:
        client.set(entry, damage)
    assert is_miss(await cache.lookup(lookup(SCOPE, ask())))


async def test_another_secret_opens_nothing(new_cache: NewCache, ask: Ask, answer_events: Events) -> None:
    await keep(await new_cache(secret=b"a" * 32), store(SCOPE, ask(), answer_events()))
    assert (await (await new_cache(secret=b"b" * 32)).lookup(lookup(SCOPE, ask()))).hit is None


# Invalidation


@pytest.mark.parametrize(
    ("invalidated", "left", "deleted"),
    [
        (Scope("acme", "fast"), [False, True, True], 1),
        (Scope("acme", ""), [False, False, True], 2),
        (Scope("nobody", ""), [True, True, True], 0),
        (Scope("", "fast"), [False, True, False], 2),
        (Scope("", ""), [False, False, False], 3),
        (Scope("", "f*"), [True, True, True], 0),
        (Scope("", "nobody's"), [True, True, True], 0),
    ],
)
async def test_an_invalidation_reaches_every_process_within_a_second(
    new_cache: NewCache,
    ask: Ask,
    answer_events: Events,
    redis_server: RedisServer,
    clock: Any,
    invalidated: Scope,
    left: list[bool],
    deleted: int,
) -> None:
    scopes = [Scope("acme", "fast"), Scope("acme", "large"), Scope("rival", "fast")]
    caches = [await new_cache(), await new_cache()]
    for scope in scopes:
        await keep(caches[0], store(scope, ask(), answer_events()))
        assert (await caches[1].lookup(lookup(scope, ask()))).tier == "redis"
    assert await caches[0].invalidate(invalidated) == deleted
    assert [(await caches[0].lookup(lookup(scope, ask()))).hit is not None for scope in scopes] == left
    clock.advance(1)
    assert [(await caches[1].lookup(lookup(scope, ask()))).hit is not None for scope in scopes] == left
    assert len(_redis_keys(redis_server, "*exact*")) == left.count(True)


async def test_more_entries_than_a_batch_are_deleted_and_counted(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer
) -> None:
    cache = await new_cache()
    for number in range(600):
        await keep(cache, store(SCOPE, ask(f"{number}"), answer_events()))
    assert await cache.invalidate(Scope("acme", "")) == 600
    assert _redis_keys(redis_server, "*exact*") == []


async def test_answers_are_cached_again_after_an_invalidation(
    new_cache: NewCache, ask: Ask, answer_events: Events
) -> None:
    first, second = await new_cache(), await new_cache()
    await keep(first, store(SCOPE, ask(), answer_events("old")))
    await first.invalidate(SCOPE)
    await keep(first, store(SCOPE, ask(), answer_events("new")))
    for cache in (first, second):
        found = await cache.lookup(lookup(SCOPE, ask()))
        assert found.hit is not None
        assert found.hit.events == answer_events("new")


async def test_what_a_process_stores_before_it_hears_of_an_invalidation_is_void(
    new_cache: NewCache, ask: Ask, answer_events: Events, clock: Any
) -> None:
    late, other = await new_cache(), await new_cache()
    await late.lookup(lookup(SCOPE, ask()))
    await other.invalidate(SCOPE)
    await keep(late, store(SCOPE, ask(), answer_events("old")))
    assert (await other.lookup(lookup(SCOPE, ask()))).hit is None
    clock.advance(2)
    assert (await late.lookup(lookup(SCOPE, ask()))).hit is None


@pytest.mark.parametrize("invalidated", [SCOPE, Scope("acme", ""), Scope("", "fast"), Scope("", "")])
async def test_an_answer_that_was_begun_before_an_invalidation_is_not_kept_after_it(
    new_cache: NewCache, ask: Ask, answer_events: Events, invalidated: Scope
) -> None:
    cache = await new_cache()
    missed = await cache.lookup(lookup(SCOPE, ask()))
    await cache.invalidate(invalidated)
    begun = msgspec.structs.replace(store(SCOPE, ask(), answer_events("old")), generation=missed.generation)
    assert await cache.store(begun) == "What lies in its scope was invalidated while the answer was made."
    again = await cache.lookup(lookup(SCOPE, ask()))
    assert again.hit is None
    await keep(cache, msgspec.structs.replace(begun, generation=again.generation))
    assert (await cache.lookup(lookup(SCOPE, ask()))).hit is not None


async def test_names_that_are_made_up_to_invalidate_are_not_kept(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer
) -> None:
    cache = await new_cache()
    for number in range(20):
        assert await cache.invalidate(Scope("acme", f"made up {number}")) == 0
        assert await cache.invalidate(Scope("", f"made up {number}")) == 0
        assert await cache.invalidate(Scope(f"nobody {number}", "")) == 0
    assert _redis_keys(redis_server) == [b"cache:keys"]


async def test_a_walk_over_a_large_redis_ends(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_module, "_MAX_SCAN_ROUNDS", 2)
    monkeypatch.setattr(redis_module, "_SCAN_COUNT", 1)
    cache = await new_cache()
    await keep(cache, store(SCOPE, ask(), answer_events()))
    with redis_server.client() as client:
        client.mset({f"another's {number}": "" for number in range(1000)})
    await cache.invalidate(Scope("", ""))
    assert (await cache.lookup(lookup(SCOPE, ask()))).hit is None


async def test_old_entries_stay_void_when_redis_loses_the_generation(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer, clock: Any
) -> None:
    cache = await new_cache()
    await keep(cache, store(SCOPE, ask(), answer_events()))
    (entry,) = _redis_keys(redis_server, "*exact*")
    with redis_server.client() as client:
        saved = client.dump(entry)
        await cache.invalidate(SCOPE)
        client.restore(entry, 0, saved)
        client.delete(*_redis_keys(redis_server, "*generations"))
    clock.advance(2)
    assert (await cache.lookup(lookup(SCOPE, ask()))).hit is None


async def test_an_invalidation_that_redis_does_not_hear_is_an_error(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer
) -> None:
    cache = await new_cache()
    await keep(cache, store(SCOPE, ask(), answer_events()))
    redis_server.stop()
    with pytest.raises(ServiceUnavailable, match="Invalidate again"):
        await cache.invalidate(SCOPE)
    assert (await cache.lookup(lookup(SCOPE, ask()))).hit is None


# Redis in trouble


async def test_a_killed_redis_means_misses_and_it_serves_again_after_its_return(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer, clock: Any, caplog: Any
) -> None:
    cache, other = await new_cache(), await new_cache()
    await keep(cache, store(SCOPE, ask(), answer_events()))
    redis_server.crash()
    with caplog.at_level(logging.WARNING):
        for number in range(20):
            assert is_miss(await other.lookup(lookup(SCOPE, ask(f"{number}"))))
            assert await other.store(store(SCOPE, ask(f"{number}"), answer_events())) == ""
    assert (await cache.lookup(lookup(SCOPE, ask()))).tier == "memory"
    assert caplog.text.count("reading the cache's Redis fails") == 1
    redis_server.start()
    await _until_hit(cache, other, ask, answer_events, clock)


async def _until_hit(cache: ExactCache, other: ExactCache, ask: Ask, answer_events: Events, clock: Any) -> None:
    """Store and look up anew until Redis is used again: the connection's own cool-down runs in real time."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        clock.advance(2)
        await cache.store(store(SCOPE, ask("again"), answer_events()))
        if (await other.lookup(lookup(SCOPE, ask("again")))).tier == "redis":
            return
    pytest.fail("Redis is back, and is not used")


async def test_a_frozen_redis_costs_one_lookup_the_timeout(
    new_cache: NewCache, ask: Ask, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_connection, "_COOL_DOWN_SECONDS", 3600.0)
    cache = await new_cache(redis_timeout=timedelta(milliseconds=50))
    await cache.lookup(lookup(SCOPE, ask()))
    with redis_server.paused():
        assert is_miss(await cache.lookup(lookup(SCOPE, ask())))
        for _ in range(100):
            # Answered without giving the loop up: nobody waits for what is known to be away.
            with pytest.raises(StopIteration) as answered:
                cache.lookup(lookup(SCOPE, ask())).send(None)
            assert is_miss(answered.value.value)


async def test_a_redis_that_refuses_writes_still_serves_reads(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer, caplog: Any
) -> None:
    cache, other = await new_cache(), await new_cache()
    await keep(cache, store(SCOPE, ask(), answer_events()))
    with redis_server.client() as client:
        client.config_set("maxmemory", "1")
    with caplog.at_level(logging.WARNING):
        assert await cache.store(store(SCOPE, ask("more"), answer_events())) == ""
        await written(cache)
        assert (await other.lookup(lookup(SCOPE, ask()))).tier == "redis"
    assert "writing the cache's Redis fails" in caplog.text


async def test_a_store_waits_for_no_reply(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer
) -> None:
    cache, other = await new_cache(), await new_cache()
    await cache.lookup(lookup(SCOPE, ask()))
    with redis_server.paused():
        stored = cache.store(store(SCOPE, ask(), answer_events()))
        with pytest.raises(StopIteration):
            stored.send(None)
    await written(cache)
    assert (await other.lookup(lookup(SCOPE, ask()))).tier == "redis"


async def test_a_store_reaches_a_redis_that_has_forgotten_the_script(
    new_cache: NewCache, ask: Ask, answer_events: Events, redis_server: RedisServer
) -> None:
    cache, other = await new_cache(), await new_cache()
    await keep(cache, store(SCOPE, ask("first"), answer_events()))
    with redis_server.client() as client:
        client.script_flush()
    await keep(cache, store(SCOPE, ask("second"), answer_events()))
    await written(cache)
    assert (await other.lookup(lookup(SCOPE, ask("second")))).tier == "redis"
