from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

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

EDGE, SCRIPTED, REAL, OF_ANOTHER_PROCESS = "edge", "scripted server", "real server", "of another process"
ENGINES = (EDGE, SCRIPTED, REAL, f"{OF_ANOTHER_PROCESS}, {IN_PROCESS}", f"{OF_ANOTHER_PROCESS}, {SOCKET}")
ROOT = Path(__file__).parents[3]
PATIENT = Patience(timedelta(seconds=30), timedelta(seconds=30), timedelta(0))


@contextmanager
def real_server() -> Iterator[str]:
    """Yield where Qdrant itself answers: the one that is named, or the image of the compose file."""
    if named := os.environ.get("PENSTOCK_TEST_QDRANT_URL"):
        yield named
        return
    place = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if place.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(place.removeprefix("unix://"))
            except OSError as error:
                pytest.skip(f"no PENSTOCK_TEST_QDRANT_URL, and no container engine at {place}: {error.strerror}")
    from testcontainers.core.container import DockerContainer

    image = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]["qdrant"]["image"]
    with DockerContainer(image).with_exposed_ports(6334) as container:
        yield f"http://{container.get_container_host_ip()}:{container.get_exposed_port(6334)}"


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
        elif name in (SCRIPTED, REAL):
            if name == SCRIPTED:
                server = await stack.enter_async_context(QdrantServer(tmp_path_factory.mktemp("server")))
                url = server.url
            else:
                url = stack.enter_context(real_server())
            settings = Qdrant(url=url, timeout=PATIENT.search, write_timeout=PATIENT.other)
            yield await stack.enter_async_context(open_points(settings))
        else:
            channel = await stack.enter_async_context(channel_to(points_service(edge), transport))
            yield RemoteEngine(channel, PATIENT)
