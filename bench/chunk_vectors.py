"""Searches of a knowledge base's chunks in the vector store: latency, and whether what is found is the nearest.

    .venv/bin/python bench/chunk_vectors.py --output bench/results/chunk-vectors.json
    .venv/bin/python bench/chunk_vectors.py --probes 100000

Over the embedded engine in its own process. Vectors lie in clusters, as those of texts do; each chunk has some eighty
terms, as frequent as words are, three attributes, and every fourth a label. Every query is another one. Recall is that of
the ten that exact comparison finds among the chunks that the filter means.

``--probes`` asks for what is kept as other tenants, other knowledge bases, other versions and under other labels, by
meaning and by words, and in the end through an engine in this process that has lost its filter. It fails if anything is
found that may not be, or if those who may find it do not. It is not timed.
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
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from points import DIMENSION, PATIENT, cpu_seconds, indexed, kept_vectors, queries, resident_mebibytes

from penstock_common.contract.knowledge import (
    Attribute,
    AttributeValue,
    Chunk,
    Comparison,
    Document,
    Filter,
    IndexSpec,
)
from penstock_common.points.asked import AskedPoints
from penstock_common.points.edge import shard
from penstock_common.points.edge.messages import Settings
from penstock_common.points.edge.shard import Shard
from penstock_common.points.opening import open_points
from penstock_common.points.store import Collection, Engine
from penstock_common.sections import Qdrant
from penstock_embedding.adapters.chunk_vectors import QdrantChunkVectors, collection_of
from penstock_embedding.domain.knowledge.ports import IndexedChunk, IndexRef, Near, Scope, Terms

KEY = b"of the benchmark alone"
CHUNKS_OF_A_DOCUMENT = 10
WORDS, WORDS_OF_A_CHUNK, WORDS_OF_A_QUERY = 30_000, 80, 8
LABELS = ("hr", "sales", "legal", "board")
LEG = 100
"""How many chunks the search takes of each leg."""
TEN = 10
FLIGHT = 50
"""Probes at a time."""
FREQUENT = 1 / np.arange(1, WORDS + 1) / np.sum(1 / np.arange(1, WORDS + 1))


def index_of(tenant: str = "acme", base: str = "handbook", version: int = 1) -> IndexRef:
    return IndexRef(tenant, base, version, IndexSpec("clusters"), "r1", DIMENSION, 1, 0, 0)


def label_of(number: int) -> str:
    """Return the label of a chunk's document, or that it has none."""
    document = number // CHUNKS_OF_A_DOCUMENT
    return "" if document % 4 else LABELS[document // 4 % len(LABELS)]


def attributes_of(number: int) -> dict[str, Any]:
    document = number // CHUNKS_OF_A_DOCUMENT
    return {"region": f"r{document % 5}", "year": 2000.0 + document % 25, "updated": 1.7e9 + 977.0 * document}


def document_of(number: int) -> Document:
    label = label_of(number)
    kept = tuple(
        Attribute(
            name=name, value=AttributeValue(text=value) if isinstance(value, str) else AttributeValue(number=value)
        )
        for name, value in attributes_of(number).items()
    )
    identity = f"d{number // CHUNKS_OF_A_DOCUMENT}"
    return Document(id=identity, knowledge_base="handbook", labels=(label,) if label else (), attributes=kept)


def chunk_id(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


def number_of(near: Near) -> int:
    return uuid.UUID(near.id).int - 1


def words(chosen: Any, count: int) -> list[int]:
    return np.unique(chosen.choice(WORDS, count, p=FREQUENT)).tolist()


def hashed(word: int) -> int:
    return word * 2_654_435_761 % 2**32


def chunk_of(number: int, vector: Any, chosen: Any) -> IndexedChunk:
    document = document_of(number)
    made = Chunk(
        id=chunk_id(number),
        document=document.id,
        document_version=1,
        ordinal=number % CHUNKS_OF_A_DOCUMENT,
        text="",
        start=0,
        end=0,
    )
    weights = chosen.uniform(0.5, 2.2, WORDS_OF_A_CHUNK)
    terms = {
        hashed(word): float(weight) for word, weight in zip(words(chosen, WORDS_OF_A_CHUNK), weights, strict=False)
    }
    return IndexedChunk(made, array("f", vector.tobytes()), terms)


def terms_of_a_query(chosen: Any) -> Terms:
    """Return the words of a question; the rare ones weigh most."""
    return {hashed(word): float(-np.log(FREQUENT[word])) for word in words(chosen, WORDS_OF_A_QUERY)}


async def fill(vectors: QdrantChunkVectors, index: IndexRef, kept: Any, numbers: Sequence[int]) -> list[IndexedChunk]:
    """Put the chunks of these numbers, a document at a time."""
    chosen = np.random.default_rng(21)
    made: list[IndexedChunk] = []
    for start in range(0, len(numbers), CHUNKS_OF_A_DOCUMENT):
        some = numbers[start : start + CHUNKS_OF_A_DOCUMENT]
        chunks = [chunk_of(number, kept[number], chosen) for number in some]
        await vectors.put(index, document_of(some[0]), chunks)
        made += chunks
    return made


def compared(attribute: str, operator: Any, value: Any) -> Filter:
    given = AttributeValue(text=value) if isinstance(value, str) else AttributeValue(number=value)
    return Filter(comparison=Comparison(attribute=attribute, operator=operator, values=(given,)))


FILTERS: dict[str, tuple[Filter | None, Callable[[dict[str, Any]], bool]]] = {
    "labels": (None, lambda _: True),
    "labels, one region": (compared("region", "eq", "r3"), lambda has: has["region"] == "r3"),
    "labels, not a region": (compared("region", "ne", "r3"), lambda has: has["region"] != "r3"),
    "labels, years above": (compared("year", "gt", 2012.0), lambda has: has["year"] > 2012.0),
    "labels, few by time": (compared("updated", "lt", 1.7e9 + 977 * 40), lambda has: has["updated"] < 1.7e9 + 977 * 40),
}


class Timed:
    """Searches, their times, and what they cost the engine's process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._times: list[float] = []
        self._cpu = 0.0

    async def search(self, search: Awaitable[Sequence[Near]]) -> Sequence[Near]:
        """Return what is found."""
        began, used = time.perf_counter(), cpu_seconds(self._pid)
        found = await search
        self._times.append(1000 * (time.perf_counter() - began))
        self._cpu += cpu_seconds(self._pid) - used
        return found

    def figures(self) -> dict[str, float]:
        """Return them; the kernel counts processor time in hundredths of a second, which is right on average."""
        times = sorted(self._times)
        return {
            "engine_cpu_ms": round(1000 * self._cpu / len(times), 2),
            "p50_ms": round(statistics.median(times), 3),
            "p95_ms": round(times[int(len(times) * 0.95)], 3),
            "p99_ms": round(times[int(len(times) * 0.99)], 3),
        }


async def searches(
    vectors: QdrantChunkVectors, index: IndexRef, kept: Any, rounds: int, pid: int
) -> list[dict[str, Any]]:
    asked, _ = queries(kept, rounds)
    chosen = np.random.default_rng(31)
    allowed = np.array([label_of(number) in ("", "hr", "sales") for number in range(len(kept))])
    rows: list[dict[str, Any]] = []
    for name, (wanted, holds) in FILTERS.items():
        scope = Scope(index, ("hr", "sales"), wanted)
        meant = np.flatnonzero(allowed & [holds(attributes_of(number)) for number in range(len(kept))])
        dense, sparse = Timed(pid), Timed(pid)
        right = 0
        for vector in asked:
            found = await dense.search(vectors.dense(scope, array("f", vector.tobytes()), LEG))
            exact = meant[np.argsort(-(kept[meant] @ vector))[:TEN]]
            right += len({number_of(near) for near in found[:TEN]} & set(exact.tolist()))
            await sparse.search(vectors.sparse(scope, terms_of_a_query(chosen), LEG))
        row = {"filter": name, "meant": len(meant), "recall_at_10": round(right / rounds / min(TEN, len(meant)), 4)}
        rows.append(row | {"dense": dense.figures(), "sparse": sparse.figures()})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    kept = kept_vectors(options.chunks)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name) / "points"
        async with open_points(Qdrant(path=folder, timeout=PATIENT, write_timeout=PATIENT)) as engine:
            pid: int = engine.process.pid  # type: ignore[attr-defined] - of this engine there is one
            vectors, index = QdrantChunkVectors(engine, KEY), index_of()
            began = time.perf_counter()
            await fill(vectors, index, kept, range(options.chunks))
            row: dict[str, Any] = {"put_ms_per_chunk": round(1000 * (time.perf_counter() - began) / options.chunks, 3)}
            row |= await indexed(engine.points(collection_of(index)), folder, pid)
            row["searches"] = await searches(vectors, index, kept, options.rounds, pid)
            return row | resident_mebibytes(pid)


class InThisProcess:
    """Qdrant Edge without its process, so that its filter can be taken away."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards: dict[str, Shard] = {}

    def points(self, collection: Collection) -> AskedPoints:
        """Return the collection."""

        async def ask(question: Any, _: float | None, /) -> Any:
            if collection.name not in self._shards:
                self._shards[collection.name] = Shard(collection, self._folder / collection.name, Settings())
            return self._shards[collection.name].answer(question)

        return AskedPoints(collection, ask)


class Prober:
    """Asks for chunks of each tenant as others, and counts what may not be found, and what should be and is not."""

    def __init__(self, engine: Engine, kept: Any, tenants: int) -> None:
        self._vectors = QdrantChunkVectors(engine, KEY)
        self._kept = kept
        self._tenants = tenants
        self._chunks: list[IndexedChunk] = []
        self._chosen = np.random.default_rng(41)

    async def fill(self) -> None:
        """Put the chunks, a document at each tenant in turn."""
        for start in range(0, len(self._kept), CHUNKS_OF_A_DOCUMENT):
            numbers = range(start, min(start + CHUNKS_OF_A_DOCUMENT, len(self._kept)))
            self._chunks += await fill(self._vectors, self._owner(start), self._kept, numbers)

    def _owner(self, number: int) -> IndexRef:
        return index_of(f"tenant-{number // CHUNKS_OF_A_DOCUMENT % self._tenants}")

    async def foreign(self, number: int, kind: int) -> int:
        """Return how many chunks a probe finds that are not its own; 100 are asked for."""
        owner = self._owner(number)
        strangers: Sequence[IndexRef] = (
            index_of("tenant-of-nobody"),
            self._owner(number + CHUNKS_OF_A_DOCUMENT),
            owner._replace(base="another"),
            owner._replace(version=2),
        )
        stranger = strangers[kind % len(strangers)]
        found = await self._both(Scope(stranger, LABELS), number)
        return sum(self._owner(number_of(near)) != stranger for near in found)

    async def unlabelled(self, number: int) -> int:
        """Return how many chunks are found, under labels that their documents do not have."""
        other = LABELS[(LABELS.index(label_of(number) or LABELS[0]) + 1) % len(LABELS)]
        found = await self._both(Scope(self._owner(number), (other,)), number)
        return sum(label_of(number_of(near)) not in ("", other) for near in found)

    async def own(self, number: int) -> int:
        """Return how many of the two ways do not find what may be found."""
        label = label_of(number)
        scope = Scope(self._owner(number), (label,) if label else ())
        return sum(number not in map(number_of, found) for found in await self._each(scope, number))

    async def _both(self, scope: Scope, number: int) -> list[Near]:
        dense, sparse = await self._each(scope, number)
        return [*dense, *sparse]

    async def _each(self, scope: Scope, number: int) -> tuple[Sequence[Near], Sequence[Near]]:
        aimed = self._chunks[number]
        return (
            await self._vectors.dense(scope, aimed.vector, LEG),
            await self._vectors.sparse(scope, aimed.terms, LEG),
        )

    async def sum_of(self, probe: Callable[[int], Awaitable[int]], count: int) -> int:
        """Return the sum of as many probes, each for another chunk."""
        total = 0
        for start in range(0, count, FLIGHT):
            numbers = self._chosen.integers(0, len(self._kept), min(FLIGHT, count - start))
            total += sum(await asyncio.gather(*(probe(int(number)) for number in numbers)))
        return total


async def probe(options: argparse.Namespace) -> bool:
    """Return whether nothing was found that may not be, and everything that may. A search by each way is a probe."""
    kept = kept_vectors(options.probed_chunks)
    half = options.probes // 4
    result: dict[str, int] = {"probes": 4 * half}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        edge = open_points(Qdrant(path=Path(name) / "points", timeout=PATIENT, write_timeout=PATIENT))
        async with edge as engine:
            prober = Prober(engine, kept, 20)
            await prober.fill()
            kinds = iter(range(half))
            result["of_other_tenants_bases_or_versions"] = await prober.sum_of(
                lambda number: prober.foreign(number, next(kinds)), half
            )
            result["of_other_labels"] = await prober.sum_of(prober.unlabelled, half)
            result["own_not_found"] = await prober.sum_of(prober.own, 1_000)
        prober = Prober(InThisProcess(Path(name)), kept[: options.unfiltered_chunks], 20)
        await prober.fill()
        kinds = iter(range(options.unfiltered_probes))
        result["unfiltered_probes"] = 2 * options.unfiltered_probes
        with patch.object(shard, "_filter", return_value=None):
            result["of_others_without_the_filter"] = await prober.sum_of(
                lambda number: prober.foreign(number, next(kinds)), options.unfiltered_probes
            )
            result["labels_seen_without_the_filter"] = await prober.sum_of(prober.unlabelled, 500)
    print(json.dumps(result))
    may_not = ("of_other_tenants_bases_or_versions", "of_other_labels", "own_not_found", "of_others_without_the_filter")
    # That labels are seen without the filter says that it was taken away.
    return not any(result[name] for name in may_not) and result["labels_seen_without_the_filter"] > 0


async def main(options: argparse.Namespace) -> None:
    """Measure, print, and write the file."""
    machine = {
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
    }
    head = {"machine": machine, "qdrant_edge": version("qdrant-edge-py"), "chunks": options.chunks}
    result = head | {"rounds": options.rounds, "limit": LEG} | await measure(options)
    print(json.dumps(result, indent=1))
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--probes", type=int, default=0, help="ask so often for what others have, and measure nothing")
    parser.add_argument("--probed-chunks", type=int, default=10_000)
    parser.add_argument("--unfiltered-chunks", type=int, default=2_000)
    parser.add_argument("--unfiltered-probes", type=int, default=5_000)
    parser.add_argument("--folder", type=Path, help="where the stores are made; the machine's usual place")
    parser.add_argument("--output", type=Path)
    chosen = parser.parse_args()
    if chosen.probes:
        sys.exit(0 if asyncio.run(probe(chosen)) else 1)
    asyncio.run(main(chosen))
