from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from penstock_cache.adapters.kek import FileKek
from penstock_cache.adapters.key_ring import EnvelopeKeyRing
from penstock_cache.adapters.redis import RedisTier
from penstock_cache.adapters.redis_rings import RedisRings
from penstock_cache.domain.cache import ExactCache, Lifetimes, Tiers
from penstock_cache.domain.eligibility import Eligibility
from penstock_cache.domain.identity import Identity
from penstock_cache.domain.memory import MemoryTier
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationInput,
    Message,
    ReasoningDelta,
    Role,
    Started,
    Text,
    TextDelta,
    UnitPrices,
    Usage,
)
from penstock_common.redis_connection import RedisConnection
from penstock_common.testing.redis_server import RedisServer

SECRET = b"s" * 32


@dataclasses.dataclass
class FakeClock:
    """Seconds that pass only when told."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def ask() -> Callable[..., GenerationInput]:
    def make(text: str = "What is a penstock?") -> GenerationInput:
        return GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text=text),)),))

    return make


@pytest.fixture
def answer_events() -> Callable[..., tuple[GenerationEvent, ...]]:
    def make(text: str = "A pipe that feeds a turbine.") -> tuple[GenerationEvent, ...]:
        candidate = Candidate(upstream="openai", model="gpt-4o-mini")
        return (
            Started(generation_id="gen-1", answered_by=candidate),
            ReasoningDelta(text="Pipes.", signature=b"\x00\xff"),
            TextDelta(text=text),
            Usage(input_tokens=9, output_tokens=8, cached_input_tokens=1),
            Finished(
                reason=FinishReason.STOP,
                answered_by=candidate,
                attempts=2,
                cost_nano_usd=7,
                unit_prices=UnitPrices(input_nano_usd=1, output_nano_usd=2),
            ),
        )

    return make


NewCache = Callable[..., Awaitable[ExactCache]]


@pytest.fixture
async def new_cache(redis_server: RedisServer, clock: FakeClock) -> AsyncIterator[NewCache]:
    """A maker of caches, each with a memory and a connection of its own, all on one Redis and one clock."""
    async with AsyncExitStack() as stack:

        async def make(
            secret: bytes = SECRET,
            identity: Identity | None = None,
            redis_timeout: timedelta = timedelta(seconds=5),
            memory_entries: int = 100,
            stale: timedelta = timedelta(),
        ) -> ExactCache:
            connection = await stack.enter_async_context(RedisConnection(redis_server.url, redis_timeout))
            ring = EnvelopeKeyRing(RedisRings(connection), FileKek(secret), secret, (clock, clock))
            return ExactCache(
                identity or Identity(secret),
                Eligibility(max_temperature=0.3),
                Tiers(
                    MemoryTier(memory_entries, max_bytes=1024 * 1024),
                    RedisTier(connection, ring, timedelta(hours=1) + stale, (clock, clock)),
                ),
                Lifetimes(default=timedelta(hours=1), memory=timedelta(minutes=5), stale=stale),
                (clock, clock),
            )

        yield make
