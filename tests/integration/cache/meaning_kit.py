"""The tier of meaning over real parts: the embedding model, the embedded vector store, the guard and the keys."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from penstock_cache.adapters.embedding import EmbeddingClient
from penstock_cache.adapters.file_rings import MemoryRings
from penstock_cache.adapters.kek import FileKek
from penstock_cache.adapters.key_ring import EnvelopeKeyRing
from penstock_cache.adapters.metrics import LookMeter
from penstock_cache.domain.cache import ExactCache, Found, Lifetimes, Tiers
from penstock_cache.domain.eligibility import Eligibility
from penstock_cache.domain.guard.guard import Candidate as Pair
from penstock_cache.domain.guard.verdict import Verdict
from penstock_cache.domain.identity import Identity
from penstock_cache.domain.layered import LayeredCache
from penstock_cache.domain.meaning.administration import Administration
from penstock_cache.domain.meaning.counts import MeaningCounts
from penstock_cache.domain.meaning.hits import HitBook
from penstock_cache.domain.meaning.keeping import Keeper
from penstock_cache.domain.meaning.occupancy import Occupancy
from penstock_cache.domain.meaning.policy import Bounds, Policies, Policy
from penstock_cache.domain.meaning.ports import Embedding
from penstock_cache.domain.meaning.shelf import Library
from penstock_cache.domain.meaning.tier import MeaningTier, World
from penstock_cache.domain.meaning.trouble import Troubles
from penstock_cache.domain.meaning.upkeep import Upkeep
from penstock_cache.domain.meaning.vectors import TextVectors
from penstock_cache.domain.memory import MemoryTier
from penstock_cache.domain.secrecy import KeyRing
from penstock_cache.domain.shared import NoSharedTier
from penstock_common.contract.cache import (
    LookupRequest,
    Meaning,
    Near,
    Origin,
    Probe,
    Scope,
    StoreRequest,
    meaning_of,
    probe_of,
)
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationInput,
    Message,
    Role,
    Started,
    Text,
    TextDelta,
    Usage,
)
from penstock_common.points.store import Engine
from penstock_common.rpc.client import Channel
from penstock_common.rpc.in_process import InProcessChannel
from penstock_embedding.app import build as build_embedding
from penstock_embedding.settings import Settings as EmbeddingSettings

SCOPE = Scope("acme", "fast")
PATIENT = Bounds(timeout=timedelta(seconds=30), stale=timedelta(hours=24))


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Said:
    """A judge that says what it is told to, for what the guard's own opinion does not matter to."""

    def __init__(self, score: float) -> None:
        self.score = score

    async def judge_many(self, asked: str, candidates: Sequence[Pair]) -> list[Verdict]:
        return [Verdict(self.score, is_vetoed=False, reason="unsure", detail="") for _ in candidates]


class Semantic:
    """A cache of one process, whose background work ends with ``settle``."""

    def __init__(
        self,
        engine: Engine,
        embedding: Embedding,
        *,
        keys: KeyRing | None = None,
        judge: Any = None,
        policy: Policy | None = None,
        bounds: Bounds = PATIENT,
        shared: Any = None,
    ) -> None:
        self.clock = Clock()
        self.keys = keys or key_ring(self.clock)
        self.counts = MeaningCounts()
        clocks = (self.clock, self.clock)
        self.exact = ExactCache(
            Identity(b"k" * 32),
            Eligibility(max_temperature=0.3),
            Tiers(MemoryTier(1000, 1 << 24), shared or NoSharedTier()),
            Lifetimes(timedelta(hours=1), timedelta(minutes=5), timedelta(hours=24)),
            clocks,
        )
        self.world = World(
            vectors=TextVectors(embedding),
            library=Library(engine, self.keys),
            judge=judge or Said(0.5),
            occupancy=Occupancy(self.clock),
            counts=self.counts,
            hits=HitBook(),
            troubles=Troubles(),
            meter=LookMeter(),
            clocks=clocks,
        )
        policies = Policies(policy or Policy(threshold=0.9, strict=0.97, floor=0.5))
        self._waiting: list[Coroutine[Any, Any, None]] = []
        self.keeper = Keeper(self.world, policies, bounds, self.exact.generation, self._waiting.append)
        self.administration = Administration(self.world, policies, bounds, self.exact.invalidate)
        self.tier = MeaningTier(self.world, policies, bounds)
        self.cache = LayeredCache(self.exact, self.tier, self.keeper, self.administration, self.world)
        self.upkeep = Upkeep(self.world, self.keeper, bounds)

    async def settle(self) -> None:
        """Have done what is done in the background."""
        while self._waiting:
            await self._waiting.pop(0)

    async def ask(self, request: GenerationInput, scope: Scope = SCOPE, user: str = "", **more: Any) -> Found:
        """Look up."""
        return await self.cache.lookup(LookupRequest(scope, probe(request, user), **more))

    async def answer(
        self,
        request: GenerationInput,
        text: str,
        scope: Scope = SCOPE,
        user: str = "",
        *,
        missed: Found | None = None,
        **more: Any,
    ) -> None:
        """Store an answer, after ``missed``, and wait until it is kept."""
        near: Near | None = missed.near if missed is not None else None
        generation = missed.generation if missed is not None else ""
        refused = await self.cache.store(
            StoreRequest(scope, probe(request, user), answered(text), near=near, generation=generation, **more)
        )
        assert refused == ""
        await self.settle()


def key_ring(clock: Clock) -> EnvelopeKeyRing:
    """Return keys that live as long as the test, and call tenants as no other test does."""
    return EnvelopeKeyRing(MemoryRings(), FileKek(b"k" * 32), os.urandom(32), (clock, clock))


def asked(text: str, *before: str, system: str = "", model: str = "fast") -> GenerationInput:
    """Return a request whose last turn has this text, after turns of both sides."""
    roles = (Role.USER, Role.ASSISTANT)
    turns = [Message(role=roles[at % 2], parts=(Text(text=turn),)) for at, turn in enumerate(before)]
    if system:
        turns.insert(0, Message(role=Role.SYSTEM, parts=(Text(text=system),)))
    return GenerationInput(model=model, messages=(*turns, Message(role=Role.USER, parts=(Text(text=text),))))


def probe(request: GenerationInput, user: str = "", *, is_private: bool = False) -> Probe:
    """Return what the gateway makes of a request."""
    plain = probe_of(request)
    meaning = meaning_of(request, user=user)
    if meaning is not None and is_private:
        meaning = Meaning(meaning.text, meaning.fingerprint, user, is_private=True)
    return Probe(plain.digest, plain.temperature, plain.max_output_tokens, meaning=meaning)


def answered(text: str) -> tuple[GenerationEvent, ...]:
    """Return an answer's events."""
    candidate = Candidate(upstream="openai", model="gpt-4o-mini")
    return (
        Started(generation_id="gen-1", answered_by=candidate),
        TextDelta(text=text),
        Usage(input_tokens=9, output_tokens=8),
        Finished(reason=FinishReason.STOP, answered_by=candidate, attempts=1, cost_nano_usd=4000),
    )


@asynccontextmanager
async def embedding_channel(cache_dir: Path) -> AsyncGenerator[Channel]:
    """Yield a channel to the real embedding service."""
    settings = EmbeddingSettings.model_validate({"embedding": {"cache_dir": str(cache_dir)}})
    async with build_embedding(settings) as service:
        yield InProcessChannel(service.handlers)


async def prepared(channel: Channel) -> EmbeddingClient:
    """Return a client that knows its model."""
    client = EmbeddingClient(channel)
    await client.prepare()
    return client


__all__ = ["Clock", "Origin", "Said", "Semantic", "answered", "asked", "embedding_channel", "prepared", "probe"]
