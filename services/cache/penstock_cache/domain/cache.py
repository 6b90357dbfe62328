"""The cache: two tiers in one lookup."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Protocol

from penstock_cache.domain.eligibility import Eligibility
from penstock_cache.domain.entry import Entry, Scope
from penstock_cache.domain.generations import Generations
from penstock_cache.domain.identity import Identity
from penstock_cache.domain.memory import MemoryTier
from penstock_cache.domain.shared import SharedTier
from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import GenerationEvent, GenerationInput

_OFF = "The cache is off."


class Found(NamedTuple):
    """The outcome of a lookup: an entry and its tier, or neither; a bypass says why."""

    entry: Entry | None = None
    tier: str = ""
    bypass_reason: str = ""


_MISS = Found()


class Answer(NamedTuple):
    """A stream of events to be kept; ``created_at`` in Unix seconds, None for now."""

    events: Sequence[GenerationEvent]
    created_at: float | None = None


@dataclass(slots=True)
class Stats:
    """Counts since this process started."""

    memory_hits: int = 0
    redis_hits: int = 0
    misses: int = 0
    stores: int = 0
    refusals: int = 0
    memory_entries: int = 0


class ResponseCache(Protocol):
    """What a surface asks of the cache."""

    async def lookup(self, scope: Scope, request: GenerationInput, max_age: timedelta | None = None) -> Found:
        """Return the answer to an equal request of the same scope that is not older than ``max_age``."""
        ...

    async def store(
        self, scope: Scope, request: GenerationInput, answer: Answer, time_to_live: timedelta | None = None
    ) -> str:
        """Keep the answer; return why it was refused, or nothing where it was not."""
        ...

    async def invalidate(self, scope: Scope) -> int:
        """Void every entry of the scope; return how many were deleted.

        Raises:
            ServiceUnavailable: if entries of other processes may still serve.
        """
        ...

    def stats(self) -> Stats:
        """Return the counts since this process started."""
        ...


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long an entry serves: at most ``default``, in one process's memory ``memory``."""

    default: timedelta
    memory: timedelta


@dataclass(frozen=True, slots=True)
class Tiers:
    """Where entries lie."""

    memory: MemoryTier
    shared: SharedTier


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
        self._lifetimes = lifetimes
        self._now, monotonic = clocks
        self._generations = Generations(tiers.shared, monotonic)
        self._stats = Stats()

    async def lookup(self, scope: Scope, request: GenerationInput, max_age: timedelta | None = None) -> Found:
        """Return the freshest-tier answer, as ``ResponseCache`` says."""
        bypass_reason = self._eligibility.bypass_reason(request)
        if bypass_reason:
            return Found(bypass_reason=bypass_reason)
        key = self._identity.key(scope, request)
        generation = await self._generations.current(scope)
        now = self._now()
        oldest = None if max_age is None else now - max_age.total_seconds()
        entry = self._memory.get(key, now)
        if entry is not None and _usable(entry, generation, now, oldest):
            self._stats.memory_hits += 1
            return Found(entry, "memory")
        entry = await self._shared.get(key)
        if entry is not None and _usable(entry, generation, now, oldest):
            self._memory.put(key, entry, self._memory_expiry(entry, now))
            self._stats.redis_hits += 1
            return Found(entry, "redis")
        self._stats.misses += 1
        return _MISS

    async def store(
        self, scope: Scope, request: GenerationInput, answer: Answer, time_to_live: timedelta | None = None
    ) -> str:
        """Keep the answer in both tiers, as ``ResponseCache`` says."""
        refusal_reason = self._refusal_reason(request, answer, time_to_live)
        if refusal_reason:
            self._stats.refusals += 1
            return refusal_reason
        default = self._lifetimes.default
        life = default if time_to_live is None else min(time_to_live, default)
        key = self._identity.key(scope, request)
        generation = await self._generations.current(scope)
        now = self._now()
        entry = Entry(
            events=tuple(merge_deltas(answer.events)),
            created_at=now if answer.created_at is None else min(answer.created_at, now),
            fresh_until=now + life.total_seconds(),
            generation=generation,
        )
        self._memory.put(key, entry, self._memory_expiry(entry, now))
        self._stats.stores += 1
        await self._shared.put(key, entry, life)
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

    def stats(self) -> Stats:
        """Return the counts since this process started."""
        self._stats.memory_entries = len(self._memory)
        return self._stats

    def _refusal_reason(self, request: GenerationInput, answer: Answer, time_to_live: timedelta | None) -> str:
        if time_to_live is not None and time_to_live <= timedelta():
            return "The time to live is not positive."
        return self._eligibility.bypass_reason(request) or self._eligibility.refusal_reason(request, answer.events)

    def _memory_expiry(self, entry: Entry, now: float) -> float:
        return min(entry.fresh_until, now + self._lifetimes.memory.total_seconds())


def _usable(entry: Entry, generation: str, now: float, oldest: float | None) -> bool:
    return entry.generation == generation and entry.fresh_until > now and (oldest is None or entry.created_at >= oldest)


class NoCache:
    """Stands where the cache is off: every request bypasses it."""

    async def lookup(self, scope: Scope, request: GenerationInput, max_age: timedelta | None = None) -> Found:
        """Return a bypass."""
        return Found(bypass_reason=_OFF)

    async def store(
        self, scope: Scope, request: GenerationInput, answer: Answer, time_to_live: timedelta | None = None
    ) -> str:
        """Refuse."""
        return _OFF

    async def invalidate(self, scope: Scope) -> int:
        """Return 0."""
        return 0

    def stats(self) -> Stats:
        """Return zeros."""
        return Stats()
