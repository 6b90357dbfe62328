"""The table of recovery, played over sockets: against the whole stack, and against the inference service alone."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from penstock_common.testing.generations import GenerationCaller
from penstock_common.testing.transports import SOCKET, channel_to
from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.stage import Stage
from penstock_faults.table import Row
from penstock_inference.app import build
from penstock_inference.settings import Settings
from penstock_suite.app.theatre import built_house

sys.path.insert(0, str(Path(__file__).parent))

from scenery import InferenceTheatre, upstream_settings  # noqa: E402


@pytest.fixture(scope="session")
def house():
    """Where stacks stand, for all tests of a process."""
    with TemporaryDirectory(prefix="penstock-house-") as folder:
        yield asyncio.run(built_house(Path(folder)))


@pytest.fixture
async def inference():
    """A function that serves the upstreams of a row by an inference service behind a socket."""
    async with AsyncExitStack() as stack:

        async def serve(row: Row) -> InferenceTheatre:
            stage = Stage(row.first, row.others)
            servers, upstreams = {}, []
            for name in ("first", "second"):
                server = ScriptedUpstream(lambda model, name=name: stage.part_of(name, model), gates=stage.gates)
                servers[name] = await stack.enter_async_context(server)
                upstreams.append({**upstream_settings(name, row), "base_url": server.base_url})
            service = await stack.enter_async_context(build(Settings.model_validate({"upstreams": upstreams})))
            channel = await stack.enter_async_context(channel_to(service, SOCKET))
            return InferenceTheatre(GenerationCaller(channel), stage, servers)

        yield serve
