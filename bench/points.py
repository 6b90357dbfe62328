"""Searches and writes of the vector store: latency, CPU, memory and disk, and whether what is found is the nearest.

    .venv/bin/python bench/points.py --output bench/results/points.json
    .venv/bin/python bench/points.py --probes 100000

Over the embedded engine in its own process, and over a scripted Qdrant server, which is the same engine behind Qdrant's
gRPC, in a process of its own too. Vectors lie in clusters as those of questions do; half the queries are near a kept
one. Recall is that of the first of what exact comparison finds. ``--probes`` asks as other tenants for what is there, and
fails if anything is found; it is not timed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import uuid
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from penstock_common.points.opening import open_points
from penstock_common.points.store import Collection, Engine, Point, Points, Where
from penstock_common.sections import Qdrant

DIMENSION = 384
CLUSTERS = 2_000
BATCH = 500
PATIENT = timedelta(minutes=30)
FINGERPRINT = "f"


def unit(vectors: Any) -> Any:
    return (vectors / np.linalg.norm(vectors, axis=1)[:, None]).astype("f4")


def kept_vectors(count: int) -> Any:
    """Return vectors in clusters; two of one cluster have a cosine of about 0.6."""
    chosen = np.random.default_rng(11)
    centres = unit(chosen.standard_normal((CLUSTERS, DIMENSION)))
    spread = 0.8 / DIMENSION**0.5
    return unit(centres[chosen.integers(0, CLUSTERS, count)] + spread * chosen.standard_normal((count, DIMENSION)))


def queries(kept: Any, count: int) -> tuple[Any, Any]:
    """Return wordings of kept vectors, at a cosine of about 0.85, and which these are."""
    chosen = np.random.default_rng(12)
    places = chosen.integers(0, len(kept), count)
    return unit(kept[places] + 0.6 / DIMENSION**0.5 * chosen.standard_normal((count, DIMENSION))), places


def cpu_seconds(pid: int) -> float:
    """Return what a process has used; of this one, all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mebibytes(pid: int) -> dict[str, float]:
    """Return what a process holds by itself, and with the files that it has mapped."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return {name: round(int(lines[name].split()[0]) / 1024, 1) for name in ("RssAnon", "VmRSS")}


def disk_mebibytes(folder: Path) -> float:
    blocks = sum(file.stat().st_blocks for file in folder.rglob("*") if file.is_file())
    return round(blocks * 512 / 1024**2, 1)


@asynccontextmanager
async def engine_of(kind: str, folder: Path, options: argparse.Namespace) -> AsyncIterator[tuple[Engine, int]]:
    """Yield the engine, and the process that works."""
    common: dict[str, Any] = {
        "timeout": PATIENT,
        "write_timeout": PATIENT,
        "quantization": options.quantization,
        "hnsw_ef": options.ef,
        "hnsw_m": options.m,
        "hnsw_ef_construct": options.ef_construct,
        "full_scan_kilobytes": options.full_scan,
    }
    if kind == "edge":
        async with open_points(Qdrant(path=folder, **common)) as engine:
            yield engine, engine.process.pid  # type: ignore[attr-defined] - of this engine there is one
        return
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--serve", str(folder)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    url = (await server.stdout.readline()).decode().strip()
    async with open_points(Qdrant(url=url, **common)) as engine:
        yield engine, server.pid
    server.stdin.close()
    await server.wait()


async def serve(folder: Path) -> None:
    """Play a Qdrant server until standard input ends."""
    from penstock_faults.qdrant.server import QdrantServer

    async with QdrantServer(folder) as server:
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def tenant_of(number: int, tenants: int) -> str:
    return f"tenant-{number % tenants}"


async def fill(points: Points, kept: Any, tenants: int, pid: int) -> dict[str, float]:
    began, used = time.perf_counter(), cpu_seconds(pid)
    own = time.process_time()
    for start in range(0, len(kept), BATCH):
        batch = [
            Point(
                str(uuid.UUID(int=number + 1)),
                tenant_of(number, tenants),
                array("f", kept[number].tobytes()),
                {"fingerprint": FINGERPRINT, "fresh_until": 2e9},
            )
            for number in range(start, min(len(kept), start + BATCH))
        ]
        await points.put(batch)
    return {
        "put_ms_per_point": round(1000 * (time.perf_counter() - began) / len(kept), 4),
        "put_engine_cpu_ms_per_point": round(1000 * (cpu_seconds(pid) - used) / len(kept), 4),
        "put_caller_cpu_ms_per_point": round(1000 * (time.process_time() - own) / len(kept), 4),
    }


async def indexed(points: Points, folder: Path, pid: int) -> dict[str, float]:
    """Wait until the engine is idle and no copy is being indexed: it has indexed all that it will."""
    began, last = time.perf_counter(), cpu_seconds(pid)
    idle = 0
    while idle < 4:
        await asyncio.sleep(1)
        now = cpu_seconds(pid)
        is_busy = now - last > 0.05 or any(folder.glob("*.indexing"))
        idle, last = (0 if is_busy else idle + 1), now
    await points.size()
    return {"index_seconds": round(time.perf_counter() - began - 4, 1), "index_cpu_seconds": children_seconds(pid)}


def children_seconds(pid: int) -> float:
    """Return what the processes have used that the engine has started and that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


async def search(points: Points, kept: Any, tenants: int, pid: int, rounds: int) -> dict[str, Any]:
    asked, places = queries(kept, rounds)
    times: list[float] = []
    hits = 0
    used = cpu_seconds(pid)
    for vector, place in zip(asked, places, strict=True):
        where = Where(tenant_of(int(place), tenants), {"fingerprint": FINGERPRINT}, {"fresh_until": 1e9})
        query = array("f", vector.tobytes())
        began = time.perf_counter()
        found = await points.nearest(query, where, limit=3, floor=0.5)
        times.append(1000 * (time.perf_counter() - began))
        hits += bool(found) and int(found[0].id.replace("-", ""), 16) - 1 == nearest_to(
            kept, vector, int(place), tenants
        )
    times.sort()
    return {
        "nearest_p50_ms": round(statistics.median(times), 3),
        "nearest_p99_ms": round(times[int(len(times) * 0.99)], 3),
        "nearest_engine_cpu_ms": round(1000 * (cpu_seconds(pid) - used) / rounds, 3),
        "recall_at_1": round(hits / rounds, 4),
    }


def nearest_to(kept: Any, vector: Any, place: int, tenants: int) -> int:
    own = kept[place % tenants :: tenants]
    return int((own @ vector).argmax()) * tenants + place % tenants


async def idle_cost(points: Points, rounds: int, pid: int) -> dict[str, float]:
    """Return what a search of a tenant costs that has nothing: the way there and back."""
    nothing = Where("nobody", {"fingerprint": FINGERPRINT}, {"fresh_until": 1e9})
    query = array("f", kept_vectors(1)[0].tobytes())
    times: list[float] = []
    used, own = cpu_seconds(pid), time.process_time()
    for _ in range(rounds):
        began = time.perf_counter()
        await points.nearest(query, nothing, limit=3, floor=0.5)
        times.append(1000 * (time.perf_counter() - began))
    return {
        "empty_p50_ms": round(statistics.median(times), 3),
        "empty_caller_cpu_ms": round(1000 * (time.process_time() - own) / rounds, 3),
        "empty_engine_cpu_ms": round(1000 * (cpu_seconds(pid) - used) / rounds, 3),
    }


def collection_of(options: argparse.Namespace) -> Collection:
    return Collection("bench", 1, "clusters", options.quantization, DIMENSION, ("fingerprint",), ("fresh_until",))


async def measure(kind: str, tenants: int, options: argparse.Namespace) -> dict[str, Any]:
    kept = kept_vectors(options.points)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name) / "points"
        async with engine_of(kind, folder, options) as (engine, pid):
            points = engine.points(collection_of(options))
            await points.size()
            row = {"engine": kind, "tenants": tenants, "points": len(kept), "quantization": options.quantization}
            row |= await fill(points, kept, tenants, pid)
            row |= await indexed(points, folder, pid)
            row |= await search(points, kept, tenants, pid, options.rounds)
            row |= await idle_cost(points, options.rounds, pid)
            row |= resident_mebibytes(pid) | {"disk_mebibytes": disk_mebibytes(folder)}
    print(json.dumps(row), file=sys.stderr, flush=True)
    return row


async def probe(options: argparse.Namespace) -> int:
    """Return how many of the probes found something: each asks as another tenant for a vector that is kept."""
    kept = kept_vectors(options.points)
    found = 0
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        async with engine_of("edge", Path(name) / "points", options) as (engine, pid):
            points = engine.points(collection_of(options))
            await fill(points, kept, 100, pid)

            async def one(number: int) -> int:
                place = number % len(kept)
                where = Where(f"tenant-{place % 100}-stranger", {"fingerprint": FINGERPRINT})
                vector = array("f", kept[place].tobytes())
                return len(await points.nearest(vector, where, limit=3, floor=-1.0))

            for start in range(0, options.probes, 100):
                found += sum(await asyncio.gather(*map(one, range(start, start + 100))))
    print(json.dumps({"probes": options.probes, "found": found}))
    return found


async def main(options: argparse.Namespace) -> None:
    """Measure, print, and write the file."""
    rows = [await measure(kind, tenants, options) for kind in options.engines for tenants in options.tenants]
    result = {
        "machine": {
            "cores": os.cpu_count(),
            "load_average": [round(load, 2) for load in os.getloadavg()],
            "python": platform.python_version(),
        },
        "qdrant_edge": version("qdrant-edge-py"),
        "ef": options.ef,
        "m": options.m,
        "ef_construct": options.ef_construct,
        "rounds": options.rounds,
        "rows": rows,
    }
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--tenants", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--engines", nargs="+", default=["edge", "server"], choices=["edge", "server"])
    parser.add_argument("--quantization", default="none", choices=["none", "scalar", "binary"])
    parser.add_argument("--ef", type=int, default=64)
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--ef-construct", type=int, default=100)
    parser.add_argument("--full-scan", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1_000)
    parser.add_argument("--probes", type=int, default=0, help="ask so often as other tenants, and measure nothing")
    parser.add_argument("--folder", type=Path, help="where the stores are made; the machine's usual place")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        asyncio.run(serve(chosen.serve))
    elif chosen.probes:
        sys.exit(1 if asyncio.run(probe(chosen)) else 0)
    else:
        asyncio.run(main(chosen))
