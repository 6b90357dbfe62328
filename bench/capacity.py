"""CPU of each role of a request, and the memory of each: the table that `penstock estimate --capacity` reads.

    make bench-capacity [ARGS="--publish"]
    python bench/capacity.py [--rounds N] [--publish] [--confirm]

Six processes over certificates: whole answers, streams of 100 tokens, hits, and vectors where the embedding model is
installed; 16 in flight, and one. ``--publish`` writes the table into the package. ``--confirm`` projects from the table
that the package carries what a tenfold load takes, offers it, scaled to this machine, and compares CPU by role.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from checkouts import commit_of
from machine import cpu_seconds, description, label, memory_mb, tree
from programs import CHECKOUT, Door, Running, load_client, mock_upstream
from rounds import Lane, figures, go, tell
from shapes import EDGE, HERE, SIX_PROCESSES, configuration, running
from turns import HIT, STREAM, UNARY, Case, Scene

TABLE = CHECKOUT / "services" / "suite" / "penstock_suite" / "domain" / "estimate" / "capacity.json"
ROLES = ("edge", "gateway", "router", "cache", "embedding", "inference", "redis")
CASES: Mapping[str, Case] = {"unary": UNARY, "stream": STREAM, "hit": HIT}
BUSY, ALONE = 16, 1
EMBEDDED = 64
NORMAL_PER_SECOND = 8.0
TIMES = 10
CONFIRM_SECONDS = 12.0
HITS = 0.3
_SETTLE_SECONDS = 0.5


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--publish", action="store_true", help="write the table into the package")
    parser.add_argument("--confirm", action="store_true", help="offer a tenfold load, and compare to the table")
    chosen = parser.parse_args()
    before = description()
    with ExitStack() as stack:
        scene = Scene(stack.enter_context(load_client()), stack.enter_context(mock_upstream()))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        document = {**configuration(scene.upstream.address), "embedding": {}}
        suite = stack.enter_context(running(HERE, SIX_PROCESSES, document, folder / "suite"))
        (door,) = [door for door in suite.doors if door.name == EDGE]
        if chosen.confirm:
            print(json.dumps(confirmed(suite, door), indent=1))
            return
        found = measured(scene, suite, door, chosen.rounds)
    table = {
        "machine": f"{before['cores']} cores of {before['processor']}",
        "python": before["python"],
        "commit": commit_of(CHECKOUT),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "interpreter_ms": before["interpreter_ms"],
        "load_average": before["load_average"][0],
        **found,
    }
    text = json.dumps(table, indent=1) + "\n"
    print(text)
    if chosen.publish:
        TABLE.write_text(text)


def measured(scene: Scene, suite: Running, door: Door, rounds: int) -> dict[str, Any]:
    """Return the cases by name, and the memory of each role."""
    lanes = [
        Lane(name, "here", case, in_flight, suite, door) for name, case in CASES.items() for in_flight in (BUSY, ALONE)
    ]
    cases: dict[str, dict[str, dict[str, float]]] = {}
    for figure in figures(go(scene, lanes, rounds, 1.0)):
        kind = "busy" if figure["in_flight"] == BUSY else "alone"
        by_role = {role: round(micros * 1e-6, 8) for role, micros in figure["cpu_us_by_process"].items()}
        cases.setdefault(figure["row"], {})[kind] = _of_roles(by_role)
    cases["embedding"] = {
        kind: asyncio.run(_embedding(suite, door, in_flight)) for kind, in_flight in (("busy", BUSY), ("alone", ALONE))
    }
    used = memory_mb(tree(suite.pid))
    return {"cases": cases, "memory_mb": {role: used[role] for role in ROLES if role in used}}


def _of_roles(seconds: Mapping[str, float]) -> dict[str, float]:
    return {role: seconds[role] for role in ROLES if seconds.get(role, 0.0) > 2e-6}


def _used(suite: Running) -> dict[str, float]:
    found: dict[str, float] = {}
    for pid in tree(suite.pid):
        found[label(pid)] = found.get(label(pid), 0.0) + cpu_seconds(pid)
    return found


async def _embedding(suite: Running, door: Door, in_flight: int) -> dict[str, float]:
    """Return what a text of a few words takes of each role."""
    async with aiohttp.ClientSession(base_url=f"http://{door.address}", headers=dict(door.headers)) as session:

        async def ask(numbers: Sequence[int]) -> None:
            for number in numbers:
                body = {"model": "all-MiniLM-L6-v2", "input": f"text {in_flight} {number} of a few words"}
                async with session.post("/v1/embeddings", json=body) as answer:
                    assert answer.status == 200, await answer.text()

        await ask([EMBEDDED])
        before = _used(suite)
        await asyncio.gather(*(ask(range(at, EMBEDDED, in_flight)) for at in range(in_flight)))
        await asyncio.sleep(_SETTLE_SECONDS)
    after = _used(suite)
    return _of_roles({role: round((after[role] - before.get(role, 0.0)) / EMBEDDED, 8) for role in after})


def confirmed(suite: Running, door: Door) -> dict[str, Any]:
    """Return CPU by role of so many a second, ten times a normal load, projected and used."""
    table = json.loads(TABLE.read_text())
    cases, before = table["cases"], description()
    idle = asyncio.run(_offered(suite, door, 0.0))
    asked, used = asyncio.run(_offered(suite, door, NORMAL_PER_SECOND * TIMES))
    after = description()
    # By how much this moment of the machine is slower than that of the table.
    slower = (before["interpreter_ms"] + after["interpreter_ms"]) / 2 / table["interpreter_ms"]
    rate = asked / CONFIRM_SECONDS
    found: dict[str, Any] = {}
    for role in ROLES:
        low, high = (
            slower
            * rate
            * ((1 - HITS) * cases["stream"][kind].get(role, 0.0) + HITS * cases["hit"][kind].get(role, 0.0))
            for kind in ("busy", "alone")
        )
        cores = (used.get(role, 0.0) - idle[1].get(role, 0.0)) / CONFIRM_SECONDS
        if high:
            found[role] = {"projected": [round(low, 4), round(high, 4)], "used": round(cores, 4)}
    least, most = (sum(each["projected"][at] for each in found.values()) for at in (0, 1))
    total = sum(each["used"] for each in found.values())
    return {
        "per_second": round(rate, 1), "hit_rate": HITS, "slower": round(slower, 3),
        "load_average": after["load_average"], "cores": found,
        "all": {"projected": [round(least, 3), round(most, 3)], "used": round(total, 3)},
    }  # fmt: skip


async def _offered(suite: Running, door: Door, per_second: float) -> tuple[int, dict[str, float]]:
    """Return how many were asked in a time, evenly, and the CPU that each role used in it."""
    async with aiohttp.ClientSession(base_url=f"http://{door.address}", headers=dict(door.headers)) as session:

        async def ask(number: int) -> None:
            is_hit = number % 10 < HITS * 10
            text = "the same again" if is_hit else f"LONG {time.time_ns()} {number}"
            body = {"model": "bench", "messages": [{"role": "user", "content": text}], "stream": not is_hit}
            async with session.post(door.path, json=body) as answer:
                await answer.read()
                assert answer.status == 200

        for number in range(10):
            await ask(number)
        before, began, asked = _used(suite), time.monotonic(), set[asyncio.Task[None]]()
        while (passed := time.monotonic() - began) < CONFIRM_SECONDS:
            asked |= {asyncio.create_task(ask(number)) for number in range(len(asked), int(passed * per_second))}
            await asyncio.sleep(0.01)
        await asyncio.gather(*asked)
        await asyncio.sleep(_SETTLE_SECONDS)
    after = _used(suite)
    tell(f"{len(asked)} asked in {CONFIRM_SECONDS} s")
    return len(asked), {role: after[role] - before.get(role, 0.0) for role in after}


if __name__ == "__main__":
    main()
