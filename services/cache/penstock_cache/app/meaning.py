"""The tier of meaning, as the settings say."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

from penstock_cache.adapters.embedding import EmbeddingClient
from penstock_cache.adapters.metrics import LookMeter
from penstock_cache.domain.cache import ExactCache
from penstock_cache.domain.guard.guard import Guard
from penstock_cache.domain.layered import LayeredCache
from penstock_cache.domain.meaning.administration import Administration
from penstock_cache.domain.meaning.counts import MeaningCounts
from penstock_cache.domain.meaning.hits import HitBook
from penstock_cache.domain.meaning.keeping import Keeper
from penstock_cache.domain.meaning.occupancy import Occupancy
from penstock_cache.domain.meaning.policy import Bounds, Policies, Policy
from penstock_cache.domain.meaning.shelf import Library
from penstock_cache.domain.meaning.tier import MeaningTier, World
from penstock_cache.domain.meaning.trouble import Troubles
from penstock_cache.domain.meaning.upkeep import Upkeep
from penstock_cache.domain.meaning.vectors import TextVectors
from penstock_cache.domain.secrecy import KeyRing
from penstock_cache.settings import SemanticModel, SemanticSettings, Settings
from penstock_common.background import background_work, running
from penstock_common.configuration import ConfigurationError
from penstock_common.points.gated import patience_of
from penstock_common.points.opening import open_points
from penstock_common.points.remote import RemoteEngine
from penstock_common.points.store import Engine
from penstock_common.priority import Priority
from penstock_common.rpc.client import Channel
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope


class Others(NamedTuple):
    """Whom the tier asks: the embedding service, and the engine of another process where that has it."""

    embedding: Channel | None
    points: Channel | None


@dataclass(frozen=True, slots=True)
class Meaning:
    """The tier, put together."""

    cache: LayeredCache
    administration: Administration
    world: World
    meter: LookMeter


async def meaning_of(
    settings: Settings, exact: ExactCache, ring: KeyRing, others: Others, stack: AsyncExitStack
) -> Meaning:
    """Return the tier on top of the exact ones; it works as soon as the embedding service has answered.

    Raises:
        ConfigurationError: if there is no embedding service, or no vector store.
    """
    if others.embedding is None:
        raise ConfigurationError(
            "'services.embedding.target' is missing: 'cache.mode: semantic' compares texts by their vectors, which the "
            "embedding service makes; say where it is, or take 'cache.mode: exact'"
        )
    engine = (
        await stack.enter_async_context(open_points(settings.qdrant))
        if others.points is None
        else RemoteEngine(others.points, patience_of(settings.qdrant))
    )
    client, counts, meter = EmbeddingClient(others.embedding), MeaningCounts(), LookMeter()
    world = world_of(engine, ring, client, counts, meter)
    policies, bounds = policies_of(settings.cache.semantic), _bounds_of(settings)
    start = await stack.enter_async_context(background_work())

    def start_for_nobody(work: Coroutine[Any, Any, None]) -> None:
        start(_for_nobody(work))

    keeper = Keeper(world, policies, bounds, exact.generation, start_for_nobody)
    administration = Administration(world, policies, bounds, exact.invalidate)
    await stack.enter_async_context(running(_kept_up(client, Upkeep(world, keeper, bounds))))
    cache = LayeredCache(exact, MeaningTier(world, policies, bounds), keeper, administration, world)
    return Meaning(cache, administration, world, meter)


def world_of(engine: Engine, ring: KeyRing, client: EmbeddingClient, counts: MeaningCounts, meter: LookMeter) -> World:
    """Return what the tier works with."""
    return World(
        vectors=TextVectors(client),
        library=Library(engine, ring),
        judge=Guard(),
        occupancy=Occupancy(time.monotonic),
        counts=counts,
        hits=HitBook(),
        troubles=Troubles(),
        meter=meter,
        clocks=(time.time, time.monotonic),
    )


def policies_of(settings: SemanticSettings) -> Policies:
    """Return what is said of each model."""
    return Policies(
        _policy_of(settings, SemanticModel()),
        {name: _policy_of(settings, model) for name, model in settings.models.items()},
    )


def _policy_of(settings: SemanticSettings, model: SemanticModel) -> Policy:
    return Policy(
        is_on=model.mode == "semantic",
        threshold=settings.threshold if model.threshold is None else model.threshold,
        strict=settings.strict_threshold if model.strict_threshold is None else model.strict_threshold,
        floor=settings.floor if model.floor is None else model.floor,
        max_error=settings.max_error,
    )


def _bounds_of(settings: Settings) -> Bounds:
    semantic = settings.cache.semantic
    return Bounds(
        timeout=semantic.timeout,
        life=semantic.ttl,
        stale=settings.longest_stale,
        candidates=semantic.candidates,
        max_entries=semantic.max_entries,
        max_entries_of_a_tenant=semantic.max_entries_of_a_tenant,
        max_waiting=semantic.max_waiting,
    )


async def _for_nobody(work: Coroutine[Any, Any, None]) -> None:
    # The request that the work came from has its deadline, and may be over.
    CURRENT_SCOPE.set(RequestScope(priority=Priority.SHEDDABLE))
    await work


async def _kept_up(client: EmbeddingClient, upkeep: Upkeep) -> None:
    await client.prepare()
    await upkeep.turn()
    await upkeep.run()
