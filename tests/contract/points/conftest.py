from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from penstock_common.points.edge.engine import EdgeEngine, open_edge
from penstock_common.points.edge.messages import Settings
from penstock_common.points.gated import Patience
from penstock_common.points.opening import open_points
from penstock_common.points.remote import RemoteEngine
from penstock_common.points.servicer import points_service
from penstock_common.points.store import Engine
from penstock_common.sections import Qdrant
from penstock_common.testing.transports import IN_PROCESS, SOCKET, channel_to
from penstock_faults.qdrant.server import QdrantServer

EDGE, SCRIPTED, OF_ANOTHER_PROCESS = "edge", "scripted server", "of another process"
ENGINES = (EDGE, SCRIPTED, f"{OF_ANOTHER_PROCESS}, {IN_PROCESS}", f"{OF_ANOTHER_PROCESS}, {SOCKET}")
PATIENT = Patience(timedelta(seconds=30), timedelta(seconds=30), timedelta(0))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EdgeEngine]:
    folder: Path = tmp_path_factory.mktemp("engine") / "points"
    async with open_edge(folder, Settings(), PATIENT) as engine:
        yield engine


@pytest_asyncio.fixture(params=ENGINES, scope="module", loop_scope="module")
async def engine(
    request: pytest.FixtureRequest, edge: EdgeEngine, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Engine]:
    """Each engine in turn."""
    name, _, transport = request.param.partition(", ")
    async with AsyncExitStack() as stack:
        if name == EDGE:
            yield edge
        elif name == SCRIPTED:
            server = await stack.enter_async_context(QdrantServer(tmp_path_factory.mktemp("server")))
            settings = Qdrant(url=server.url, timeout=PATIENT.search, write_timeout=PATIENT.other)
            yield await stack.enter_async_context(open_points(settings))
        else:
            channel = await stack.enter_async_context(channel_to(points_service(edge), transport))
            yield RemoteEngine(channel, PATIENT)
