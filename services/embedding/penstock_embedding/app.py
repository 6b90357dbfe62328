"""The embedding service's composition root."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from penstock.embedding.v1.embedding_service_pb2_grpc import add_EmbeddingServiceServicer_to_server
from penstock_common.service import Service
from penstock_embedding.adapters.model_cache import prepare
from penstock_embedding.adapters.model_files import ModelSource, find_model
from penstock_embedding.adapters.model_worker import ModelIdentity, ModelWorker
from penstock_embedding.adapters.onnx_model import OnnxModel
from penstock_embedding.domain.batching import BatchBounds
from penstock_embedding.domain.embedder import Embedder
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
    async with ModelWorker.running(model, identity, embedding.max_waiting) as worker:
        embedder = Embedder(worker, BatchBounds(embedding.max_batch, embedding.max_batch_tokens))
        await embedder.embed(["ready"])
        servicer = EmbeddingServicer(embedder)
        yield Service("embedding", lambda registrar: add_EmbeddingServiceServicer_to_server(servicer, registrar))


def load_model(settings: EmbeddingSettings) -> tuple[OnnxModel, ModelIdentity]:
    """Return the model that the settings name, prepared on the first start; blocks."""
    files = find_model(ModelSource(settings.model, settings.path, settings.hub_id))
    prepared = prepare(files, settings.cache_dir.expanduser())
    model = OnnxModel(files.tokenizer, prepared.graph, files.max_tokens)
    return model, ModelIdentity(settings.model, prepared.revision)
