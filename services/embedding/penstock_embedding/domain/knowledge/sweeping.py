"""Having vectors follow what stands: what was replaced, deleted or relabelled."""

from __future__ import annotations

import asyncio

import structlog

from penstock_common.errors import PenstockError
from penstock_embedding.domain.knowledge.ports import ChunkVectors
from penstock_embedding.domain.knowledge.records import Garbage
from penstock_embedding.domain.knowledge.stores import GarbageHeap

_AT_ONCE = 100
_PATIENCE_SECONDS = 2.0
_PAUSE_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Sweeper:
    """Does what transactions have left to do. Nothing of it is needed for searches to be right: they believe rows alone."""

    def __init__(self, heap: GarbageHeap, vectors: ChunkVectors) -> None:
        self._heap = heap
        self._vectors = vectors
        self._one_at_a_time = asyncio.Lock()
        self._left = asyncio.Event()
        self._left.set()

    async def sweep_soon(self) -> None:
        """Return when all is done, or after two seconds, or at a failure; the rest is done in the background."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self.sweep()
        except Exception as error:  # noqa: BLE001 - the caller's change is made; this is tidiness
            _log.warning("vectors_follow_later", reason=str(error))
            self._left.set()

    async def sweep(self) -> None:
        """Do all that is left to do."""
        async with self._one_at_a_time:
            while found := await self._heap.some(_AT_ONCE):
                for piece in found:
                    await self._do(piece)
                await self._heap.done([piece.id for piece in found])

    async def run(self) -> None:
        """Do what was left, for ever."""
        while True:
            await self._left.wait()
            self._left.clear()
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001 - whatever is away comes back
                level = _log.warning if isinstance(error, PenstockError) else _log.error
                level("sweeping_failed", reason=str(error))
                self._left.set()
                await asyncio.sleep(_PAUSE_SECONDS)

    def leave(self) -> None:
        """Have the background do what is left."""
        self._left.set()

    async def _do(self, piece: Garbage) -> None:
        if piece.kind == "index":
            await self._vectors.drop_index(piece.index)
        elif piece.kind == "drop":
            await self._vectors.drop_document(piece.index, piece.document, before_version=piece.before_version)
        else:
            document = await self._heap.document(piece.index.tenant, piece.index.base, piece.document)
            if document is not None:
                await self._vectors.relabel(piece.index, document)
