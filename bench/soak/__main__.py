"""Two workers, an edge, embeddings and jobs under churn and faults for hours: does a process grow?

    PYTHONPATH=bench python -m soak [--seconds S] [--per-second N] [--seed N] [--output FILE] [--publish]

Callers ask in every way, and some leave. Meanwhile upstreams fail as in ``make chaos``, Redis is killed and comes back, and one
of the two workers is killed, so that another takes its place. Memory, descriptors, threads and tasks of every process
are looked at every two seconds; after three minutes, in which a process settles, none may rise (``judge.py``) by more than
``holdings.TOLERANCES``. Exit 1 where one does, or a stream ended before its end without a word.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from chaos.parts import Cast
from chaos.players import Account, Player
from chaos.replicas import upstream
from checkouts import commit_of
from machine import description, tree
from programs import CHECKOUT
from rounds import tell
from shapes import EDGE, HERE, WORKERS, running

from penstock_common.testing.ports import free_port
from penstock_common.testing.redis_server import RedisServer
from penstock_faults.script import Pace, Script, Step
from soak.crowd import EMBEDDING, HARD, STEADY, Crowd
from soak.holdings import Holdings

RESULTS = CHECKOUT / "bench" / "results" / "soak.json"
_KEY = "key-of-the-soak-key"
_LOOK_SECONDS = 2.0
_REDIS_EVERY_SECONDS, _REDIS_AWAY_SECONDS = 150.0, 5.0
_WORKER_EVERY_SECONDS = 420.0
_WORKER = "worker-1"
"""Who is killed; the other one lives as long as the soak."""
_QUIET_SECONDS = 30.0
_WELL = Script(name="well", steps=(Step(pace=Pace(token_seconds=0.02)),))


def document(addresses: dict[str, str], redis: str, metrics: str) -> dict[str, Any]:
    """Return the configuration."""
    models = {STEADY: ("steady",), HARD: ("first", "second")}
    return {
        "listen": {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"},
        "redis": {"state": redis, "cache": redis},
        "telemetry": {"metrics_listen": metrics},
        "embedding": {"model": EMBEDDING},
        # What a process keeps of answers is at its level within the time in which it settles, and not after five minutes.
        "cache": {"memory_ttl": "60s"},
        "upstreams": [upstream(name, [address], "m") for name, address in addresses.items()],
        "models": [{"name": name, "candidates": [f"{each}/m" for each in order]} for name, order in models.items()],
        "tenants": [{"name": "soak", "tier": {"requests_per_minute": 100_000_000}, "keys": [_KEY]}],
    }


class Faults:
    """What goes wrong, by the clock, until the end; and how often it did."""

    def __init__(self, redis: RedisServer, root: int) -> None:
        self.counts = {"redis killed": 0, "worker killed": 0}
        self._redis, self._root = redis, root

    async def lose_redis(self) -> None:
        """Kill Redis every so often, and start it again."""
        while True:
            await asyncio.sleep(_REDIS_EVERY_SECONDS)
            await asyncio.to_thread(self._redis.crash)
            await asyncio.sleep(_REDIS_AWAY_SECONDS)
            await asyncio.to_thread(self._redis.start)
            self.counts["redis killed"] += 1

    async def lose_a_worker(self) -> None:
        """Kill one worker every so often; the stack starts another."""
        while True:
            await asyncio.sleep(_WORKER_EVERY_SECONDS)
            for pid in tree(self._root):
                with suppress(OSError):
                    if f"{_WORKER}.json" in Path(f"/proc/{pid}/cmdline").read_text():
                        os.kill(pid, signal.SIGKILL)
                        self.counts["worker killed"] += 1


async def soaked(seconds: float, per_second: float, seed: int) -> dict[str, Any]:
    """Return what was found."""
    async with AsyncExitStack() as stack:
        # Short, as sockets are in it.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pk-")))
        redis = stack.enter_context(RedisServer())
        cast, addresses = Cast(seed), dict[str, str]()
        for name in ("steady", "first", "second"):
            direct = (lambda *_: _WELL) if name == "steady" else cast.direct
            player = await stack.enter_async_context(Player(name, direct, Account()))
            addresses[name] = player.base_url
        metrics = f"127.0.0.1:{free_port()}"
        suite = running(HERE, WORKERS, document(addresses, redis.url, metrics), folder / "suite")
        started = await asyncio.to_thread(suite.__enter__)
        stack.push(partial(_ended, suite))
        door = next(door for door in started.doors if door.name == EDGE)
        crowd, holdings = Crowd(f"http://{door.address}", _KEY, per_second, seed), Holdings(started.pid, metrics)
        faults = Faults(redis, started.pid)
        await _lived(crowd, holdings, faults, seconds)
        rows = sorted(holdings.rows(), key=lambda row: (not row.rises, row.process, row.what))
        return {
            "seconds": seconds,
            "per_second": per_second,
            "seed": seed,
            "faults": faults.counts,
            "outcomes": dict(sorted(crowd.outcomes.items())),
            "lost": crowd.lost,
            "rows": [msgspec.to_builtins(row) for row in rows],
            "at_rest": holdings.now(),
        }


def _ended(suite: Any, *_: object) -> bool:
    suite.__exit__(None, None, None)
    return False


async def _lived(crowd: Crowd, holdings: Holdings, faults: Faults, seconds: float) -> None:
    ends = time.monotonic() + seconds
    timeout = aiohttp.ClientTimeout(total=120)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session, asyncio.TaskGroup() as group:
        others = [
            group.create_task(work) for work in (_look(holdings, session), faults.lose_redis(), faults.lose_a_worker())
        ]
        await crowd.ask(session, lambda: time.monotonic() > ends)
        for task in others:
            task.cancel()
        # What is held when nobody asks.
        await asyncio.sleep(_QUIET_SECONDS)
        await holdings.look(session, judged=False)


async def _look(holdings: Holdings, session: aiohttp.ClientSession) -> None:
    while True:
        await holdings.look(session)
        await asyncio.sleep(_LOOK_SECONDS)


def _told(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"| {row['process']} | {row['what']} | {row['seconds']} | {row['first']} | {row['last']} | {row['growth']} | {row['per_hour']} | {'**rises**' if row['rises'] else ''} |"
        for row in rows
    ]


def main() -> int:
    """Run, print, and write."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("it was ended"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=7200.0, help="default: %(default)s, which is two hours")
    parser.add_argument("--per-second", type=float, default=10.0, help="questions (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=20261201)
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--publish", action="store_true", help=f"put them into {RESULTS.relative_to(CHECKOUT)}")
    arguments = parser.parse_args()
    tell(f"{arguments.seconds:.0f} s, {arguments.per_second:g} questions a second")
    found = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit_of(CHECKOUT),
        "machine": description(),
        **asyncio.run(soaked(arguments.seconds, arguments.per_second, arguments.seed)),
    }
    text = json.dumps(found, indent=1) + "\n"
    print(text if arguments.output is None else "\n".join(_told(found["rows"])))
    for path in (arguments.output, RESULTS if arguments.publish else None):
        if path is not None:
            path.write_text(text)
    return int(bool(found["lost"]) or any(row["rises"] for row in found["rows"]))


if __name__ == "__main__":
    sys.exit(main())
