"""Equal requests at once to three gateways, each a process of its own, one of which is killed in the middle of the answer."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from penstock_common.testing.openai_answers import Answer

PROGRAM = Path(__file__).with_name("gateway_process.py")
KEY = "demo-key-demo-key-demo"
TOKENS = [f"word{number} " for number in range(12)]
WHOLE = "".join(TOKENS)
CALLERS = 100
PATIENCE_SECONDS = 60


@dataclass
class Caller:
    """What one of many callers is told."""

    process: int
    cache: str = ""
    text: str = ""
    is_whole: bool = False
    was_cut: bool = False


class Processes:
    """Three gateways."""

    def __init__(self, processes, sessions):
        self.processes = processes
        self._sessions = sessions
        self.heard = asyncio.Queue()

    async def ask(self, number: int, text: str) -> Caller:
        """Return what a caller of one of them is told, and note when it is told the first of it."""
        caller = Caller(number % len(self.processes))
        body = {"model": "fast", "messages": [{"role": "user", "content": text}], "stream": True}
        head = {"authorization": f"Bearer {KEY}"}
        url = "http://penstock/v1/chat/completions"
        try:
            async with self._sessions[caller.process].post(url, json=body, headers=head) as response:
                caller.cache = response.headers.get("x-penstock-cache", "")
                async for line in response.content:
                    if line.startswith(b"data: {"):
                        self._take(caller, json.loads(line[6:]))
        except (aiohttp.ClientError, OSError):
            caller.was_cut = True
        return caller

    def _take(self, caller, chunk):
        for choice in chunk.get("choices", ()):
            new = choice["delta"].get("content") or ""
            if new and not caller.text:
                self.heard.put_nowait(caller)
            caller.text += new
            caller.is_whole = caller.is_whole or choice.get("finish_reason") == "stop"

    async def storm(self, text: str):
        """Return the callers' tasks once each was told something, and who of them is told that nobody was before."""
        asked = [asyncio.ensure_future(self.ask(number, text)) for number in range(CALLERS)]
        heard = [await asyncio.wait_for(self.heard.get(), PATIENCE_SECONDS) for _ in asked]
        (first,) = [caller for caller in heard if caller.cache == "miss"]
        return asked, first


@pytest.fixture
async def processes(document, tmp_path, redis_server):
    document["cache"]["flight_lease"] = "2s"
    configuration = tmp_path / "gateways.json"
    configuration.write_text(json.dumps(document))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    async with AsyncExitStack() as stack:
        started, sessions = [], []
        for number in range(3):
            socket = f"{tmp_path}/{number}.sock"
            process = await asyncio.create_subprocess_exec(
                sys.executable, PROGRAM, configuration, socket, env=environment, stdout=asyncio.subprocess.PIPE
            )
            started.append(process)
            stack.push_async_callback(_end, process)
            connector = aiohttp.UnixConnector(socket, limit=0)
            sessions.append(await stack.enter_async_context(aiohttp.ClientSession(connector=connector)))
        for process in started:
            # What it logs comes before.
            await asyncio.wait_for(process.stdout.readuntil(b"ready\n"), PATIENCE_SECONDS)
        with redis_server.client() as client:
            # Each reads what the others tell.
            while sum(other["cmd"] == "xread" for other in client.client_list()) < len(started):
                await asyncio.sleep(0.01)
        yield Processes(started, sessions)


async def _end(process):
    if process.returncode is None:
        process.kill()
    await process.wait()


@pytest.mark.timeout(PATIENCE_SECONDS * 3)
async def test_one_call_serves_a_hundred_and_one_more_where_the_process_that_made_it_is_killed(
    processes, upstream, hold
):
    upstream.otherwise = lambda _: Answer(tokens=TOKENS, hold={6: hold})
    asked, _ = await processes.storm("Is one call enough?")
    hold.set()
    told = await asyncio.gather(*asked)
    assert Counter((caller.text, caller.is_whole, caller.was_cut) for caller in told) == {(WHOLE, True, False): CALLERS}
    assert len(upstream.requests) == 1

    never = asyncio.Event()
    upstream.otherwise = lambda _: Answer(tokens=TOKENS, hold={6: never})
    asked, first = await processes.storm("And if it is killed?")
    upstream.otherwise = lambda _: Answer(tokens=TOKENS)
    processes.processes[first.process].kill()
    told = await asyncio.gather(*asked)
    never.set()
    survivors = [caller for caller in told if caller.process != first.process]
    assert len(survivors) >= CALLERS * 2 // 3 - 1
    assert {(caller.text, caller.is_whole, caller.was_cut) for caller in survivors} == {(WHOLE, True, False)}
    assert all(caller.was_cut for caller in told if caller.process == first.process)
    assert len(upstream.requests) == 3
