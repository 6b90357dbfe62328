"""Many streams at once: each is served whole or refused properly, and none is lost."""

from __future__ import annotations

import asyncio
import fcntl
import json
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from penstock_common.testing.openai_upstream import Answer, OpenAIUpstream

CLIENT = Path(__file__).with_name("load_client.py")
BURST_HTTP, BURST_GRPC = 4000, 1000
SERVED_AT_LEAST = 0.1
"""Of a burst; who is refused, on a machine that has much other work, is told so."""
HANGS_AFTER_SECONDS = 200
"""Longer than everything takes together: what waits for as long waits for ever."""
TOKENS = ["Every", " stream", " is", " whole", "."]


@pytest.fixture(autouse=True)
def files() -> Iterator[None]:
    """As many descriptors as the machine gives: the upstream is in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest_asyncio.fixture(loop_scope="session")
async def upstream():
    async with OpenAIUpstream() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def no_other_burst() -> AsyncIterator[None]:
    """The only burst there is: this file runs in other shapes of the stack beside this one."""
    with (Path(sys.prefix) / "burst.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.1)
        yield


class Client:
    """The running load client."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        assert line, (await self.process.stderr.read()).decode()
        return json.loads(line)


@asynccontextmanager
async def load(stack, **job: Any):
    """Yield a client that opens the job's streams."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CLIENT),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        job = {"http": stack.http.removeprefix("http://"), "grpc": stack.grpc, "seconds": HANGS_AFTER_SECONDS, **job}
        job["ca"] = stack.ready.get("ca", "")
        assert process.stdin is not None
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
        yield Client(process)
        await process.communicate()
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_two_hundred_streams_of_the_demonstration_model_are_whole(stack):
    prompts = ["What does the gateway do?", "What is a semantic cache?", "Who are you?", "What is Penstock?"]
    job = {"key": stack.keys["load"], "model": "penstock-demo", "prompts": prompts}
    async with load(stack, http_streams=100, grpc_streams=100, **job) as client:
        await client.line()
        await client.line()
        tally = await client.line()
    for surface in ("http", "grpc"):
        assert not tally[surface]["broken"]
        assert tally[surface]["complete"] == 100, tally[surface]
        assert tally[surface]["characters"] > 100 * 20


@pytest.mark.load
@pytest.mark.timeout(240)
async def test_five_thousand_streams_at_once_are_whole(no_other_burst, launch, wait, upstream):
    """All of them are open before the first may end."""
    streams = BURST_HTTP + BURST_GRPC
    stack = await launch(("first", upstream), timeouts={"idle": "100s"})
    rest = asyncio.Event()
    upstream.enqueue(*[Answer(tokens=TOKENS, hold={2: rest}).body("first-1")] * streams)
    job = {"key": stack.keys["app"], "model": "fast", "prompts": ["x"]}
    async with load(stack, http_streams=BURST_HTTP, grpc_streams=BURST_GRPC, **job) as client:
        await client.line()
        # Each has its first tokens, or its refusal, so that none of those that are served has ended.
        await client.line()
        reached = len(upstream.requests)
        rest.set()
        tally = await client.line()
    assert not tally["http"]["broken"]
    assert not tally["grpc"]["broken"]
    served = tally["http"]["complete"] + tally["grpc"]["complete"]
    refused = sum(tally["http"]["refused"].values()) + sum(tally["grpc"]["refused"].values())
    assert served + refused == streams
    assert served == reached >= streams * SERVED_AT_LEAST
    assert tally["http"]["characters"] + tally["grpc"]["characters"] == served * len("".join(TOKENS))
    async with asyncio.timeout(60):
        # The probe waits its turn behind thousands of ending streams, for longer than its second.
        while await stack.status("/readyz") != 200:
            pass
    assert (await stack.ask("after the storm")).status == 200
    rows = await wait(lambda: len(stack.ledger(outcome="ok")) == served + 1)
    assert rows


@pytest.mark.load
async def test_what_is_over_the_limit_is_refused_and_told_when_to_come_back(launch, wait, upstream):
    # All of them are one key's: what is tried is the process's own bound.
    whole = {"max_in_flight": 100, "tenant_share": 1, "key_share": 1}
    stack = await launch(("first", upstream), gateway=whole)
    rest = asyncio.Event()
    most = 100 * stack.gateways
    upstream.enqueue(*[Answer(tokens=TOKENS, hold={2: rest})] * most)
    job = {"key": stack.keys["app"], "model": "fast", "prompts": ["x"]}
    async with load(stack, http_streams=200, grpc_streams=200, **job) as client:
        await client.line()
        await client.line()
        rest.set()
        tally = await client.line()
    assert not tally["http"]["broken"]
    assert not tally["grpc"]["broken"]
    refused = tally["http"]["refused"] | tally["grpc"]["refused"]
    assert set(refused) <= {"503", "UNAVAILABLE"}
    served = tally["http"]["complete"] + tally["grpc"]["complete"]
    assert served + sum(refused.values()) == 400
    assert served >= most
    assert refused
    rows = await wait(lambda: len(stack.ledger()) == served)
    assert rows
