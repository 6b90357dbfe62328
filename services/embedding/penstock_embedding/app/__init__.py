"""The embedding service's composition root."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from penstock_common.contract.wire.embedding import EMBED, LIST_MODELS
from penstock_common.service import Commit, Role, Service
from penstock_embedding.adapters.deferred_model import DeferredModel
from penstock_embedding.adapters.model_cache import prepare
from penstock_embedding.adapters.model_files import ModelFiles, ModelSource, TokenizerFiles, find_model, find_tokenizer
from penstock_embedding.adapters.model_worker import BlockingModel, ModelIdentity, ModelWorker
from penstock_embedding.adapters.providers.openai.client import ProviderEmbeddings
from penstock_embedding.adapters.telemetry import BatchMetrics, UpstreamMetrics
from penstock_embedding.app.files import files_of
from penstock_embedding.app.knowledge import DeferredKnowledge, Opened, open_knowledge
from penstock_embedding.app.upstreams import offer_of, provider_model, triton_places, upstreams_of
from penstock_embedding.domain.batcher import Batcher, BatchModel, BatchPolicy
from penstock_embedding.domain.batching import BatchBounds
from penstock_embedding.domain.embedder import EmbedCall, Embedder, EmbeddingModel
from penstock_embedding.domain.upstream import FailoverPolicy
from penstock_embedding.settings import EmbeddingSettings, Settings
from penstock_embedding.surfaces.files import files_handlers
from penstock_embedding.surfaces.knowledge import KnowledgeServicer
from penstock_embedding.surfaces.servicer import EmbeddingServicer

Files = ModelFiles | TokenizerFiles | None
Loaded = tuple[BlockingModel, ModelIdentity]


@asynccontextmanager
async def build(settings: Settings) -> AsyncGenerator[Service, None]:
    """Yield the embedding service. Loaded at the start, it has embedded a text by then: ready means that it has served.

    Raises:
        ConfigurationError: if the model is nowhere to be found, or cannot be prepared or asked.
    """
    own = settings.embedding
    metrics, asked = BatchMetrics(), UpstreamMetrics([upstream.name for upstream in upstreams_of(own)])
    # Found at once also where it is loaded later: who starts a stack hears what is missing.
    files = await asyncio.to_thread(_files, own)
    window = files.max_tokens if files is not None else 0
    async with _running(own, files, metrics, asked) as model:
        embedder = Embedder(model, offer_of(own, window))
        # A provider is asked by callers alone: each text has its price.
        if own.load == "at_start" and own.provider is None:
            await embedder.embed(EmbedCall(["ready"]))
        servicer = EmbeddingServicer(embedder)

        async def prepare(changed: Settings) -> Commit:
            return partial(embedder.charge, offer_of(changed.embedding, window))

        documents = DeferredKnowledge(settings, lambda: _documents(settings, embedder))
        handlers = (
            EMBED.served_by(servicer.embed),
            LIST_MODELS.served_by(servicer.list_models),
            *KnowledgeServicer(documents.knowledge).handlers(),
            *files_handlers(lambda: files_of(documents, settings.knowledge)),
        )
        async with documents.running():
            yield Service("embedding", handlers, [metrics, asked], prepare)


@asynccontextmanager
async def _documents(settings: Settings, embedder: Embedder) -> AsyncGenerator[Opened, None]:
    # Heavy, so only those who keep documents import it.
    from penstock_embedding.app.models import open_models

    async with open_models(settings.embedding, embedder) as models, open_knowledge(settings, models) as opened:
        yield opened


@asynccontextmanager
async def _running(
    settings: EmbeddingSettings, files: Files, metrics: BatchMetrics, asked: UpstreamMetrics
) -> AsyncGenerator[EmbeddingModel, None]:
    def opened() -> AbstractAsyncContextManager[BatchModel]:
        return _opened(settings, files, asked)

    if settings.provider is not None:
        async with ProviderEmbeddings.open(provider_model(settings, settings.provider), asked) as model:
            asked.watch_standing(model.failover.standing)
            yield model
        return
    deferred = settings.load == "on_first_use"
    async with DeferredModel.open(settings.model, opened) if deferred else opened() as model:
        batcher = Batcher(model, _policy(settings), metrics, upstream=offer_of(settings, 0).upstream)
        metrics.watch_queue(lambda: batcher.waiting_texts)
        async with batcher.running():
            yield batcher


@asynccontextmanager
async def _opened(
    settings: EmbeddingSettings, files: Files, asked: UpstreamMetrics
) -> AsyncGenerator[BatchModel, None]:
    if isinstance(files, TokenizerFiles) and settings.triton is not None:
        from penstock_embedding.adapters.triton.client import TritonCluster, TritonModel

        first = settings.triton
        cluster = TritonCluster(
            name=settings.model,
            places=triton_places(settings, first),
            revision=first.revision,
            policy=FailoverPolicy(first.attempts, settings.dimensions),
        )
        async with TritonModel.open(cluster, files, asked) as model:
            asked.watch_standing(model.failover.standing)
            yield model
        return
    # Hashing, building and loading take up to seconds, and other roles may share the loop.
    load = partial(load_onnx_model, files=files) if isinstance(files, ModelFiles) else load_torch_model
    model, identity = await asyncio.to_thread(load, settings)
    async with ModelWorker.open(model, identity) as worker:
        yield worker


def load_onnx_model(settings: EmbeddingSettings, files: ModelFiles) -> Loaded:
    """Return the model of these files, prepared on the first start; blocks."""
    # Heavy, so only those who load a model import it.
    from penstock_embedding.adapters.onnx_model import OnnxModel

    prepared = prepare(files, settings.cache_dir.expanduser())
    model = OnnxModel(files.tokenizer, prepared.graph, files.max_tokens)
    return model, ModelIdentity(settings.model, prepared.revision)


def load_torch_model(settings: EmbeddingSettings) -> Loaded:
    """Return the model that the settings name, run by sentence-transformers; blocks."""
    from penstock_embedding.adapters.torch_model import TorchModel

    model = TorchModel(str(settings.path or settings.hub_id or settings.model), settings.device)
    return model, ModelIdentity(settings.model, model.revision)


def _files(settings: EmbeddingSettings) -> Files:
    source = ModelSource(settings.model, settings.path, settings.hub_id)
    finding = {"triton": find_tokenizer, "onnx": find_model}.get(settings.runtime)
    return finding(source) if finding is not None else None


def _policy(settings: EmbeddingSettings) -> BatchPolicy:
    return BatchPolicy(
        bounds=BatchBounds(settings.max_batch, settings.max_batch_tokens, settings.max_padding),
        max_wait=settings.max_wait,
        max_waiting_texts=settings.max_waiting,
        max_waiting_tokens=settings.max_waiting_tokens,
        runs_at_once=settings.triton.runs_at_once if settings.triton is not None else 1,
        taken_ahead=0 if settings.triton is not None else 1,
    )


ROLE = Role(Settings, build)
