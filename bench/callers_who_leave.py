"""How soon an upstream's connection closes once a caller has left, in milliseconds: through each door, one at a time and in a crowd.

    python bench/callers_who_leave.py [--times 50] [--crowd 100]

Gateway, upstream, caller and all roles share one process and its processor, so a crowd that leaves at once waits for itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "integration" / "resilience"))

from leaving import MOMENTS, Moment, edge_executable, openai, rest, standing, typed

DOORS = {
    "openai": (openai, "direct"),
    "grpc": (typed, "direct"),
    "openai by the edge": (openai, "edge"),
    "rest by the edge": (rest, "edge"),
}
MEASURED = ("before headers", "before the first token", "mid-stream", "recovery mid-way")


async def left(stand, ask, moment: Moment, streams: bool, callers: int) -> list[float]:
    """Return what it took until each of so many callers' connections was closed, who leave at the same moment."""
    asked = []
    for _ in range(callers):
        caller = await ask(stand, moment.model, streams=streams)
        asked.append((caller, await moment.come(stand, caller, streams)))
    record = stand.second.record if "recovery" in moment.id else stand.first.record
    went = []
    for caller, _ in asked:
        went.append(record.elapsed())
        caller.leave()
    async with asyncio.timeout(60):
        for _, seen in asked:
            await seen.left.wait()
    return [(seen.left_at - at) * 1000 for at, (_, seen) in zip(went, asked, strict=True)]


async def measured(moment: Moment, transport: str, door: str, streams: bool, options) -> None:
    ask, by = DOORS[door]
    with TemporaryDirectory() as folder:
        async with standing(moment, transport, by, Path(folder)) as stand:
            await left(stand, ask, moment, streams, 1)
            alone = [ms for _ in range(options.times) for ms in await left(stand, ask, moment, streams, 1)]
            crowd = await left(stand, ask, moment, streams, options.crowd)
    print(
        f"{moment.id:24} {door:19} {'streamed' if streams else 'whole':9} {transport:11}"
        f" alone {statistics.median(alone):6.1f} {max(alone):6.1f}   crowd {statistics.median(crowd):6.1f} {max(crowd):6.1f}",
        flush=True,
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--crowd", type=int, default=100)
    options = parser.parse_args()
    print(f"milliseconds, median and most; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    for moment in (moment for moment in MOMENTS if moment.id in MEASURED):
        for door in DOORS:
            if DOORS[door][1] == "edge" and edge_executable() is None:
                continue
            for streams in (True, False):
                for transport in ("in_process", "socket"):
                    await measured(moment, transport, door, streams, options)


if __name__ == "__main__":
    asyncio.run(main())
