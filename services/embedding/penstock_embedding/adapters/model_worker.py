"""Runs a blocking model beside the event loop, one job at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from penstock_common.errors import Overloaded
from penstock_embedding.domain.embedder import TokenizedText, Vector

ResultT = TypeVar("ResultT")


class BlockingModel(Protocol):
    """A model whose calls take milliseconds of a thread."""

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Return the texts' tokens, in order."""
        ...

    def vectors(self, batch: Sequence[TokenizedText]) -> list[Vector]:
        """Return the texts' vectors, in order."""
        ...


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What callers ask for, and what tells vectors apart."""

    name: str
    revision: str


class ModelWorker:
    """An ``EmbeddingModel`` with one thread and a bounded queue.

    Jobs run in the order they came. A job whose caller was cancelled while it
    waited is dropped; one that runs is finished, and its result is dropped.
    """

    def __init__(self, model: BlockingModel, identity: ModelIdentity, max_waiting: int) -> None:
        self._model = model
        self._identity = identity
        self._max_waiting = max_waiting
        self._jobs = 0
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedding")

    @classmethod
    @asynccontextmanager
    async def running(
        cls, model: BlockingModel, identity: ModelIdentity, max_waiting: int
    ) -> AsyncGenerator[ModelWorker, None]:
        """Yield a worker; on exit, drop what waits and wait for what runs."""
        worker = cls(model, identity, max_waiting)
        try:
            yield worker
        finally:
            await asyncio.to_thread(worker._executor.shutdown, wait=True, cancel_futures=True)

    @property
    def name(self) -> str:
        """The name of the model."""
        return self._identity.name

    @property
    def revision(self) -> str:
        """The revision of the model."""
        return self._identity.revision

    async def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Return the texts' tokens, as ``EmbeddingModel`` says."""
        return await self._run(self._model.tokenize, texts)

    async def vectors(self, batch: Sequence[TokenizedText]) -> list[Vector]:
        """Return the texts' vectors, as ``EmbeddingModel`` says."""
        return await self._run(self._model.vectors, batch)

    async def _run(self, job: Callable[[Any], ResultT], argument: Any) -> ResultT:
        # One job runs, the others wait.
        if self._jobs > self._max_waiting:
            raise Overloaded(f"{self._max_waiting} embedding requests wait already. Try again later.")
        self._jobs += 1
        try:
            # Cancelling what is awaited cancels the job in the queue, too.
            return await asyncio.get_running_loop().run_in_executor(self._executor, job, argument)
        finally:
            self._jobs -= 1
