"""Replicas of the suite: each ``penstock up`` by itself, an edge and processes of its own, all on one Redis and one database."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from shapes import EDGE, GRPC, HERE, ONE_PROCESS, running

from penstock_common.testing.ports import free_port
from penstock_common.testing.redis_server import RedisServer

TENANTS = 4
KEYS = {f"tenant-{number}": f"key-of-tenant-{number}-key" for number in range(TENANTS)}
_PLENTY = {"requests_per_minute": 100_000_000, "priority": "critical"}


@dataclass(frozen=True)
class Replica:
    """One that runs; addresses are ``host:port``."""

    number: int
    pid: int
    http: str
    grpc: str
    metrics: str


@dataclass(frozen=True)
class Fleet:
    """All of them, and what they share."""

    replicas: Sequence[Replica]
    redis: RedisServer
    database: Path

    def ledger(self) -> list[dict[str, Any]]:
        """Return every row of the ledger."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=60)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM ledger")]


def upstream(name: str, base_urls: Sequence[str], *models: str, **more: Any) -> dict[str, Any]:
    """Return the entry of an upstream; ``window`` and ``prefill`` are of its models, the rest is the upstream's."""
    window, prefill = more.pop("window", 8192), more.pop("prefill", True)
    capabilities = ["chat", "prefill"] if prefill else ["chat"]
    price = {"input": 1, "output": 2}
    addresses = {"base_url": base_urls[0]} if len(base_urls) == 1 else {"base_urls": list(base_urls)}
    return {
        "name": name, "provider": "openai_compatible", "api_key": "sk-chaos", **addresses, **more,
        "models": [
            {"name": model, "context_window": window, "capabilities": capabilities, "price": price} for model in models
        ],
    }  # fmt: skip


@asynccontextmanager
async def replicas(folder: Path, count: int, sections: Mapping[str, Any]) -> AsyncGenerator[Fleet]:
    """Yield replicas that are ready; the first makes the database, the others come together."""
    for name in ("pepper", "cache-key"):
        (folder / name).write_bytes(os.urandom(32))
    database = folder / "penstock.db"
    with RedisServer() as redis, ExitStack() as stack:
        document: dict[str, Any] = {
            "listen": {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"},
            "redis": {"state": redis.url, "cache": redis.url},
            "sql": f"sqlite:///{database}",
            "secrets": {"key_pepper_file": str(folder / "pepper"), "cache_key_file": str(folder / "cache-key")},
            "cache": {"mode": "off"},
            "tenants": [{"name": name, "tier": _PLENTY, "keys": [key]} for name, key in KEYS.items()],
            **sections,
        }
        start = partial(_started, stack, folder, document)
        try:
            first = await asyncio.to_thread(start, 1)
            others = await asyncio.gather(*(asyncio.to_thread(start, number + 2) for number in range(count - 1)))
            yield Fleet((first, *others), redis, database)
        finally:
            await asyncio.to_thread(stack.close)


def _started(stack: ExitStack, folder: Path, document: Mapping[str, Any], number: int) -> Replica:
    metrics = f"127.0.0.1:{free_port()}"
    own = {**document, "telemetry": {"metrics_listen": metrics}}
    suite = stack.enter_context(running(HERE, ONE_PROCESS, own, folder / f"replica-{number}"))
    doors = {door.name: door.address for door in suite.doors}
    return Replica(number, suite.pid, doors[EDGE], doors[GRPC], metrics)
