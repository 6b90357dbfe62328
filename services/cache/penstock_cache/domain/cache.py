"""The cache: two tiers in one lookup."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import msgspec

from penstock_cache.domain.eligibility import NO_BYPASS, Eligibility
from penstock_cache.domain.entry import Entry
from penstock_cache.domain.generations import UNLEARNED, Generations
from penstock_cache.domain.identity import Identity
from penstock_cache.domain.memory import MemoryTier
from penstock_cache.domain.shared import SharedTier
from penstock_common.contract.cache import Hit, LookupRequest, Near, Scope, Stats, StoreRequest
from penstock_common.llm.events import merge_deltas

_OFF = "The cache is off."


class Found(msgspec.Struct, frozen=True):
    """The outcome of a lookup: a hit and its tier, or neither; a bypass says why, a miss in which generation.

    Both may also say why in a word. A miss may have what was near, and the text's vector.
    """

    hit: Hit | None = None
    tier: str = ""
    bypass_reason: str = ""
    generation: str = ""
    miss_reason: str = ""
    near: Near | None = None
    vector: bytes = b""
    vector_model: str = ""


class ResponseCache(Protocol):
    """What a surface asks of the cache."""

    async def lookup(self, request: LookupRequest, until: float = math.inf) -> Found:
        """Return the answer to an equal request of the same scope that is not older than ``max_age``.

        Nobody waits for it longer than ``until``, on the monotonic clock.
        """
        ...

    async def store(self, request: StoreRequest) -> str:
        """Keep the answer; return why it was refused, or nothing where it was not."""
        ...

    async def invalidate(self, scope: Scope) -> int:
        """Void every entry of the scope; return how many were deleted.

        Raises:
            ServiceUnavailable: if entries of other processes may still serve.
        """
        ...

    def keep_stale(self, longest: timedelta) -> None:
        """Keep what is stored from now on for at most ``longest`` beyond its time."""
        ...

    def stats(self) -> Stats:
        """Return the counts since this process started."""
        ...


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long an entry serves: at most ``default``, in one process's memory ``memory``.

    After that it is kept for at most ``stale`` more, for those who ask for such entries.
    """

    default: timedelta
    memory: timedelta
    stale: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Tiers:
    """Where entries lie."""

    memory: MemoryTier
    shared: SharedTier


@dataclass(slots=True)
class _Counts:
    memory_hits: int = 0
    redis_hits: int = 0
    misses: int = 0
    stores: int = 0
    refusals: int = 0


class ExactCache:
    """Answers equal requests again, within one tenant and model.

    Nothing of the shared tier's trouble reaches a caller of ``lookup`` or
    ``store``: it costs at most the tier's own time limit, and misses.
    """

    def __init__(
        self,
        identity: Identity,
        eligibility: Eligibility,
        tiers: Tiers,
        lifetimes: Lifetimes,
        clocks: tuple[Callable[[], float], Callable[[], float]],
    ) -> None:
        """``clocks`` are wall clock (Unix seconds, shared with other processes) and monotonic clock."""
        self._identity = identity
        self._eligibility = eligibility
        self._memory = tiers.memory
        self._shared = tiers.shared
        self._default_life = lifetimes.default
        self._memory_seconds = lifetimes.memory.total_seconds()
        self._longest_stale = lifetimes.stale
        self._now, monotonic = clocks
        self._generations = Generations(tiers.shared, monotonic)
        self._counts = _Counts()

    async def lookup(self, request: LookupRequest, until: float = math.inf) -> Found:
        """Return the freshest-tier answer, as ``ResponseCache`` says."""
        bypass = self._eligibility.bypass(request.probe)
        if bypass is not NO_BYPASS:
            return Found(bypass_reason=bypass.sentence, miss_reason=bypass.word)
        scope = request.scope
        key = self._identity.key(scope, request.probe)
        generation = self._generations.known(scope)
        if generation is None:
            generation = await self._generations.read(scope)
        if request.afresh:
            return Found(generation=generation or UNLEARNED)
        now = self._now()
        oldest = None if request.max_age is None else now - request.max_age.total_seconds()
        over_at = now if request.stale_for is None else now - request.stale_for.total_seconds()
        entry = self._memory.get(key, now)
        if entry is not None and _usable(entry, generation, over_at, oldest):
            self._counts.memory_hits += 1
            return Found(entry.hit, "memory")
        entry = await self._shared.get(key)
        if entry is not None and _usable(entry, generation, over_at, oldest):
            if entry.fresh_until > now:
                self._memory.put(key, entry, min(entry.fresh_until, now + self._memory_seconds), now)
            self._counts.redis_hits += 1
            return Found(entry.hit, "redis")
        self._counts.misses += 1
        return Found(generation=generation or UNLEARNED)

    async def store(self, request: StoreRequest) -> str:
        """Keep the answer in both tiers, as ``ResponseCache`` says."""
        events = tuple(merge_deltas(request.events))
        life = self._default_life if request.ttl is None else min(request.ttl, self._default_life)
        refusal_reason = (
            "The time to live is not positive."
            if life <= _NO_TIME
            else self._eligibility.bypass(request.probe).sentence
            or self._eligibility.refusal_reason(request.probe, events)
        )
        if refusal_reason:
            self._counts.refusals += 1
            return refusal_reason
        generation = self._generations.known(request.scope)
        if generation is None:
            generation = await self._generations.read(request.scope)
        if request.generation and request.generation != (generation or UNLEARNED):
            self._counts.refusals += 1
            return "What lies in its scope was invalidated while the answer was made."
        now = self._now()
        created_at = now if request.created_at is None else min(request.created_at, now)
        entry = Entry(Hit(events=events, created_at=created_at), now + life.total_seconds(), generation)
        key = self._identity.key(request.scope, request.probe)
        if request.stale_for is not None:
            life += min(request.stale_for, self._longest_stale)
        self._memory.put(key, entry, now + min(life.total_seconds(), self._memory_seconds), now)
        self._counts.stores += 1
        self._shared.put(key, entry, life)
        return ""

    async def invalidate(self, scope: Scope) -> int:
        """Void the scope in both tiers, as ``ResponseCache`` says."""
        dropped = self._memory.drop(scope)
        try:
            deleted = await self._shared.invalidate(scope)
        finally:
            self._generations.forget(scope)
            # What came in meanwhile may be of the old generation.
            dropped += self._memory.drop(scope)
        return max(dropped, deleted)

    async def present_generation(self, scope: Scope) -> str:
        """Return the scope's generation as this process knows it; empty if it was never learned."""
        known = self._generations.known(scope)
        return await self._generations.read(scope) if known is None else known

    async def generation(self, scope: Scope) -> str:
        """Return the scope's generation, read anew; empty if it was never learned."""
        return await self._generations.read(scope)

    def keep_stale(self, longest: timedelta) -> None:
        """Keep what is stored from now on longer or shorter, as ``ResponseCache`` says."""
        self._longest_stale = longest
        self._shared.keep_for(self._default_life + longest)

    def stats(self) -> Stats:
        """Return the counts since this process started."""
        counts = self._counts
        return Stats(
            memory_hits=counts.memory_hits,
            redis_hits=counts.redis_hits,
            misses=counts.misses,
            stores=counts.stores,
            refusals=counts.refusals,
            memory_entries=len(self._memory),
        )


_NO_TIME = timedelta()


def _usable(entry: Entry, generation: str, over_at: float, oldest: float | None) -> bool:
    return (
        entry.generation == generation
        and entry.fresh_until > over_at
        and (oldest is None or entry.hit.created_at >= oldest)
    )


class NoCache:
    """Stands where the cache is off: every request bypasses it."""

    async def lookup(self, request: LookupRequest, until: float = math.inf) -> Found:
        """Return a bypass."""
        return Found(bypass_reason=_OFF, miss_reason="off")

    async def store(self, request: StoreRequest) -> str:
        """Refuse."""
        return _OFF

    async def invalidate(self, scope: Scope) -> int:
        """Return 0."""
        return 0

    def keep_stale(self, longest: timedelta) -> None:
        """Keep nothing."""

    def stats(self) -> Stats:
        """Return zeros."""
        return Stats()
