"""What hedging brings, and what it costs: shares of requests that may be hedged, against an upstream that is now and then late.

The attempt engine as it stands, on a clock that jumps to what is due next: minutes of traffic take seconds, and the same
seed gives the same figures. First tokens are lognormal around 0.3 s; some are 20 times late.

python bench/hedging.py [--requests 10000] [--late 0.03 0.05 0.08] [--publish]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import random
import selectors
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from penstock_common.llm.types import (
    Candidate,
    FinishReason,
    GenerationInput,
    Message,
    Plan,
    Role,
    Text,
    TextDelta,
    Usage,
)
from penstock_common.telemetry.steps import Steps
from penstock_inference.domain.batches import Batches
from penstock_inference.domain.catalogue import Catalogue, Model
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.generation import Generation, GenerationParts
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.hedging import Hedging, HedgingRules
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.upstream import Stopped, UpstreamCall, UpstreamEvent

RESULT = Path(__file__).parent / "results" / "hedging.json"
MEDIAN_SECONDS, SPREAD = 0.3, 0.35
LATE_TIMES = 20
REQUESTS_PER_SECOND = 20.0
SHARES = (0.0, 0.02, 0.03, 0.04, 0.05, 0.06, 0.1)
_ANSWER: list[UpstreamEvent] = [
    TextDelta(text="Hello."), Usage(input_tokens=100, output_tokens=2), Stopped(FinishReason.STOP),
]  # fmt: skip
_QUESTION = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="x" * 400),)),))
_CANDIDATES = (Candidate(upstream="first", model="m"), Candidate(upstream="second", model="m"))


class Found(msgspec.Struct, frozen=True):
    """What callers saw, in seconds until the first token, and how many attempts more than requests were made."""

    late: float
    share: float
    p50: float
    p95: float
    p99: float
    p999: float
    extra_attempts: float


class _Jumping(selectors.SelectSelector):
    """Waits for nothing: what would be waited for is over."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen")
        self.now += timeout
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is what its timers say."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the present, in seconds from its beginning."""
        return self._jumping.now


class Answer:
    """One answer, which comes at once when it comes."""

    sent = True
    dropped = ()
    unread_bytes = 0
    ended = False

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def read(self) -> Sequence[UpstreamEvent]:
        """Return all of it, in its time."""
        await asyncio.sleep(self._seconds)
        self.ended = True
        return _ANSWER

    async def aclose(self) -> None:
        """Nothing is open."""


class SometimesLate:
    """An upstream of whose first tokens a share is late."""

    def __init__(self, late: float, seed: int) -> None:
        self.asked = 0
        self._late = late
        self._chance = random.Random(seed)

    def ask(self, call: UpstreamCall) -> Answer:
        """Return an answer that takes its time."""
        self.asked += 1
        seconds = MEDIAN_SECONDS * math.exp(self._chance.gauss(0, SPREAD))
        return Answer(seconds * LATE_TIMES if self._chance.random() < self._late else seconds)


def found(share: float, late: float, requests: int) -> Found:
    """Return what so many requests see where a ``share`` of them may be hedged (0: hedging is off) and some are ``late``."""
    loop = JumpingLoop()
    try:
        seconds, attempts = loop.run_until_complete(_asked(share, late, requests))
    finally:
        loop.close()
    seconds.sort()

    def percentile(part: float) -> float:
        return round(seconds[math.ceil(part * requests) - 1], 3)

    return Found(
        late=late,
        share=share,
        p50=percentile(0.5),
        p95=percentile(0.95),
        p99=percentile(0.99),
        p999=percentile(0.999),
        extra_attempts=round(attempts / requests - 1, 4),
    )


async def _asked(share: float, late: float, requests: int) -> tuple[list[float], int]:
    loop, chance = asyncio.get_running_loop(), random.Random(1)
    upstreams = [SometimesLate(late, seed) for seed in (2, 3)]
    health = Health(clock=loop.time, chance=chance.random)
    pools = {
        candidate.upstream: Pool([Endpoint(upstream)], health.upstream(candidate.upstream))
        for candidate, upstream in zip(_CANDIDATES, upstreams, strict=True)
    }
    hedging = Hedging(HedgingRules(share)) if share else None
    parts = GenerationParts(pools, Catalogue(map(Model, _CANDIDATES)), hedging=hedging)
    seconds: list[float] = []

    async def ask() -> None:
        began = loop.time()
        batches = Batches(Generation(_QUESTION, Plan(candidates=_CANDIDATES)), parts, Steps())
        first, *_ = [loop.time() - began async for _ in batches]
        seconds.append(first)

    async with asyncio.TaskGroup() as asking:
        for _ in range(requests):
            asking.create_task(ask())
            await asyncio.sleep(chance.expovariate(REQUESTS_PER_SECOND))
    return seconds, sum(upstream.asked for upstream in upstreams)


def main() -> None:
    """Print a table, and keep it where it is published."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--late", type=float, nargs="+", default=[0.03, 0.05, 0.08])
    parser.add_argument("--publish", action="store_true", help=f"write {RESULT.name}")
    asked = parser.parse_args()
    # That an upstream is slow is not what is asked here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(f"{'late':>6}{'share':>7}{'p50 s':>8}{'p95 s':>8}{'p99 s':>8}{'p99.9 s':>9}{'p99':>7}{'attempts':>10}")
    rows: list[Found] = []
    for late in asked.late:
        off = None
        for share in SHARES:
            row = found(share, late, asked.requests)
            off = off or row
            rows.append(row)
            print(
                f"{late:6.0%}{share:7.0%}{row.p50:8.2f}{row.p95:8.2f}{row.p99:8.2f}{row.p999:9.2f}"
                f"{row.p99 / off.p99 - 1:7.0%}{row.extra_attempts:+10.1%}"
            )
    if asked.publish:
        RESULT.write_text(json.dumps([msgspec.structs.asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
