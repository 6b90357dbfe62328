"""A model that is loaded when somebody first asks for it: a stack that nobody asks for vectors does not pay for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from penstock_common.configuration import ConfigurationError
from penstock_common.errors import ServiceUnavailable
from penstock_embedding.domain.account import Account
from penstock_embedding.domain.batcher import BatchModel
from penstock_embedding.domain.batching import PreparedText
from penstock_embedding.domain.embedder import Vector

OpenModel = Callable[[], AbstractAsyncContextManager[BatchModel]]

_LOG = logging.getLogger(__name__)


class DeferredModel:
    """A ``BatchModel`` behind another; its revision is empty until that one is loaded."""

    def __init__(self, name: str, open_model: OpenModel, stack: AsyncExitStack) -> None:
        self._name = name
        self._open_model = open_model
        self._stack = stack
        self._loading: asyncio.Task[None] | None = None
        self._model: BatchModel | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str, open_model: OpenModel) -> AsyncGenerator[DeferredModel, None]:
        """Yield a model that ``open_model`` opens; on exit, close what was opened."""
        async with AsyncExitStack() as stack:
            deferred = cls(name, open_model, stack)
            try:
                yield deferred
            finally:
                await deferred._stop_loading()

    @property
    def name(self) -> str:
        """The name of the model."""
        return self._name

    @property
    def revision(self) -> str:
        """The revision of the model."""
        return self._model.revision if self._model is not None else ""

    async def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        """Return the texts' tokens, as ``BatchModel`` says."""
        model = self._model or await self._loaded()
        return await model.prepare(texts)

    async def run(self, batch: Sequence[PreparedText], deadline: float | None, account: Account) -> list[Vector]:
        """Return the texts' vectors, as ``BatchModel`` says; they were prepared, so it is loaded."""
        assert self._model is not None, "run before it was loaded"
        return await self._model.run(batch, deadline, account)

    async def _loaded(self) -> BatchModel:
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(), name="load the embedding model")
        # Who asked first may have little time, and the next one is to find it loaded.
        await asyncio.shield(self._loading)
        if self._model is None:
            raise ServiceUnavailable("The embedding model cannot be loaded.", service="embedding")
        return self._model

    async def _load(self) -> None:
        try:
            self._model = await self._stack.enter_async_context(self._open_model())
        except ConfigurationError as error:
            _LOG.error("the embedding model cannot be loaded: %s", error)
        finally:
            self._loading = None

    async def _stop_loading(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
