"""What one query costs over 100,000 chunks, from its text to its hits: the vector, the search, and the rows.

    .venv/bin/python bench/query.py [--folder DIR] [--chunks 100000] [--rounds 300]

Documents are taken in by the real parts but for their chunks' vectors: those lie around vectors that the model made of this
repository's documentation, as embedding 100,000 chunks takes too long. Questions are sentences of it, and are embedded by
the model. Prints JSON: the time and the processor's time of this process, the model's thread included, and of the vector
store's, by mode and by part. A ``folder`` is kept, and measured again without being filled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import sys
import tempfile
import time
import zlib
from array import array
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
from points import cpu_seconds

from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import SearchMode, SearchOptions
from penstock_embedding.adapters.telemetry import BatchMetrics, UpstreamMetrics
from penstock_embedding.app.knowledge import Opened, open_knowledge
from penstock_embedding.app.models import Observers, counters_of, found_models, registry_of
from penstock_embedding.domain.knowledge_models import ServedKnowledgeModel, ServedModels
from penstock_embedding.settings import Settings

ROOT = Path(__file__).parent.parent
TENANT, BASE = "bench", "handbook"
PARAGRAPHS_OF_A_DOCUMENT = 10
LABELS = ("hr", "sales", "legal", "board")
MODES: tuple[SearchMode, ...] = ("dense", "sparse", "hybrid", "hybrid_rerank")
MOST_WAITING = 400
"""Documents that wait to be taken in."""
HOST, INDEXING = "penstock_common.points.edge.host", "penstock_common.points.edge.indexing"
_SPREAD = 0.9


class AroundKnown:
    """A ``KnowledgeModel`` whose passages have vectors near those of some texts, and whose queries are the model's own."""

    def __init__(self, real: ServedKnowledgeModel, known: Any) -> None:
        self.name, self.counter = real.name, real.counter
        self.revision, self.dimension, self.query = real.revision, real.dimension, real.query
        self._known = known

    async def passages(self, texts: Sequence[str]) -> list[array[float]]:
        """Return a vector for each text, another for another text."""
        made: list[array[float]] = []
        for text in texts:
            number = zlib.crc32(text.encode())
            noise = np.random.default_rng(number).standard_normal(self._known.shape[1]) / self._known.shape[1] ** 0.5
            vector = self._known[number % len(self._known)] + _SPREAD * noise
            made.append(array("f", (vector / np.linalg.norm(vector)).astype("f4").tobytes()))
        return made


class OneModel:
    """``Models`` of one."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def model(self, name: str) -> Any:
        """Return it."""
        return self._model


def paragraphs() -> list[str]:
    """Return what stands between blank lines in the documentation, as it is of a length."""
    texts = (path.read_text() for path in sorted(ROOT.glob("docs/**/*.md")))
    found = dict.fromkeys(part.strip() for text in texts for part in text.split("\n\n"))
    return [part for part in found if 300 < len(part) < 900 and not part.startswith(("|", "`"))]


def questions(count: int) -> list[str]:
    """Return sentences of the documentation."""
    sentences = [part for text in paragraphs() for part in re.split(r"(?<=[.:])\s", text) if 30 < len(part) < 120]
    return random.Random(5).choices(sentences, k=count)


def documents(chosen: random.Random) -> Iterator[calls.PutDocumentRequest]:
    """Yield documents for ever; every fourth has a label."""
    pool, number = paragraphs(), 0
    while True:
        parts = [f"{number} {part}" for part in chosen.sample(pool, PARAGRAPHS_OF_A_DOCUMENT)]
        labels = () if number % 4 else (LABELS[number // 4 % len(LABELS)],)
        name = f"d{number:06}"
        text = "\n\n".join(parts)
        yield calls.PutDocumentRequest(
            tenant=TENANT, base=BASE, id=name, content=text.encode(), title=f"Volume {number}", labels=labels
        )
        number += 1


async def fill(opened: Opened, chunks: int) -> int:
    """Take documents in until there are so many chunks; return how many there are."""
    own = opened.knowledge
    await own.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id=BASE))
    endless = documents(random.Random(3))
    while True:
        async with aclosing(own.watch.ingest(TENANT, BASE)) as watched:
            async for told in watched:
                if told.documents_total - told.documents_done < MOST_WAITING // 2:
                    break
        print(told.chunks, file=sys.stderr, flush=True)
        if told.chunks >= chunks:
            return told.chunks
        for _ in range(MOST_WAITING // 2):
            await own.documents.put_document(next(endless))


async def timed(work: Callable[[str], Awaitable[Any]], asked: Sequence[str], engine: int) -> dict[str, float]:
    """Return what each question costs, ms."""
    times: list[float] = []
    used, own = cpu_seconds(engine), time.process_time()
    for question in asked:
        began = time.perf_counter()
        await work(question)
        times.append(1000 * (time.perf_counter() - began))
    return {
        "p50_ms": round(statistics.median(times), 2),
        "p95_ms": round(sorted(times)[int(len(times) * 0.95)], 2),
        "cpu_ms": round(1000 * (time.process_time() - own) / len(asked), 2),
        "engine_cpu_ms": round(1000 * (cpu_seconds(engine) - used) / len(asked), 2),
    }


def process_of(module: str) -> int:
    """Return the process that this one, or the vector store's, runs a module in; 0 if there is none."""
    running = {number: command for number, command in _commands() if module.encode() in command}
    return next(iter(running), 0)


def _commands() -> Iterator[tuple[int, Sequence[bytes]]]:
    """Yield this process's descendants, and how they were started."""
    family = {os.getpid()}
    for entry in sorted(
        (path for path in Path("/proc").iterdir() if path.name.isdigit()), key=lambda path: int(path.name)
    ):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent in family:
            family.add(int(entry.name))
            yield int(entry.name), command


async def measure(opened: Opened, model: ServedKnowledgeModel, rounds: int) -> dict[str, Any]:
    """Return the figures: the model alone, and each mode whole."""
    engine = process_of(HOST)
    asked = questions(rounds)
    figures = {"vector_alone": await timed(lambda text: model.query(text, None), asked, engine)}
    for mode in MODES:
        options = SearchOptions(mode=mode)

        async def search(text: str, options: SearchOptions = options) -> None:
            request = calls.SearchRequest(tenant=TENANT, bases=[BASE], query=text, labels=LABELS[:2], options=options)
            assert (await opened.knowledge.searcher.search(request, None)).hits

        await timed(search, asked[:20], engine)
        figures[mode] = await timed(search, asked, engine)
        print(json.dumps({mode: figures[mode]}), file=sys.stderr, flush=True)
    return figures


async def quiet() -> None:
    """Wait until the vector store has indexed what it will."""
    idle, last = 0, 0.0
    while idle < 4:
        await asyncio.sleep(1.0)
        used = cpu_seconds(process_of(HOST))
        idle = 0 if process_of(INDEXING) or used - last > 0.05 else idle + 1
        last = used


async def run(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    (folder / "key").write_bytes(b"k" * 32)
    settings = Settings.model_validate(
        {
            "embedding": {},
            "sql": f"sqlite:///{folder}/penstock.db",
            "secrets": {"knowledge_key_file": str(folder / "key")},
            "knowledge": {"path": str(folder / "vectors"), "search_leg_timeout": "60s"},
        }
    )
    found = found_models(settings.embedding)
    async with registry_of(found, Observers(BatchMetrics(), UpstreamMetrics({}))) as registry:
        model = ServedModels(registry, counters_of(found)).model("")
        known = np.array([list(vector) for vector in await model.passages(paragraphs())], "f4")
        async with open_knowledge(settings, OneModel(AroundKnown(model, known))) as opened:
            chunks = await fill(opened, options.chunks)
            await quiet()
            load = [round(number, 2) for number in os.getloadavg()]
            return {"chunks": chunks, "rounds": options.rounds, "load_average": load} | await measure(
                opened, model, options.rounds
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument(
        "--folder", type=Path, help="is kept, and filled if it is empty; by itself a new one that is not"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        kept = chosen.folder or Path(temporary)
        kept.mkdir(parents=True, exist_ok=True)
        print(json.dumps(asyncio.run(run(kept, chosen)), indent=1))
