"""Limits under a nemesis: three gateways on one Redis that is killed, paused, emptied and restarted; gateways are killed, too.

Each gateway is a process with a clock of its own, two seconds from the next one's. It reserves, extends, settles and leaves
open what it can, and writes down what it spent, which is the ledger. Then the books are compared: what was spent against the
budget, and in every window what was let in against the limit.

python bench/limits_nemesis.py [--deeds 60] [--seed 1] [--budgets closed]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from penstock_common.errors import Overloaded
from penstock_common.testing.redis_server import RedisServer
from penstock_gateway.adapters.counting.in_redis import RedisLimiter, Terms, open_limiter
from penstock_gateway.domain.limits.admission import Demand, Used
from penstock_gateway.domain.limits.limit import TENANT, Allowance, Limit, Measure
from penstock_gateway.domain.limits.windows import NOW, PER_MINUTE, TOTAL

GATEWAYS = 3
AT_ONCE_EACH = 20
PER_MINUTE_ALLOWED, BURST = 6_000, 200
USD = 1_000_000_000


def limits_of(budget: int) -> tuple[Limit, ...]:
    """Return what binds every request."""
    return (
        Limit(
            "acme", TENANT, Allowance(Measure.REQUESTS, PER_MINUTE, PER_MINUTE_ALLOWED, BURST), "requests_per_minute"
        ),
        Limit("acme", TENANT, Allowance(Measure.CONCURRENT, NOW, 40), "concurrent_requests"),
        Limit("acme", TENANT, Allowance(Measure.SPEND, TOTAL, budget), "spend"),
    )


class Found(msgspec.Struct, frozen=True):
    """What the books say. ``over_window``: the most beyond the limit in any window; ``faults`` is what was done to it."""

    admitted: int
    refused: int
    budget_nano_usd: int
    spent_nano_usd: int
    overrun_nano_usd: int
    over_window: int
    counted_nano_usd: int
    reserved_nano_usd: int
    faults: dict[str, int]


class Books:
    """The ledger of all gateways, as files that each appends to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def spent(self, tenant: object, scope: object, period: object) -> int:
        """Return the sum of what everybody spent."""
        return sum(row["spent"] for row in self.rows("spent"))

    def rows(self, kind: str) -> list[dict[str, float]]:
        """Return the whole lines of a kind; a gateway that was killed may leave half of one."""
        lines = (line for file in self._folder.glob("*.jsonl") for line in file.read_text().splitlines())
        rows = [json.loads(line) for line in lines if line.endswith("}")]
        return [row for row in rows if kind in row]


async def gateway(url: str, folder: Path, number: int, budgets: str, budget: int) -> None:
    """Ask as fast as it goes, until killed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    chance = random.Random(os.getpid())
    out = (folder / f"{os.getpid()}.jsonl").open("a", buffering=1)
    terms = Terms(processes=GATEWAYS, budgets_without_redis=budgets)
    async with open_limiter(url, timedelta(milliseconds=100), terms, Books(folder)) as limiter:
        assert isinstance(limiter, RedisLimiter)
        limiter._now = lambda: datetime.now(UTC) + timedelta(seconds=2 * number)  # noqa: SLF001
        limits = limits_of(budget)
        callers = (_caller(limiter, limits, chance, out.write, f"{os.getpid()}:{at}") for at in range(AT_ONCE_EACH))
        await asyncio.gather(*callers)


async def _caller(limiter, limits, chance, write, name):
    number = 0
    while True:
        number += 1
        cost = chance.randrange(1, 400_000)
        demand = Demand(0, cost, cost * 8)
        try:
            verdict = await limiter.reserve(f"{name}:{number}", "acme", limits, demand, timedelta(seconds=20))
        except Overloaded:
            verdict = None
        if verdict is None or verdict.reservation is None:
            write('{"refused": 1}\n')
            await asyncio.sleep(0.02)
            continue
        write(f'{{"admitted": {time.monotonic()}}}\n')
        reservation = verdict.reservation
        ceiling = reservation.ceiling
        await asyncio.sleep(chance.expovariate(50))
        if chance.random() < 0.2:
            ceiling += await limiter.extend(reservation, cost)
        if chance.random() < 0.1:
            limiter.cancel(reservation)
            continue
        spent = ceiling if chance.random() < 0.3 else chance.randrange(ceiling + 1)
        # One write is one line, whatever happens to the process.
        write(f'{{"spent": {spent}}}\n')
        limiter.settle(reservation, Used(0, spent))
        if chance.random() < 0.1:
            limiter.settle(reservation, Used(0, spent))


class Nemesis:
    """Does one thing after another to Redis and to gateways, as a seed says."""

    def __init__(self, server: RedisServer, folder: Path, seed: int, budgets: str, budget: int) -> None:
        self.faults: dict[str, int] = {}
        self._server, self._folder, self._words = server, folder, (budgets, str(budget))
        self._chance = random.Random(seed)
        self._gateways: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start all gateways."""
        self._gateways = [self._gateway(number) for number in range(GATEWAYS)]

    def play(self, deeds: int) -> None:
        """Do harm so often."""
        ways = {
            "kill redis": self._kill_redis,
            "pause redis": self._pause,
            "empty redis": self._empty,
            "kill": self._kill,
        }
        for _ in range(deeds):
            time.sleep(self._chance.uniform(0.3, 1.2))
            name = self._chance.choice(list(ways))
            ways[name]()
            self.faults[name] = self.faults.get(name, 0) + 1

    def end(self) -> None:
        """Kill all gateways."""
        for process in self._gateways:
            process.kill()
            process.wait()

    def _gateway(self, number: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, __file__, "--gateway", str(number), self._server.url, str(self._folder), *self._words]
        return subprocess.Popen(words)

    def _kill_redis(self) -> None:
        self._server.crash()
        time.sleep(self._chance.uniform(0.1, 1.0))
        self._server.start()

    def _pause(self) -> None:
        with self._server.paused():
            time.sleep(self._chance.uniform(0.02, 0.5))

    def _empty(self) -> None:
        with self._server.client() as client:
            client.flushall()

    def _kill(self) -> None:
        number = self._chance.randrange(GATEWAYS)
        self._gateways[number].send_signal(signal.SIGKILL)
        self._gateways[number].wait()
        self._gateways[number] = self._gateway(number)


async def _counted(url: str, books: Books, budget: int) -> tuple[int, int]:
    """Return what Redis has for spent and reserved, by another gateway's look."""
    async with open_limiter(url, timedelta(seconds=5), Terms(), books) as limiter:
        standing = (await limiter.standings(limits_of(budget)))[2]
    return standing.spent, standing.reserved


def run(deeds: int, seed: int, budgets: str) -> Found:
    """Return what the books say after so much harm."""
    # It is spent before the end, so that what happens at its end is seen, too.
    budget = deeds * USD // 20
    with RedisServer() as server, tempfile.TemporaryDirectory() as name:
        books, nemesis = Books(Path(name)), Nemesis(server, Path(name), seed, budgets, budget)
        nemesis.start()
        try:
            while len(books.rows("admitted")) < GATEWAYS * AT_ONCE_EACH:
                time.sleep(0.05)
            nemesis.play(deeds)
        finally:
            nemesis.end()
        counted, reserved = asyncio.run(_counted(server.url, books, budget))
        spent = int(sum(row["spent"] for row in books.rows("spent")))
        return Found(
            admitted=len(books.rows("admitted")),
            refused=len(books.rows("refused")),
            budget_nano_usd=budget,
            spent_nano_usd=spent,
            overrun_nano_usd=max(0, spent - budget),
            over_window=over_window([row["admitted"] for row in books.rows("admitted")]),
            counted_nano_usd=counted,
            reserved_nano_usd=reserved,
            faults=nemesis.faults,
        )


def over_window(times: list[float]) -> int:
    """Return by how much any window had more than it may: the highest rise of what was let in over what drains."""
    rate, most, level, last = PER_MINUTE_ALLOWED / 60, 0.0, 0.0, 0.0
    for at in sorted(times):
        level = max(0.0, level - (at - last) * rate) + 1
        most, last = max(most, level - BURST), at
    return max(0, round(most))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--gateway"]:
        asyncio.run(gateway(sys.argv[3], Path(sys.argv[4]), int(sys.argv[2]), sys.argv[5], int(sys.argv[6])))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deeds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budgets", choices=("share", "closed"), default="closed")
    arguments = parser.parse_args()
    print(json.dumps(msgspec.to_builtins(run(arguments.deeds, arguments.seed, arguments.budgets)), indent=2))
