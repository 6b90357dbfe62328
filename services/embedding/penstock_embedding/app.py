"""The embedding service's composition root."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from penstock.embedding.v1.embedding_service_pb2_grpc import add_EmbeddingServiceServicer_to_server
from penstock_common.service import Service
from penstock_embedding.adapters.model_cache import prepare
from penstock_embedding.adapters.model_files import ModelSource, find_model
from penstock_embedding.adapters.model_worker import ModelIdentity, ModelWorker
from penstock_embedding.adapters.onnx_model import OnnxModel
from penstock_embedding.adapters.telemetry import BatchMetrics
from penstock_embedding.domain.batcher import Batcher, BatchPolicy
from penstock_embedding.domain.batching import BatchBounds
from penstock_embedding.domain.embedder import EmbedCall, Embedder, ModelOffer
from penstock_embedding.settings import EmbeddingSettings, Settings
from penstock_embedding.surfaces.grpc.servicer import EmbeddingServicer


@asynccontextmanager
async def build(settings: Settings) -> AsyncGenerator[Service, None]:
    """Yield the embedding service, which has embedded a text by then: ready means that it has served.

    Raises:
        ConfigurationError: if the model is nowhere to be found, or cannot be prepared.
    """
    embedding = settings.embedding
    # Finding, hashing, building and loading take up to seconds, and other roles may share the loop.
    model, identity = await asyncio.to_thread(load_model, embedding)
    metrics = BatchMetrics()
    async with ModelWorker.open(model, identity) as worker:
        batcher = Batcher(worker, _policy(embedding), metrics)
        metrics.watch_queue(lambda: batcher.waiting_texts)
        async with batcher.running():
            embedder = Embedder(batcher, _offer(embedding, model.max_tokens))
            await embedder.embed(EmbedCall(["ready"]))
            servicer = EmbeddingServicer(embedder)
            # The registrar stands where generated code expects a server.
            add: Any = add_EmbeddingServiceServicer_to_server
            yield Service("embedding", lambda registrar: add(servicer, registrar), [metrics])


def _offer(settings: EmbeddingSettings, max_tokens: int) -> ModelOffer:
    return ModelOffer(settings.min_dimensions, max_tokens, settings.price.unit_prices())


def _policy(settings: EmbeddingSettings) -> BatchPolicy:
    return BatchPolicy(
        bounds=BatchBounds(settings.max_batch, settings.max_batch_tokens, settings.max_padding),
        max_wait=settings.max_wait,
        max_waiting_texts=settings.max_waiting,
        max_waiting_tokens=settings.max_waiting_tokens,
    )


def load_model(settings: EmbeddingSettings) -> tuple[OnnxModel, ModelIdentity]:
    """Return the model that the settings name, prepared on the first start; blocks."""
    files = find_model(ModelSource(settings.model, settings.path, settings.hub_id))
    prepared = prepare(files, settings.cache_dir.expanduser())
    model = OnnxModel(files.tokenizer, prepared.graph, files.max_tokens)
    return model, ModelIdentity(settings.model, prepared.revision)
