"""Telling how far the taking in is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping

from penstock_common.contract.knowledge import IngestProgress
from penstock_embedding.domain.knowledge.records import IngestCounts
from penstock_embedding.domain.knowledge.stores import Counting

LOOK_SECONDS = 0.5


class Watch:
    """Looks twice a second."""

    def __init__(
        self,
        counting: Counting,
        under_way: Mapping[tuple[str, str], int],
        clock: Callable[[], float] = time.monotonic,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """``under_way`` has the vectors that were put of documents that are not found yet."""
        self._counting = counting
        self._under_way = under_way
        self._clock = clock
        self._look_seconds = look_seconds

    async def ingest(self, tenant: str, base: str) -> AsyncGenerator[IngestProgress]:
        """Yield how far a knowledge base is, at once, with every change, and at the end, when nothing is pending.

        Raises:
            ResourceNotFound: if there is none.
        """
        first = counts = await self._counting.counts(tenant, base)
        began = self._clock()
        told: IngestProgress | None = None
        while True:
            progress = self._progress(counts, first, self._clock() - began, self._under_way.get((tenant, base), 0))
            if progress != told:
                yield progress
                told = progress
            if not counts.pending:
                return
            await asyncio.sleep(self._look_seconds)
            counts = await self._counting.counts(tenant, base)

    def _progress(self, counts: IngestCounts, first: IngestCounts, seconds: float, under_way: int) -> IngestProgress:
        done = counts.bytes_done - first.bytes_done
        left = counts.bytes_total - counts.bytes_done
        known = None if done <= 0 or seconds <= 0 else round(left * seconds / done, 1)
        return IngestProgress(
            documents_total=counts.documents,
            documents_done=counts.documents - counts.pending - counts.failed,
            documents_failed=counts.failed,
            chunks=counts.chunks,
            vectors=counts.vectors + under_way,
            bytes_total=counts.bytes_total,
            bytes_done=counts.bytes_done,
            seconds_left=known if counts.pending else 0.0,
        )
