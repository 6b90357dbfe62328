"""The one-process shape in this process, asked by a client elsewhere: what the counting tools share.

Gateway, router, cache and inference are joined as ``penstock up`` joins them, over a real Redis and SQLite. The
provider and the client are processes of their own, so that whatever a profiler sees here is ours.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import uvloop
import yaml

from penstock_common.configuration import Configuration
from penstock_common.logging import configure_logging
from penstock_common.testing.redis_server import RedisServer
from penstock_gateway.app.gateway import Listen
from penstock_suite.app.wiring import Wiring, all_here

ROOT = Path(__file__).resolve().parent.parent
_KEY = "bench-key-bench-key"
_PATIENCE_SECONDS = 200.0

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Case:
    """What is asked."""

    name: str
    stream: bool = False
    """100 tokens, which arrive at once: how many arrive together would else depend on the machine."""
    paced: bool = False
    """A token arrives only when the one before has come out at the other end."""
    same: bool = False
    """The same every time, so that the cache answers."""
    turns: int = 0
    """Of history before the question."""
    requests: int = 400
    """That are counted, after a quarter as many."""


UNARY = Case("unary")
STREAM = Case("stream", stream=True)
PACED = Case("paced stream", stream=True, paced=True, requests=80)
HIT = Case("hit", same=True)
HISTORY = Case("20 turns", turns=20)


class Suite:
    """A suite that listens in this process."""

    def __init__(self, socket: Path, upstream: str, client: asyncio.subprocess.Process) -> None:
        """Take where the suite serves the wire formats, the provider's host:port, and the running client."""
        self._upstream = upstream
        self._socket = socket
        self._client = client
        self._jobs = 0

    async def ask(self, case: Case, requests: int, in_flight: int) -> None:
        """Return when so many requests have been answered.

        Raises:
            RuntimeError: if one was not.
        """
        self._jobs += 1
        job = {
            "address": str(self._socket),
            "headers": {"authorization": f"Bearer {_KEY}"},
            "requests": requests,
            "in_flight": in_flight,
            "stream": case.stream,
            **({"kind": "BURST", "tokens": 100} if case.stream else {}),
            **({"kind": "STEP", "pacer": self._upstream} if case.paced else {}),
            "same": case.same,
            "turns": case.turns,
            "salt": str(self._jobs),
        }
        if self._client.stdin is None or self._client.stdout is None:
            raise RuntimeError("the client has no pipes")
        self._client.stdin.write(json.dumps(job).encode() + b"\n")
        outcome = json.loads(await asyncio.wait_for(self._client.stdout.readline(), _PATIENCE_SECONDS) or "{}")
        if outcome.get("errors") != 0 or outcome["requests"] != requests:
            raise RuntimeError(f"{case.name}: {outcome.get('first_error', 'the client ended')}")


@asynccontextmanager
async def running_suite() -> AsyncGenerator[Suite]:
    """Yield a suite that answers, with an empty cache and an empty ledger."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="penstock-one-")))
        redis = stack.enter_context(RedisServer())
        client = await stack.enter_async_context(_program("load_client.py"))
        upstream = await stack.enter_async_context(_program("mock_upstream.py", "0"))
        if upstream.stdout is None:
            raise RuntimeError("the provider has no pipe")
        address = f"127.0.0.1:{int(await asyncio.wait_for(upstream.stdout.readline(), _PATIENCE_SECONDS))}"
        configuration = Configuration.load(_written(folder, f"http://{address}/v1", redis.url))
        socket = folder / "gateway.sock"
        listen = Listen(grpc="127.0.0.1:0", http=f"unix:{socket}")
        gateway = await Wiring(configuration, all_here(configuration), stack).gateway(
            listen, upgrades_schema=True, shares_limits=False
        )
        await gateway.set_ready()
        yield Suite(socket, address, client)


def run_with_suite(work: Callable[[Suite], Coroutine[Any, Any, ResultT]]) -> ResultT:
    """Return what ``work`` makes of a running suite, on the loop that ``penstock up`` runs on."""

    async def run() -> ResultT:
        async with running_suite() as suite:
            return await work(suite)

    # Written as in production, and read by nobody.
    with Path(os.devnull).open("w") as nowhere, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        configure_logging(stream=nowhere)
        return runner.run(run())


@asynccontextmanager
async def _program(name: str, *arguments: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Yield a running program of ``bench/``; killed on exit."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "bench" / name), *arguments, stdin=PIPE, stdout=PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        await process.communicate()


def _written(folder: Path, upstream: str, redis_url: str) -> Path:
    keys = folder / "keys"
    keys.write_text("key material of a measurement, at least thirty-two bytes")
    model = {"name": "bench", "context_window": 128_000, "capabilities": ["chat"], "price": {"input": 1, "output": 2}}
    tier = {"requests_per_minute": 100_000_000, "concurrent_requests": 100_000}
    document = {
        "upstreams": [
            {
                "name": "mock",
                "provider": "openai_compatible",
                "base_url": upstream,
                "api_key": "sk-bench",
                "models": [model],
            }
        ],
        "models": [{"name": "bench", "candidates": ["mock/bench"]}],
        "tenants": [{"name": "bench", "tier": tier, "keys": [_KEY]}],
        "redis": {"state": redis_url, "cache": redis_url},
        "sql": f"sqlite:///{folder}/penstock.db",
        "secrets": {"key_pepper_file": str(keys), "cache_key_file": str(keys)},
        # A sampled trace costs calls that others do not; whether it is one is drawn by chance.
        "telemetry": {"sample_ratio": 0},
        # Under a profiler and on a busy machine Redis is late, and a late answer takes another path.
        "gateway": {"redis_timeout": "10s", "cache_lookup_timeout": "10s", "router_timeout": "10s"},
        "cache": {"redis_timeout": "10s"},
        # What is done by the clock costs a slow machine's request more than a fast one's.
        "health": {"share_every": "1s"},
        "router": {"listen_every": "1m", "believed_for": "2m"},
    }
    path = folder / "penstock.yaml"
    path.write_text(yaml.safe_dump(document))
    return path
