"""From settings to models that run: the service's own, and those that are loaded when somebody asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from penstock_embedding.adapters.counters import DeferredCounter, EstimatingCounter
from penstock_embedding.adapters.deferred_model import DeferredModel
from penstock_embedding.adapters.model_cache import prepare, revision_of_ready
from penstock_embedding.adapters.model_files import (
    ModelFiles,
    ModelSource,
    ReadyFiles,
    TokenizerFiles,
    find_model,
    find_ready_model,
    find_tokenizer,
)
from penstock_embedding.adapters.model_worker import BlockingModel, ModelIdentity, ModelWorker
from penstock_embedding.adapters.providers.openai.client import ProviderEmbeddings
from penstock_embedding.adapters.telemetry import BatchMetrics, UpstreamMetrics
from penstock_embedding.app.upstreams import offer_of, provider_model, triton_places
from penstock_embedding.domain.batcher import Batcher, BatchModel, BatchPolicy
from penstock_embedding.domain.batching import BatchBounds
from penstock_embedding.domain.chunking.piece import TokenCounter
from penstock_embedding.domain.embedder import Embedder, EmbeddingModel, Prefixes
from penstock_embedding.domain.registry import ModelRegistry
from penstock_embedding.domain.upstream import FailoverPolicy
from penstock_embedding.settings import EmbeddingSettings

Files = ModelFiles | ReadyFiles | TokenizerFiles | None
Loaded = tuple[BlockingModel, ModelIdentity]


@dataclass(frozen=True, slots=True)
class Observers:
    """Who sees batches and attempts."""

    batches: BatchMetrics
    upstreams: UpstreamMetrics


@dataclass(frozen=True, slots=True)
class Found:
    """A model's settings, and its files as far as they are here."""

    settings: EmbeddingSettings
    files: Files

    @property
    def window_tokens(self) -> int:
        """The most tokens of one text; 0 where unknown."""
        return self.files.max_tokens if self.files is not None else self.settings.window_tokens


def found_models(settings: EmbeddingSettings) -> tuple[Found, ...]:
    """Return the service's own model and then the further ones; blocks.

    Raises:
        ConfigurationError: if one is nowhere to be found.
    """
    all_of_them = (settings, *(settings.of(further) for further in settings.models))
    return tuple([Found(each, files_of(each)) for each in all_of_them])


@asynccontextmanager
async def registry_of(found: tuple[Found, ...], observers: Observers) -> AsyncGenerator[ModelRegistry, None]:
    """Yield the models; those that are to be loaded at the start are."""
    async with AsyncExitStack() as stack:
        embedders: list[Embedder] = []
        waiting: list[Batcher] = []
        for each in found:
            model = await stack.enter_async_context(_running(each, observers))
            if isinstance(model, Batcher):
                waiting.append(model)
            prefixes = Prefixes(each.settings.query_prefix, each.settings.passage_prefix)
            embedders.append(Embedder(model, offer_of(each.settings, each.window_tokens), prefixes))
        observers.batches.watch_queue(lambda: sum(batcher.waiting_texts for batcher in waiting))
        yield ModelRegistry(embedders[0], embedders[1:])


def counters_of(found: tuple[Found, ...]) -> Mapping[str, TokenCounter]:
    """Return what texts are measured with for each model, by its name; a tokenizer is read when it first is used."""
    return {each.settings.model: _counter_of(each) for each in found}


def files_of(settings: EmbeddingSettings) -> Files:
    """Return a model's files; None where they are not needed here.

    Raises:
        ConfigurationError: if they are and there are none.
    """
    source = _source_of(settings)
    if settings.runtime == "onnx":
        return find_ready_model(source) or find_model(source)
    if settings.runtime == "triton" or (settings.runtime == "provider" and settings.path is not None):
        return find_tokenizer(source)
    return None


def load_onnx_model(settings: EmbeddingSettings, files: ModelFiles | ReadyFiles) -> Loaded:
    """Return the model of these files, prepared on the first start; blocks."""
    # Heavy, so only those who load a model import it.
    if isinstance(files, ReadyFiles):
        from penstock_embedding.adapters.ready_onnx_model import ReadyOnnxModel

        return ReadyOnnxModel(files), ModelIdentity(settings.model, revision_of_ready(files))
    from penstock_embedding.adapters.onnx_model import OnnxModel

    prepared = prepare(files, settings.cache_dir.expanduser())
    model = OnnxModel(files.tokenizer, prepared.graph, files.max_tokens)
    return model, ModelIdentity(settings.model, prepared.revision)


def load_torch_model(settings: EmbeddingSettings) -> Loaded:
    """Return the model that the settings name, run by sentence-transformers; blocks."""
    from penstock_embedding.adapters.torch_model import TorchModel

    model = TorchModel(str(settings.path or settings.hub_id or settings.model), settings.device)
    return model, ModelIdentity(settings.model, model.revision)


@asynccontextmanager
async def _running(found: Found, observers: Observers) -> AsyncGenerator[EmbeddingModel, None]:
    settings = found.settings

    def opened() -> AbstractAsyncContextManager[BatchModel]:
        return _opened(found, observers)

    if settings.provider is not None:
        provider = provider_model(settings, settings.provider)
        async with ProviderEmbeddings.open(provider, observers.upstreams) as model:
            observers.upstreams.watch_standing(model.failover.standing)
            yield model
        return
    deferred = settings.load == "on_first_use"
    async with DeferredModel.open(settings.model, opened) if deferred else opened() as model:
        batcher = Batcher(model, _policy(settings), observers.batches, upstream=offer_of(settings, 0).upstream)
        async with batcher.running():
            yield batcher


@asynccontextmanager
async def _opened(found: Found, observers: Observers) -> AsyncGenerator[BatchModel, None]:
    settings, files = found.settings, found.files
    if isinstance(files, TokenizerFiles) and settings.triton is not None:
        from penstock_embedding.adapters.triton.client import TritonCluster, TritonModel

        first = settings.triton
        cluster = TritonCluster(
            name=settings.model,
            places=triton_places(settings, first),
            revision=first.revision,
            policy=FailoverPolicy(first.attempts, settings.dimensions),
        )
        async with TritonModel.open(cluster, files, observers.upstreams) as model:
            observers.upstreams.watch_standing(model.failover.standing)
            yield model
        return
    # Hashing, building and loading take up to seconds, and other roles may share the loop.
    is_here = isinstance(files, ModelFiles | ReadyFiles)
    load = partial(load_onnx_model, files=files) if is_here else load_torch_model
    model, identity = await asyncio.to_thread(load, settings)
    async with ModelWorker.open(model, identity) as worker:
        yield worker


def _counter_of(found: Found) -> TokenCounter:
    settings, prefix = found.settings, found.settings.passage_prefix

    def read() -> TokenCounter:
        # numpy, which a service that is asked for nothing else does not need.
        from penstock_embedding.adapters.word_counter import WordCounter

        files = found.files if found.files is not None else find_tokenizer(_source_of(settings))
        return WordCounter(files.tokenizer, files.max_tokens, prefix)

    if settings.runtime == "provider" and found.files is None:
        return EstimatingCounter(settings.window_tokens, prefix)
    return DeferredCounter(found.window_tokens, read)


def _source_of(settings: EmbeddingSettings) -> ModelSource:
    return ModelSource(settings.model, settings.path, settings.hub_id, settings.pooling, settings.window_tokens)


def _policy(settings: EmbeddingSettings) -> BatchPolicy:
    bounds = BatchBounds(settings.max_batch, settings.max_batch_tokens, settings.max_padding)
    background = BatchBounds(settings.max_batch, settings.passage_batch_tokens, settings.max_padding)
    return BatchPolicy(
        bounds=bounds,
        background_bounds=background,
        background_turn=settings.passage_turn,
        max_wait=settings.max_wait,
        max_waiting_texts=settings.max_waiting,
        max_waiting_tokens=settings.max_waiting_tokens,
        runs_at_once=settings.triton.runs_at_once if settings.triton is not None else 1,
        taken_ahead=0 if settings.triton is not None else 1,
    )
