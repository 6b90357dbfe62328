"""The embedding service's composition root."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from penstock.embedding.v1.embedding_service_pb2_grpc import add_EmbeddingServiceServicer_to_server
from penstock_common.service import Service
from penstock_embedding.adapters.deferred_model import DeferredModel
from penstock_embedding.adapters.model_cache import prepare
from penstock_embedding.adapters.model_files import ModelFiles, ModelSource, find_model
from penstock_embedding.adapters.model_worker import BlockingModel, ModelIdentity, ModelWorker
from penstock_embedding.adapters.providers.openai.client import ProviderEmbeddings, ProviderModel
from penstock_embedding.adapters.telemetry import BatchMetrics
from penstock_embedding.domain.batcher import Batcher, BatchModel, BatchPolicy
from penstock_embedding.domain.batching import BatchBounds
from penstock_embedding.domain.embedder import OWN_UPSTREAM, EmbedCall, Embedder, EmbeddingModel, ModelOffer
from penstock_embedding.settings import EmbeddingSettings, ProviderSettings, Settings
from penstock_embedding.surfaces.grpc.servicer import EmbeddingServicer

Loaded = tuple[BlockingModel, ModelIdentity]


@asynccontextmanager
async def build(settings: Settings) -> AsyncGenerator[Service, None]:
    """Yield the embedding service. Loaded at the start, it has embedded a text by then: ready means that it has served.

    Raises:
        ConfigurationError: if the model is nowhere to be found, or cannot be prepared.
    """
    own, metrics = settings.embedding, BatchMetrics()
    # Found at once also where it is loaded later: who starts a stack hears what is missing.
    files = await asyncio.to_thread(find_model, _source(own)) if own.runtime == "onnx" else None
    window = files.max_tokens if files is not None else 0
    async with _running(own, files, metrics) as model:
        upstream = own.provider.name if own.provider is not None else OWN_UPSTREAM
        embedder = Embedder(model, ModelOffer(own.min_dimensions, window, own.price.unit_prices(), upstream))
        # A provider is asked by callers alone: each text has its price.
        if own.load == "at_start" and own.provider is None:
            await embedder.embed(EmbedCall(["ready"]))
        servicer = EmbeddingServicer(embedder)
        # The registrar stands where generated code expects a server.
        add: Any = add_EmbeddingServiceServicer_to_server
        yield Service("embedding", lambda registrar: add(servicer, registrar), [metrics])


@asynccontextmanager
async def _running(
    settings: EmbeddingSettings, files: ModelFiles | None, metrics: BatchMetrics
) -> AsyncGenerator[EmbeddingModel, None]:
    def opened() -> AbstractAsyncContextManager[BatchModel]:
        return _opened(settings, files)

    if settings.provider is not None:
        async with ProviderEmbeddings.open(_provider_model(settings.model, settings.provider)) as model:
            yield model
        return
    deferred = settings.load == "on_first_use"
    async with DeferredModel.open(settings.model, opened) if deferred else opened() as model:
        batcher = Batcher(model, _policy(settings), metrics)
        metrics.watch_queue(lambda: batcher.waiting_texts)
        async with batcher.running():
            yield batcher


@asynccontextmanager
async def _opened(settings: EmbeddingSettings, files: ModelFiles | None) -> AsyncGenerator[BatchModel, None]:
    # Hashing, building and loading take up to seconds, and other roles may share the loop.
    load = partial(load_torch_model, settings) if files is None else partial(load_onnx_model, settings, files)
    model, identity = await asyncio.to_thread(load)
    async with ModelWorker.open(model, identity) as worker:
        yield worker


def load_onnx_model(settings: EmbeddingSettings, files: ModelFiles | None = None) -> Loaded:
    """Return the model that the settings name, prepared on the first start; blocks."""
    # Heavy, so only those who load a model import it.
    from penstock_embedding.adapters.onnx_model import OnnxModel

    files = files or find_model(_source(settings))
    prepared = prepare(files, settings.cache_dir.expanduser())
    return OnnxModel(files.tokenizer, prepared.graph, files.max_tokens), ModelIdentity(
        settings.model, prepared.revision
    )


def load_torch_model(settings: EmbeddingSettings) -> Loaded:
    """Return the model that the settings name, run by sentence-transformers; blocks."""
    from penstock_embedding.adapters.torch_model import TorchModel

    source = str(settings.path) if settings.path else settings.hub_id or settings.model
    model = TorchModel(source, settings.device)
    return model, ModelIdentity(settings.model, model.revision)


def _provider_model(name: str, settings: ProviderSettings) -> ProviderModel:
    return ProviderModel(
        name=name,
        upstream=settings.name,
        model=settings.model or name,
        base_url=settings.base_url,
        api_key=settings.api_key.get_secret_value(),
        connect_timeout=settings.connect_timeout,
        timeout=settings.timeout,
        attempts=settings.attempts,
        max_in_flight=settings.max_in_flight,
    )


def _source(settings: EmbeddingSettings) -> ModelSource:
    return ModelSource(settings.model, settings.path, settings.hub_id)


def _policy(settings: EmbeddingSettings) -> BatchPolicy:
    return BatchPolicy(
        bounds=BatchBounds(settings.max_batch, settings.max_batch_tokens, settings.max_padding),
        max_wait=settings.max_wait,
        max_waiting_texts=settings.max_waiting,
        max_waiting_tokens=settings.max_waiting_tokens,
    )
