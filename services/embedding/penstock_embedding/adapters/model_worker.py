"""Runs a blocking model beside the event loop, one batch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from penstock_embedding.domain.account import Account
from penstock_embedding.domain.batching import PreparedText
from penstock_embedding.domain.embedder import Vector

# Tokenizing so much takes a third of a millisecond, which is what going to a thread and back costs a busy loop.
_SHORT_CHARACTERS = 1000


class BlockingModel(Protocol):
    """A model whose calls take milliseconds of a thread; the two are called by different threads."""

    def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        """Return the texts' tokens, in order."""
        ...

    def run(self, batch: Sequence[PreparedText]) -> list[Vector]:
        """Return the texts' vectors, in order."""
        ...


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What callers ask for, and what tells vectors apart."""

    name: str
    revision: str


class ModelWorker:
    """A ``BatchModel`` with one thread that runs batches, and one for tokenizing what is long."""

    def __init__(self, model: BlockingModel, identity: ModelIdentity) -> None:
        self._model = model
        self._identity = identity
        self._running = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedding")
        self._preparing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedding-tokens")

    @classmethod
    @asynccontextmanager
    async def open(cls, model: BlockingModel, identity: ModelIdentity) -> AsyncGenerator[ModelWorker, None]:
        """Yield a worker; on exit, drop what waits and wait for what runs."""
        worker = cls(model, identity)
        try:
            yield worker
        finally:
            for executor in (worker._running, worker._preparing):
                await asyncio.to_thread(executor.shutdown, wait=True, cancel_futures=True)

    @property
    def name(self) -> str:
        """The name of the model."""
        return self._identity.name

    @property
    def revision(self) -> str:
        """The revision of the model."""
        return self._identity.revision

    async def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        """Return the texts' tokens, as ``BatchModel`` says."""
        if sum(map(len, texts)) <= _SHORT_CHARACTERS:
            return self._model.prepare(texts)
        return await asyncio.get_running_loop().run_in_executor(self._preparing, self._model.prepare, texts)

    async def run(self, batch: Sequence[PreparedText], deadline: float | None, account: Account) -> list[Vector]:
        """Return the texts' vectors, as ``BatchModel`` says; what runs runs to its end."""
        return await asyncio.get_running_loop().run_in_executor(self._running, self._model.run, batch)
