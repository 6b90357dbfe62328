"""What a stack loads before it says that it is ready: the model that a semantic cache needs, so that no request waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from msgspec.structs import replace

from penstock_common.errors import PenstockError
from penstock_common.sections import DEFAULT_EMBEDDING_MODEL
from penstock_suite.adapters.first_embedding import embed_once
from penstock_suite.app.gateways import Gateways
from penstock_suite.app.parts import Workshop
from penstock_suite.app.plan import StackPlan
from penstock_suite.domain.cache_facts import CacheFacts
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.progress import Prepared, Preparing
from penstock_suite.domain.requests import Role

Loaded = Callable[[], Awaitable[None]]
"""Returns once it is loaded, has failed to be, or takes too long to be waited for."""

_NO_WEIGHTS = "the weights of the embedding model are not installed, which 'make setup' does"


def cache_facts(plan: StackPlan) -> CacheFacts:
    """Return what the cache of a plan runs with."""
    settings = plan.settings
    mode = settings.cache.mode
    if not settings.matches_meaning:
        return CacheFacts(mode=mode, remark=_NO_WEIGHTS if plan.lacks_weights else "")
    qdrant = settings.qdrant
    engine = f"Qdrant at {qdrant.url}" if qdrant.url else f"Qdrant Edge in {qdrant.path or plan.state.vectors}"
    section = settings.embedding or {}
    return CacheFacts(mode=mode, engine=engine, model=str(section.get("model", DEFAULT_EMBEDDING_MODEL)))


@asynccontextmanager
async def warming(workshop: Workshop, gateways: Gateways) -> AsyncGenerator[Loaded]:
    """Load what the first request would wait for, where that may happen; yield what waits for it, but not for ever."""
    settings = workshop.plan.settings
    embedding = settings.embedding
    # A provider is asked by callers alone: each text has its price. What is loaded at the start has served already.
    if not settings.matches_meaning or embedding is None or embedding.get("runtime") == "provider":
        yield _nothing_to_load
        return
    loading = asyncio.create_task(_load(workshop, gateways), name="load the embedding model")

    async def loaded() -> None:
        await asyncio.wait([loading], timeout=settings.local.model_patience.total_seconds())

    try:
        yield loaded
    finally:
        loading.cancel()
        await asyncio.wait([loading])


async def _nothing_to_load() -> None:
    pass


async def _load(workshop: Workshop, gateways: Gateways) -> None:
    began = time.monotonic()
    channel = await gateways.channel(Role.EMBEDDING)
    if channel is None:
        return
    workshop.show(Preparing(cache_facts(workshop.plan).model))
    try:
        model = await embed_once(channel)
    except PenstockError as error:
        workshop.lose(SuiteFailure(f"the cache matches nothing by meaning: {error.message}"))
        return
    workshop.cache = replace(workshop.cache or cache_facts(workshop.plan), model=model)
    workshop.on_change()
    workshop.show(Prepared(model.partition("@")[0], time.monotonic() - began))
