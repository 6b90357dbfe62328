"""What a reservation costs the gateway: CPU of its process for reserving, and for reserving and settling, by scopes.

Each scope has a limit of requests, of tokens and of money in turn, as a tier with every kind of limit has. In memory, and in a
Redis beside; one at a time, and sixteen in flight. The least of some rounds counts: other work can only add.

python bench/admission.py [--requests 2000] [--rounds 7] [--publish]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from machine import description

from penstock_common.testing.redis_server import RedisServer
from penstock_gateway.adapters.counting.in_memory import InMemoryLimiter
from penstock_gateway.adapters.counting.in_redis import RedisLimiter, Terms, open_limiter
from penstock_gateway.domain.limits.admission import Demand, Used
from penstock_gateway.domain.limits.limit import Allowance, Limit, Measure, Scope, ScopeKind
from penstock_gateway.domain.limits.windows import PER_MINUTE, TOTAL

RESULT = Path(__file__).parent / "results" / "admission.json"
SCOPES = (1, 3, 10)
_MUCH = 10**12
_DEMAND, _USED, _LEASE = Demand(100, 1_000, 2_000), Used(90, 900), timedelta(seconds=60)
_MEASURES = ((Measure.REQUESTS, PER_MINUTE), (Measure.TOKENS, PER_MINUTE), (Measure.SPEND, TOTAL))

Limiter = InMemoryLimiter | RedisLimiter


def limits_of(scopes: int) -> tuple[Limit, ...]:
    """Return a limit for each of so many scopes."""
    return tuple(
        Limit("acme", Scope(ScopeKind.KEY, f"{at}"), Allowance(*_MEASURES[at % 3], _MUCH), "limit")
        for at in range(scopes)
    )


async def measure(limiter: Limiter, scopes: int, in_flight: int, requests: int) -> tuple[float, float]:
    """Return microseconds of CPU for a reservation, and for one with its settlement."""
    limits, reservations = limits_of(scopes), []

    async def work(name: str, settles: bool) -> None:
        for number in range(requests // in_flight):
            verdict = await limiter.reserve(f"{name}:{number}", "acme", limits, _DEMAND, _LEASE)
            assert verdict.reservation is not None
            if settles:
                limiter.settle(verdict.reservation, _USED)
            else:
                reservations.append(verdict.reservation)

    took = []
    for settles in (False, True):
        began = time.process_time()
        await asyncio.gather(*(work(f"{time.monotonic_ns()}:{at}", settles) for at in range(in_flight)))
        took.append((time.process_time() - began) / requests * 1e6)
        for reservation in reservations:
            limiter.settle(reservation, _USED)
        reservations.clear()
        await limiter.answers()
    return took[0], took[1]


@asynccontextmanager
async def limiters() -> AsyncIterator[dict[str, Limiter]]:
    """Yield both, by name."""
    with RedisServer() as server:
        async with open_limiter(server.url, timedelta(seconds=5), Terms(), None) as in_redis:
            yield {"memory": InMemoryLimiter(), "redis": in_redis}


async def main(requests: int, rounds: int) -> list[dict[str, object]]:
    """Return a row for each limiter, number of scopes and number in flight."""
    found: dict[tuple[str, int, int], list[tuple[float, float]]] = {}
    async with limiters() as by_name:
        for _ in range(rounds):
            for name, limiter in by_name.items():
                for in_flight in (1, 16):
                    for scopes in SCOPES:
                        took = await measure(limiter, scopes, in_flight, requests)
                        found.setdefault((name, in_flight, scopes), []).append(took)
    return [
        {
            "limiter": name,
            "in_flight": in_flight,
            "scopes": scopes,
            "reserve_us": round(min(each[0] for each in took), 1),
            "reserve_and_settle_us": round(min(each[1] for each in took), 1),
        }
        for (name, in_flight, scopes), took in found.items()
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--publish", action="store_true", help=f"write {RESULT.name}")
    arguments = parser.parse_args()
    result = {"machine": description(), "rows": asyncio.run(main(arguments.requests, arguments.rounds))}
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.publish:
        RESULT.write_text(text + "\n")
