"""Responses that are kept, over two gateways of one database: gone on from at the other, and made though one is killed."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import openai
import pytest

from penstock_common.testing.openai_answers import Answer

sys.path.insert(0, str(Path(__file__).parent))

from jobs_desk import QUICK  # noqa: E402

PROGRAM = Path(__file__).with_name("gateway_process.py")
PATIENCE_SECONDS = 60


@pytest.fixture
async def gateways(document, tmp_path):
    """Two processes, and a client of each."""
    document["jobs"] = {**QUICK, "lease": "2s", "heartbeat": "500ms", "poll": "50ms"}
    configuration = tmp_path / "gateways.json"
    configuration.write_text(json.dumps(document))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    async with AsyncExitStack() as stack:
        started, clients = [], []
        for number in range(2):
            socket = f"{tmp_path}/{number}.sock"
            process = await asyncio.create_subprocess_exec(
                sys.executable, PROGRAM, configuration, socket, env=environment, stdout=asyncio.subprocess.PIPE
            )
            started.append(process)
            stack.push_async_callback(_end, process)
            http = httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=socket), timeout=PATIENCE_SECONDS)
            client = openai.AsyncOpenAI(
                base_url="http://penstock/v1", api_key="demo-key-demo-key-demo", http_client=http, max_retries=0
            )
            clients.append(await stack.enter_async_context(client))
        for process in started:
            await asyncio.wait_for(process.stdout.readuntil(b"ready\n"), PATIENCE_SECONDS)
        yield started, clients


async def _end(process):
    if process.returncode is None:
        process.kill()
    await process.wait()


def worker_of(tmp_path, processes):
    """Return which of the processes is at a job; None while none is."""
    with sqlite3.connect(tmp_path / "penstock.db") as database:
        found = database.execute("SELECT worker FROM jobs WHERE state = 'running'").fetchall()
    database.close()
    names = [worker for (worker,) in found]
    return next((at for at, process in enumerate(processes) for name in names if f"-{process.pid}-" in name), None)


@pytest.mark.timeout(PATIENCE_SECONDS * 3)
async def test_one_gateway_keeps_what_the_other_goes_on_from_and_ends_what_the_other_began(
    gateways, upstream, tmp_path
):
    processes, clients = gateways
    previous, messages = None, 0
    for number in range(4):
        stream = await clients[number % 2].responses.create(
            model="fast", input=f"{number}", previous_response_id=previous, stream=True
        )
        async for event in stream:
            if event.type == "response.completed":
                previous = event.response.id
                break
        await stream.close()
        messages = len(upstream.requests[-1].body["messages"])
    assert messages == 7

    upstream.otherwise = lambda _: Answer(tokens=["Good", " day"], hold={2: asyncio.Event()})
    told = await clients[0].responses.create(model="fast", input="Later", background=True, stream=True)
    seen = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for event in told:
            seen.append(event)
            if event.type == "response.output_text.delta":
                break
        response_id = seen[0].response.id
        at = worker_of(tmp_path, processes)
        upstream.otherwise = lambda _: Answer(tokens=["Good", " day"])
        processes[at].kill()
        alive = clients[1 - at]
        while (found := await alive.responses.retrieve(response_id)).status in ("queued", "in_progress"):
            await asyncio.sleep(0.05)
    assert (found.status, found.id, found.output_text) == ("completed", response_id, "Good day")
    # What was seen of the attempt that is gone is not gone on from; the whole is there to be seen.
    with pytest.raises(openai.BadRequestError, match="begun anew"):
        await alive.responses.retrieve(response_id, stream=True, starting_after=seen[-1].sequence_number)
    events = [event async for event in await alive.responses.retrieve(response_id, stream=True)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.to_dict() == found.to_dict()
    await told.close()
