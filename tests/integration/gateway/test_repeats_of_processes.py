"""One request, sent many times at once to two gateways of one database: asked once, also where one of them is killed."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from penstock_common.testing.openai_answers import Answer

sys.path.insert(0, str(Path(__file__).parent))

from jobs_desk import QUICK  # noqa: E402

PROGRAM = Path(__file__).with_name("gateway_process.py")
TOKENS = [f"word{number} " for number in range(12)]
WHOLE = "".join(TOKENS)
CALLERS = int(os.environ.get("PENSTOCK_REPEATS", "60"))
"""At once; `make repeats` has a thousand."""
PATIENCE_SECONDS = 60


class Processes:
    """Two gateways."""

    def __init__(self, processes, sessions, state):
        self.processes = processes
        self._sessions = sessions
        self._state = state

    async def ask(self, process, key, *, stream=False):
        """Return an answer's status, text and id; of one that was cut, nothing."""
        body = {"model": "fast", "messages": [{"role": "user", "content": f"For {key}"}], "stream": stream}
        head = {"authorization": "Bearer demo-key-demo-key-demo", "idempotency-key": key}
        try:
            url = "http://penstock/v1/chat/completions"
            async with self._sessions[process].post(url, json=body, headers=head) as response:
                content = await response.read()
        except (aiohttp.ClientError, OSError):
            return None
        if not stream:
            told = json.loads(content)
            return response.status, told["choices"][0]["message"]["content"], told["id"]
        lines = content.decode().split("\n\n")
        chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))
        return (response.status, text, chunks[0]["id"]) if "data: [DONE]" in lines else None

    def rows(self):
        """Return the ledger's outcomes."""
        with sqlite3.connect(self._state / "penstock.db") as database:
            rows = database.execute("SELECT outcome FROM ledger ORDER BY created_at").fetchall()
        database.close()
        return [outcome for (outcome,) in rows]


@pytest.fixture
async def processes(document, tmp_path):
    document["jobs"] = {**QUICK, "lease": "2s", "heartbeat": "500ms", "poll": "100ms"}
    configuration = tmp_path / "gateways.json"
    configuration.write_text(json.dumps(document))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    async with AsyncExitStack() as stack:
        started, sessions = [], []
        for number in range(2):
            socket = f"{tmp_path}/{number}.sock"
            process = await asyncio.create_subprocess_exec(
                sys.executable, PROGRAM, configuration, socket, env=environment, stdout=asyncio.subprocess.PIPE
            )
            started.append(process)
            stack.push_async_callback(_end, process)
            connector = aiohttp.UnixConnector(socket, limit=0)
            sessions.append(await stack.enter_async_context(aiohttp.ClientSession(connector=connector)))
        for process in started:
            await asyncio.wait_for(process.stdout.readuntil(b"ready\n"), PATIENCE_SECONDS)
        yield Processes(started, sessions, tmp_path)


async def _end(process):
    if process.returncode is None:
        process.kill()
    await process.wait()


@pytest.mark.timeout(PATIENCE_SECONDS * 3)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_many_repeats_are_one_request_and_one_more_where_its_process_is_killed(processes, upstream, hold, stream):
    held = {6: hold} if stream else {0: hold}
    upstream.otherwise = lambda _: Answer(tokens=TOKENS, hold=held)
    asking = [asyncio.ensure_future(processes.ask(at % 2, "k1", stream=stream)) for at in range(CALLERS)]
    await asyncio.wait_for(upstream.next_request(), PATIENCE_SECONDS)
    hold.set()
    told = await asyncio.gather(*asking)
    assert [each[:2] for each in set(told)] == [(200, WHOLE)]
    assert len(upstream.requests) == 1

    never = asyncio.Event()
    never_held = dict.fromkeys(held, never)
    upstream.otherwise = lambda _: Answer(tokens=TOKENS, hold=never_held)
    first = asyncio.ensure_future(processes.ask(0, "k2", stream=stream))
    await asyncio.wait_for(upstream.next_request(), PATIENCE_SECONDS)
    upstream.otherwise = lambda _: Answer(tokens=TOKENS)
    processes.processes[0].kill()
    assert await first is None
    asked = [asyncio.ensure_future(processes.ask(1, "k2", stream=stream)) for _ in range(CALLERS)]
    told = await asyncio.gather(*asked)
    never.set()
    assert {each[:2] for each in told} == {(200, WHOLE)}
    assert len(set(told)) == 1
    assert len(upstream.requests) == 3
    async with asyncio.timeout(PATIENCE_SECONDS):
        while Counter(processes.rows())["ok"] < 2:
            await asyncio.sleep(0.05)
    assert Counter(processes.rows())["ok"] == 2
    assert len(processes.rows()) <= 3
