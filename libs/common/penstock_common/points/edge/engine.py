"""Qdrant Edge as an ``Engine``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from penstock_common.points.asked import AskedPoints
from penstock_common.points.edge.messages import Settings
from penstock_common.points.edge.process import EdgeProcess, running_engine
from penstock_common.points.gated import GatedAsk, Patience
from penstock_common.points.store import Collection

MOST_WAITING = 256
"""Questions; an engine that has as many before it is too slow for a further one."""
_RESTART_AFTER = timedelta(seconds=1)


class EdgeEngine:
    """Implements ``Engine``; ``process`` is for those who watch over it."""

    def __init__(self, process: EdgeProcess, patience: Patience) -> None:
        self.process = process
        self._ask = GatedAsk("the embedded vector store", process.ask, patience)

    def points(self, collection: Collection) -> AskedPoints:
        """Return the collection."""
        return AskedPoints(collection, self._ask)


@asynccontextmanager
async def open_edge(
    folder: Path,
    settings: Settings,
    patience: Patience,
    *,
    restart_after: timedelta = _RESTART_AFTER,
) -> AsyncGenerator[EdgeEngine]:
    """Yield the engine of a folder.

    Raises:
        ConfigurationError: if another process has the folder, it cannot be used, or the package is missing.
    """
    process = EdgeProcess(
        folder,
        settings,
        most_waiting=MOST_WAITING,
        restart_after=restart_after.total_seconds(),
    )
    async with running_engine(process):
        yield EdgeEngine(process, patience)
