from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from penstock_common.points.edge.engine import open_edge
from penstock_common.points.edge.messages import Settings
from penstock_common.points.store import Engine

ENGINES = ("edge",)


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """Each engine in turn, with nothing in it."""
    patient = timedelta(seconds=30)
    async with open_edge(tmp_path / "points", Settings(), call_timeout=patient, cool_down=timedelta(0)) as edge:
        yield edge
