"""What the life of a request needs of the other services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from penstock_common.llm.types import GenerationEvent, GenerationInput, Plan
from penstock_common.telemetry.steps import Step


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A hit: the canonical events of an earlier answer, and which tier gave it."""

    events: tuple[GenerationEvent, ...]
    similarity: float = 1.0
    tier: str = "exact"


@dataclass(frozen=True, slots=True)
class CacheLookup:
    """What the cache said; neither an answer nor a reason is a plain miss."""

    answer: CachedAnswer | None = None
    bypass_reason: str = ""
    steps: Sequence[Step] = ()


class AnswerCache(Protocol):
    """Answers worth reusing, walled off by tenant."""

    async def look_up(self, tenant: str, request: GenerationInput, max_age: timedelta | None) -> CacheLookup:
        """Return what is known. A cache that fails is a cache that misses: this never raises."""
        ...

    async def store(
        self, tenant: str, request: GenerationInput, events: Sequence[GenerationEvent], ttl: timedelta | None
    ) -> None:
        """Keep a complete, clean answer; a failure is logged and forgotten."""
        ...


@dataclass(frozen=True, slots=True)
class Routed:
    """A plan, and the steps it took."""

    plan: Plan
    steps: Sequence[Step] = ()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that callers may name."""

    name: str
    capabilities: tuple[str, ...]
    context_window_tokens: int


class Router(Protocol):
    """Decides which models may answer."""

    async def route(self, request: GenerationInput, allowed_regions: Sequence[str]) -> Routed:
        """Return a plan, or raise the domain error that says why there is none."""
        ...

    async def models(self) -> list[ModelInfo]:
        """Return every public model, sorted by name."""
        ...


class Generator(Protocol):
    """Runs a plan."""

    def generate(
        self, request: GenerationInput, plan: Plan, steps: list[Step]
    ) -> AbstractAsyncContextManager[AsyncIterator[GenerationEvent]]:
        """Open a generation; leaving the context ends the upstream's work.

        The attempts that were made are added to ``steps``, however it ended.
        """
        ...
