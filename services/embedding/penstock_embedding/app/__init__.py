"""The embedding service's composition root."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from penstock_common.contract.wire.embedding import EMBED, LIST_MODELS
from penstock_common.service import Commit, Role, Service
from penstock_embedding.adapters.telemetry import BatchMetrics, UpstreamMetrics
from penstock_embedding.app.knowledge import DeferredKnowledge, open_knowledge
from penstock_embedding.app.models import Observers, counters_of, found_models, registry_of
from penstock_embedding.app.upstreams import offer_of, upstreams_of
from penstock_embedding.domain.embedder import EmbedCall
from penstock_embedding.domain.knowledge_models import ServedModels
from penstock_embedding.settings import Settings
from penstock_embedding.surfaces.knowledge import KnowledgeServicer
from penstock_embedding.surfaces.servicer import EmbeddingServicer


@asynccontextmanager
async def build(settings: Settings) -> AsyncGenerator[Service, None]:
    """Yield the embedding service. Loaded at the start, it has embedded a text by then: ready means that it has served.

    Raises:
        ConfigurationError: if a model is nowhere to be found, or the service's own cannot be prepared or asked.
    """
    own = settings.embedding
    # Found at once also where they are loaded later: who starts a stack hears what is missing.
    found = await asyncio.to_thread(found_models, own)
    upstreams = [upstream.name for each in found for upstream in upstreams_of(each.settings)]
    observers = Observers(BatchMetrics(), UpstreamMetrics(dict.fromkeys(upstreams)))
    async with registry_of(found, observers) as registry:
        # A provider is asked by callers alone: each text has its price.
        if own.load == "at_start" and own.provider is None:
            await registry.embedder("").embed(EmbedCall(["ready"]))
        servicer = EmbeddingServicer(registry)

        async def prepare(changed: Settings) -> Commit:
            all_of_them = (changed.embedding, *(changed.embedding.of(further) for further in changed.embedding.models))
            offers = [offer_of(each, known.window_tokens) for each, known in zip(all_of_them, found, strict=False)]

            def commit() -> None:
                for embedder, offer in zip(registry.all, offers, strict=False):
                    embedder.charge(offer)

            return commit

        models = ServedModels(registry, counters_of(found))
        documents = DeferredKnowledge(settings, lambda: open_knowledge(settings, models))
        handlers = (
            EMBED.served_by(servicer.embed),
            LIST_MODELS.served_by(servicer.list_models),
            *KnowledgeServicer(documents.knowledge).handlers(),
        )
        async with documents.running():
            yield Service("embedding", handlers, [observers.batches, observers.upstreams], prepare)


ROLE = Role(Settings, build)
