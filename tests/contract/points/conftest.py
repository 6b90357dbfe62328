from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from penstock_common.points.edge.engine import open_edge
from penstock_common.points.edge.messages import Settings
from penstock_common.points.store import Engine

ENGINES = ("edge",)


@pytest_asyncio.fixture(params=ENGINES, scope="module", loop_scope="module")
async def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    """Each engine in turn, with nothing in it."""
    patient = timedelta(seconds=30)
    async with open_edge(
        tmp_path_factory.mktemp("engine") / "points", Settings(), call_timeout=patient, cool_down=timedelta(0)
    ) as edge:
        yield edge
