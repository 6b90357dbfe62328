from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import msgspec
import pytest

from penstock_cache.domain.cache import ExactCache, Lifetimes, NoCache, Tiers
from penstock_cache.domain.eligibility import Eligibility
from penstock_cache.domain.identity import Identity
from penstock_cache.domain.memory import MemoryTier
from penstock_cache.domain.shared import NoSharedTier
from penstock_common.contract.cache import LookupRequest, Scope, StoreRequest, probe_of
from penstock_common.llm.types import GenerationEvent, GenerationInput, TextDelta

Ask = Callable[..., GenerationInput]
Events = Callable[..., tuple[GenerationEvent, ...]]
SCOPE = Scope("acme", "fast")


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


@pytest.fixture
def cache(clock: Callable[[], float]) -> ExactCache:
    return ExactCache(
        Identity(b"k" * 32),
        Eligibility(max_temperature=0.3),
        Tiers(MemoryTier(max_entries=100, max_bytes=1024 * 1024), NoSharedTier()),
        Lifetimes(default=timedelta(hours=1), memory=timedelta(minutes=5)),
        (clock, clock),
    )


async def test_a_stored_answer_is_found_for_an_equal_request(
    cache: ExactCache, ask: Ask, answer_events: Events
) -> None:
    assert await cache.store(store(SCOPE, ask(), answer_events())) == ""
    found = await cache.lookup(lookup(SCOPE, ask()))
    assert found.hit is not None
    assert (found.hit.events, found.tier) == (answer_events(), "memory")


async def test_another_request_or_scope_misses(cache: ExactCache, ask: Ask, answer_events: Events) -> None:
    await cache.store(store(SCOPE, ask(), answer_events()))
    for scope, request in (
        (SCOPE, ask("What is a turbine?")),
        (Scope("rival", "fast"), ask()),
        (Scope("acme", "large"), ask()),
    ):
        assert (await cache.lookup(lookup(scope, request))).hit is None


async def test_deltas_are_kept_in_canonical_form(cache: ExactCache, ask: Ask, answer_events: Events) -> None:
    started, _, *end = answer_events()
    deltas = [TextDelta(text=piece) for piece in ("A ", "pipe", ".")]
    await cache.store(store(SCOPE, ask(), [started, *deltas, *end]))
    found = await cache.lookup(lookup(SCOPE, ask()))
    assert found.hit is not None
    assert found.hit.events == (started, TextDelta(text="A pipe."), *end)


@pytest.mark.parametrize(
    ("ttl_seconds", "lives_seconds"),
    [(None, 300), (60, 60), (299, 299), (600, 300), (1e6, 300)],
)
async def test_an_entry_leaves_memory_after_the_shorter_of_its_lives(
    cache: ExactCache, ask: Ask, answer_events: Events, clock: object, ttl_seconds: float | None, lives_seconds: float
) -> None:
    time_to_live = None if ttl_seconds is None else timedelta(seconds=ttl_seconds)
    await cache.store(store(SCOPE, ask(), answer_events(), ttl=time_to_live))
    clock.advance(lives_seconds - 0.01)  # type: ignore[attr-defined] - the fake clock of conftest
    assert (await cache.lookup(lookup(SCOPE, ask()))).hit is not None
    clock.advance(0.02)  # type: ignore[attr-defined] - the fake clock of conftest
    assert (await cache.lookup(lookup(SCOPE, ask()))).hit is None


@pytest.fixture
def lenient(clock: Callable[[], float]) -> ExactCache:
    """A cache whose memory keeps for a day, and whose models' answers may serve for two minutes beyond their time."""
    return ExactCache(
        Identity(b"k" * 32),
        Eligibility(max_temperature=0.3),
        Tiers(MemoryTier(max_entries=100, max_bytes=1024 * 1024), NoSharedTier()),
        Lifetimes(default=timedelta(hours=1), memory=timedelta(days=1), stale=timedelta(minutes=2)),
        (clock, clock),
    )


@pytest.mark.parametrize(
    ("kept_for", "asked_for", "lives_seconds"),
    [(None, 120, 60), (30, 120, 90), (120, 120, 180), (3600, 7200, 180), (120, 30, 90), (120, None, 60)],
)
async def test_an_entry_serves_beyond_its_time_where_both_sides_say_so_and_the_settings_do(
    lenient: ExactCache,
    ask: Ask,
    answer_events: Events,
    clock: object,
    kept_for: float | None,
    asked_for: float | None,
    lives_seconds: float,
) -> None:
    def seconds(value: float | None) -> timedelta | None:
        return None if value is None else timedelta(seconds=value)

    kept = store(SCOPE, ask(), answer_events(), ttl=timedelta(seconds=60))
    await lenient.store(msgspec.structs.replace(kept, stale_for=seconds(kept_for)))
    wanted = msgspec.structs.replace(lookup(SCOPE, ask()), stale_for=seconds(asked_for))
    clock.advance(lives_seconds - 0.01)  # type: ignore[attr-defined] - the fake clock of conftest
    assert (await lenient.lookup(wanted)).hit is not None
    clock.advance(0.02)  # type: ignore[attr-defined] - the fake clock of conftest
    assert (await lenient.lookup(wanted)).hit is None


async def test_a_stale_entry_is_no_older_than_asked_and_none_after_an_invalidation(
    lenient: ExactCache, ask: Ask, answer_events: Events, clock: object
) -> None:
    kept = store(SCOPE, ask(), answer_events(), ttl=timedelta(seconds=60))
    await lenient.store(msgspec.structs.replace(kept, stale_for=timedelta(minutes=2)))
    clock.advance(90)  # type: ignore[attr-defined] - the fake clock of conftest
    wanted = msgspec.structs.replace(lookup(SCOPE, ask()), stale_for=timedelta(minutes=2))
    assert (await lenient.lookup(msgspec.structs.replace(wanted, max_age=timedelta(seconds=89)))).hit is None
    assert (await lenient.lookup(msgspec.structs.replace(wanted, scope=Scope("rival", "fast")))).hit is None
    assert (await lenient.lookup(wanted)).hit is not None
    await lenient.invalidate(SCOPE)
    assert (await lenient.lookup(wanted)).hit is None


@pytest.mark.parametrize("seconds", [0, -1])
async def test_a_life_that_is_over_is_refused(
    cache: ExactCache, ask: Ask, answer_events: Events, seconds: float
) -> None:
    refusal = await cache.store(store(SCOPE, ask(), answer_events(), ttl=timedelta(seconds=seconds)))
    assert refusal == "The time to live is not positive."
    assert (await cache.lookup(lookup(SCOPE, ask()))).hit is None


async def test_an_entry_older_than_max_age_misses(
    cache: ExactCache, ask: Ask, answer_events: Events, clock: Callable[[], float]
) -> None:
    await cache.store(store(SCOPE, ask(), answer_events(), created_at=clock() - 100))
    assert (await cache.lookup(lookup(SCOPE, ask(), timedelta(seconds=99)))).hit is None
    assert (await cache.lookup(lookup(SCOPE, ask(), timedelta(seconds=100)))).hit is not None


async def test_a_creation_in_the_future_counts_as_now(
    cache: ExactCache, ask: Ask, answer_events: Events, clock: Callable[[], float]
) -> None:
    await cache.store(store(SCOPE, ask(), answer_events(), created_at=clock() + 1_000))
    found = await cache.lookup(lookup(SCOPE, ask()))
    assert found.hit is not None
    assert found.hit.created_at == clock()


async def test_storing_again_replaces(cache: ExactCache, ask: Ask, answer_events: Events) -> None:
    for text in ("first", "second"):
        await cache.store(store(SCOPE, ask(), answer_events(text)))
    found = await cache.lookup(lookup(SCOPE, ask()))
    assert found.hit is not None
    assert found.hit.events == answer_events("second")
    assert cache.stats().memory_entries == 1


async def test_invalidating_voids_exactly_the_scope(cache: ExactCache, ask: Ask, answer_events: Events) -> None:
    scopes = [SCOPE, Scope("acme", "large"), Scope("rival", "fast")]
    for scope in scopes:
        await cache.store(store(scope, ask(), answer_events()))
    assert await cache.invalidate(SCOPE) == 1
    assert [(await cache.lookup(lookup(scope, ask()))).hit is not None for scope in scopes] == [False, True, True]
    assert await cache.invalidate(Scope("acme", "")) == 1
    assert [(await cache.lookup(lookup(scope, ask()))).hit is not None for scope in scopes] == [False, False, True]


@pytest.mark.parametrize(
    ("invalidated", "left"),
    [
        (Scope("", "fast"), [False, True, False]),
        (Scope("", "large"), [True, False, True]),
        (Scope("", ""), [False] * 3),
    ],
)
async def test_invalidating_every_tenant_voids_the_model_or_all(
    cache: ExactCache, ask: Ask, answer_events: Events, invalidated: Scope, left: list[bool]
) -> None:
    scopes = [SCOPE, Scope("acme", "large"), Scope("rival", "fast")]
    for scope in scopes:
        await cache.store(store(scope, ask(), answer_events()))
    assert await cache.invalidate(invalidated) == left.count(False)
    assert [(await cache.lookup(lookup(scope, ask()))).hit is not None for scope in scopes] == left


@pytest.mark.parametrize("invalidated", [SCOPE, Scope("acme", ""), Scope("", "fast"), Scope("", "")])
async def test_an_answer_that_was_begun_before_an_invalidation_is_not_kept_after_it(
    cache: ExactCache, ask: Ask, answer_events: Events, invalidated: Scope
) -> None:
    missed = await cache.lookup(lookup(SCOPE, ask()))
    await cache.invalidate(invalidated)
    begun = msgspec.structs.replace(store(SCOPE, ask(), answer_events()), generation=missed.generation)
    assert "invalidated" in await cache.store(begun)
    assert (await cache.lookup(lookup(SCOPE, ask()))).hit is None


async def test_an_invalidation_elsewhere_lets_an_answer_be_kept(
    cache: ExactCache, ask: Ask, answer_events: Events
) -> None:
    missed = await cache.lookup(lookup(SCOPE, ask()))
    for other in (Scope("acme", "large"), Scope("rival", ""), Scope("", "large")):
        await cache.invalidate(other)
    begun = msgspec.structs.replace(store(SCOPE, ask(), answer_events()), generation=missed.generation)
    assert await cache.store(begun) == ""


async def test_a_request_that_bypasses_is_neither_looked_up_nor_stored(
    cache: ExactCache, ask: Ask, answer_events: Events
) -> None:
    request = ask(temperature=1.0)
    reason = "The temperature is above the cache's limit of 0.3."
    assert await cache.store(store(SCOPE, request, answer_events())) == reason
    assert (await cache.lookup(lookup(SCOPE, request))).bypass_reason == reason
    assert cache.stats().misses == 0


async def test_stats_count_what_happened(cache: ExactCache, ask: Ask, answer_events: Events) -> None:
    await cache.lookup(lookup(SCOPE, ask()))
    await cache.store(store(SCOPE, ask(), answer_events()))
    await cache.store(store(SCOPE, ask(), answer_events()[:-1]))
    await cache.lookup(lookup(SCOPE, ask()))
    stats = cache.stats()
    assert (stats.misses, stats.stores, stats.refusals, stats.memory_hits, stats.memory_entries) == (1, 1, 1, 1, 1)


async def test_a_cache_that_is_off_says_so(ask: Ask, answer_events: Events) -> None:
    cache = NoCache()
    assert await cache.store(store(SCOPE, ask(), answer_events())) == "The cache is off."
    assert (await cache.lookup(lookup(SCOPE, ask()))).bypass_reason == "The cache is off."
    assert await cache.invalidate(SCOPE) == 0
