"""Documents with real SQL and stand-ins for what embeds and finds: words hashed to vectors, and vectors in a dictionary."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import re
from array import array
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock_common.background import running
from penstock_common.contract.knowledge import Hit, SearchedIndex, SearchResult
from penstock_common.errors import ModelNotFound
from penstock_common.sql.schema import open_current_database
from penstock_embedding.adapters.sealing import DocumentSealer
from penstock_embedding.adapters.sql.bases import SqlBases
from penstock_embedding.adapters.sql.catalogue import SqlCatalogue
from penstock_embedding.adapters.sql.counting import SqlCounting
from penstock_embedding.adapters.sql.database import Database
from penstock_embedding.adapters.sql.documents import SqlDocuments
from penstock_embedding.adapters.sql.garbage import SqlGarbage
from penstock_embedding.adapters.sql.reading import open_reader
from penstock_embedding.adapters.sql.schema import KNOWLEDGE
from penstock_embedding.adapters.sql.taking import SqlTaking
from penstock_embedding.adapters.sql.versions import SqlVersions
from penstock_embedding.app.knowledge_bounds import bounds_of, build_pace_of, judging_of
from penstock_embedding.domain.chunking.piece import Piece
from penstock_embedding.domain.documents.parsed import DocumentRefused, Parsed
from penstock_embedding.domain.knowledge.building import Builder
from penstock_embedding.domain.knowledge.documents import Documents
from penstock_embedding.domain.knowledge.indexes import Indexes
from penstock_embedding.domain.knowledge.ingest import Ingest, Pace, Stores
from penstock_embedding.domain.knowledge.ports import QueryVector
from penstock_embedding.domain.knowledge.preparing import Preparing, nothing_happens
from penstock_embedding.domain.knowledge.steady import SteadySearcher
from penstock_embedding.domain.knowledge.sweeping import Sweeper
from penstock_embedding.domain.knowledge.watching import Watch
from penstock_embedding.settings import KnowledgeSettings

TENANT = "acme"
KEY = b"k" * 32
_DIMENSION = 32
_WORD = re.compile(r"\w+")


class Words:
    """A counter whose tokens are words."""

    window_tokens = 512

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(_WORD.findall(text)) for text in texts]


class HashModel:
    """Embeds words by their hashes; ``slow`` is awaited with every call."""

    def __init__(self, name: str, salt: str = "", dimension: int = _DIMENSION) -> None:
        self.name = name
        self.salt = salt
        self.size = dimension
        self.counter: Any = Words()
        self.embedded = 0
        self.gate: Callable[[Sequence[str]], Any] | None = None

    async def revision(self) -> str:
        return f"{self.name}-{self.salt}"

    async def dimension(self) -> int:
        return self.size

    async def passages(self, texts: Sequence[str]) -> list[array[float]]:
        if self.gate is not None:
            await self.gate(texts)
        self.embedded += len(texts)
        return [self._vector(text) for text in texts]

    async def query(self, text: str, deadline: float | None) -> QueryVector:
        return QueryVector(self._vector(text), 1, False)

    def _vector(self, text: str) -> array[float]:
        values = [0.0] * self.size
        for word in _WORD.findall(text.lower()):
            values[hashlib.sha256(f"{self.salt}{word}".encode()).digest()[0] % self.size] += 1
        length = math.hypot(*values) or 1.0
        return array("f", [value / length for value in values])


@dataclass
class HashModels:
    models: Mapping[str, HashModel]

    def model(self, name: str) -> HashModel:
        found = self.models.get(name or next(iter(self.models)))
        if found is None:
            raise ModelNotFound(f"There is no model '{name}'.", model=name)
        return found


class PlainParser:
    """Reads UTF-8, and refuses what says that it is broken."""

    async def parse(self, content: bytes, *, filename: str = "", media_type: str = "") -> Parsed:
        text = content.decode()
        if text.startswith("BROKEN"):
            raise DocumentRefused("broken", "It is broken: repair it.", "page 3")
        return Parsed(text, media_type or "text/plain", text.partition("\n")[0][:40], "en")


class Lines:
    """Cuts at lines, one together for every 32 tokens that the splitter allows."""

    def sentences(self, parsed: Parsed, splitter: Any) -> Sequence[str]:
        return ()

    def cut(self, parsed: Parsed, splitter: Any, counter: Any, changes: Sequence[float] = ()) -> list[Piece]:
        pieces: list[Piece] = []
        start = 0
        lines = parsed.text.splitlines(keepends=True)
        together = splitter.max_tokens // 32
        for first in range(0, len(lines), together):
            some = "".join(lines[first : first + together])
            if some.strip():
                pieces.append(Piece(start, start + len(some), tokens=counter.count([some])[0]))
            start += len(some)
        return pieces


def analyse(text: str, language: str) -> dict[int, float]:
    return {
        int.from_bytes(hashlib.sha256(word.encode()).digest()[:4]): 1.0 for word in set(_WORD.findall(text.lower()))
    }


class FolderVectors:
    """Vectors in a folder of files, so that they outlive a process that is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.away = False

    def _check(self) -> None:
        if self.away:
            raise ConnectionError("the store is away")

    async def put(self, index: Any, document: Any, chunks: Sequence[Any]) -> None:
        self._check()
        for one in chunks:
            point = {
                "index": [index.tenant, index.base, index.version],
                "document": document.id,
                "version": document.version,
                "labels": list(document.labels) or ["*"],
                "vector": list(one.vector),
            }
            target = self.folder / f"{index.base}-{index.version}-{one.chunk.id}"
            fresh = target.with_suffix(f".{os.getpid()}.new")
            fresh.write_text(json.dumps(point))
            fresh.replace(target)

    def points(self) -> dict[Path, dict[str, Any]]:
        found = {}
        for path in self.folder.iterdir():
            # Another process may delete it meanwhile.
            with suppress(FileNotFoundError):
                if path.suffix != ".new":
                    found[path] = json.loads(path.read_text())
        return found

    def _of(self, index: Any, document: str | None = None) -> dict[Path, dict[str, Any]]:
        name = [index.tenant, index.base, index.version]
        return {
            path: point
            for path, point in self.points().items()
            if point["index"] == name and document in (None, point["document"])
        }

    async def relabel(self, index: Any, document: Any) -> None:
        self._check()
        for path, point in self._of(index, document.id).items():
            path.write_text(json.dumps({**point, "labels": list(document.labels) or ["*"]}))

    async def drop_document(self, index: Any, document: str, *, before_version: int = 0) -> None:
        self._check()
        for path, point in self._of(index, document).items():
            if not before_version or point["version"] < before_version:
                path.unlink(missing_ok=True)

    async def drop_index(self, index: Any) -> None:
        self._check()
        for path in self._of(index):
            path.unlink(missing_ok=True)


class PlainSearcher:
    """Looks at every point of an index, and believes the catalogue alone."""

    def __init__(self, catalogue: SqlCatalogue, vectors: FolderVectors, models: HashModels) -> None:
        self.catalogue, self.vectors, self.models = catalogue, vectors, models

    async def search(self, request: Any, deadline: float | None) -> SearchResult:
        index = await self.catalogue.index(request.tenant, request.bases[0], request.options.index_version)
        model = self.models.model(index.spec.model)
        asked = (await model.query(request.query, deadline)).vector
        near = {
            path.name.rpartition(f"{index.base}-{index.version}-")[2]: math.sumprod(point["vector"], asked)
            if hasattr(math, "sumprod")
            else sum(one * other for one, other in zip(point["vector"], asked, strict=True))
            for path, point in self.vectors._of(index).items()
        }
        found = await self.catalogue.chunks(index, list(near))
        hits = [
            Hit(chunk=chunk, knowledge_base=index.base, title=document.title, score=near[id_])
            for id_, (chunk, document) in ((id_, one.whole()) for id_, one in found.items())
        ]
        hits.sort(key=lambda hit: (-hit.score, hit.chunk.id))
        told = SearchedIndex(
            knowledge_base=index.base,
            version=index.version,
            model=index.spec.model,
            model_revision=index.model_revision,
            generation=index.generation,
        )
        return SearchResult(hits=hits[: request.options.limit or 10], searched=[told])


@dataclass
class World:
    documents: Documents
    indexes: Indexes
    ingest: Ingest
    builder: Builder
    sweeper: Sweeper
    watch: Watch
    catalogue: SqlCatalogue
    searcher: Any
    vectors: Any
    models: HashModels
    database: Database
    versions: SqlVersions
    bases: SqlBases
    taking: SqlTaking
    heap: SqlGarbage
    extra: dict[str, Any] = field(default_factory=dict)


def models_of_the_test() -> HashModels:
    return HashModels(
        {"one": HashModel("one", "a"), "two": HashModel("two", "b"), "noise": HashModel("noise", "c", 32)}
    )


@asynccontextmanager
async def open_world(
    url: str,
    folder: Path,
    *,
    models: HashModels | None = None,
    checkpoint: Callable[[str], None] = nothing_happens,
    owner: str = "test",
    runs: bool = False,
    attempts: int = 20,
    **settings: Any,
) -> AsyncGenerator[World]:
    """Yield documents in a database; ``runs`` says that what waits is taken in without being asked."""
    own = KnowledgeSettings.model_validate({"least_evaluation_queries": 3, "build_rate": 1e9, **settings})
    models = models or models_of_the_test()
    async with AsyncExitStack() as stack:
        opened = open_current_database(url, own.database_limits, KNOWLEDGE, upgrades_schema=True)
        engine = await stack.enter_async_context(opened)
        database = Database(engine, DocumentSealer(KEY))
        vectors = FolderVectors(folder / "vectors")
        bases, heap, versions = SqlBases(database), SqlGarbage(database), SqlVersions(database, owner)
        taking = SqlTaking(database, owner, keeps_originals=own.keep_originals)
        sweeper = Sweeper(heap, vectors)
        preparing = Preparing(Lines(), models, vectors, analyse, checkpoint)
        pace = Pace(own.ingest_concurrency, attempts, 0.0, own.lease.total_seconds(), own.ingest_small_bytes)
        ingest = Ingest(Stores(taking, versions, bases, heap), PlainParser(), preparing, sweeper, pace)
        builder = Builder(versions, heap, preparing, sweeper, build_pace_of(own))
        catalogue = SqlCatalogue(database, await stack.enter_async_context(open_reader(url, engine)))
        searcher = SteadySearcher(PlainSearcher(catalogue, vectors, models), catalogue)
        documents = SqlDocuments(database, keeps_originals=own.keep_originals)
        world = World(
            documents=Documents(bases, documents, models, sweeper, bounds_of(own), ingest.awaken),
            indexes=Indexes(versions, bases, models, searcher, sweeper, judging_of(own), builder.awaken),
            ingest=ingest,
            builder=builder,
            sweeper=sweeper,
            watch=Watch(SqlCounting(database), ingest.vectors_under_way, look_seconds=0.01),
            catalogue=catalogue,
            searcher=searcher,
            vectors=vectors,
            models=models,
            database=database,
            versions=versions,
            bases=bases,
            taking=taking,
            heap=heap,
        )
        if runs:
            for work in (sweeper.run(), builder.run(), ingest.run()):
                await stack.enter_async_context(running(work))
        yield world


async def until(condition: Callable[[], Any]) -> None:
    """Return once a coroutine function says yes."""
    while not await condition():
        await asyncio.sleep(0.005)
