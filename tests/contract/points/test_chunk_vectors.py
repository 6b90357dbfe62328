"""Chunks of documents in every engine: what a search may find, and what nobody else does."""

from __future__ import annotations

import math
import random
import uuid
from array import array
from collections.abc import Sequence
from typing import Any

import pytest

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
from penstock_common.points.store import Collection, Engine, Where
from penstock_embedding.adapters.chunk_vectors import BATCH, QdrantChunkVectors, collection_of
from penstock_embedding.domain.knowledge.ports import IndexedChunk, IndexRef, Scope

DIMENSION = 8
KEY = b"sixteen bytes or more"
EAST = array("f", [1.0, *[0.0] * 7])
NORTH = array("f", [0.0, 1.0, *[0.0] * 6])

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def vectors(engine: Engine) -> QdrantChunkVectors:
    return QdrantChunkVectors(engine, KEY)


@pytest.fixture
def index() -> IndexRef:
    return index_of(f"acme-{uuid.uuid4()}")


def index_of(tenant: str, base: str = "handbook", version: int = 1, revision: str = "r1") -> IndexRef:
    return IndexRef(tenant, base, version, IndexSpec(), revision, DIMENSION, 1, 0, 1)


def document(identity: str = "d1", *, labels: Sequence[str] = (), version: int = 1, **attributes: Any) -> Document:
    kept = tuple(
        Attribute(
            name=name, value=AttributeValue(text=value) if isinstance(value, str) else AttributeValue(number=value)
        )
        for name, value in attributes.items()
    )
    return Document(id=identity, knowledge_base="handbook", labels=tuple(labels), version=version, attributes=kept)


def chunk(of: Document, vector: array[float] = EAST, term: int = 1, weight: float = 1.0) -> IndexedChunk:
    made = Chunk(
        id=str(uuid.uuid4()), document=of.id, document_version=of.version, ordinal=0, text="text", start=0, end=4
    )
    return IndexedChunk(made, vector, {term: weight})


def above(attribute: str, bound: float) -> Filter:
    return Filter(comparison=Comparison(attribute=attribute, operator="gt", values=(AttributeValue(number=bound),)))


def equal(attribute: str, text: str) -> Filter:
    return Filter(comparison=Comparison(attribute=attribute, operator="eq", values=(AttributeValue(text=text),)))


async def found(vectors: QdrantChunkVectors, index: IndexRef, *labels: str, wanted: Filter | None = None) -> list[str]:
    """Return what dense search finds, which sparse search finds, too."""
    scope = Scope(index, labels, wanted)
    dense = sorted(near.id for near in await vectors.dense(scope, EAST, 500))
    assert sorted(near.id for near in await vectors.sparse(scope, {1: 1.0}, 500)) == dense
    return dense


def ids(*chunks: IndexedChunk) -> list[str]:
    return sorted(each.chunk.id for each in chunks)


async def test_chunks_are_found_by_meaning_and_by_words_with_their_scores(vectors, index):
    of = document()
    near = chunk(of, EAST, term=1, weight=0.5)
    wordy = chunk(of, NORTH, term=2, weight=3.0)
    await vectors.put(index, of, [near, wordy])

    dense = await vectors.dense(Scope(index, ()), EAST, 10)
    sparse = await vectors.sparse(Scope(index, ()), {1: 2.0, 2: 2.0, 3: 1.0}, 10)

    assert [(one.id, one.score) for one in dense] == [(near.chunk.id, 1.0), (wordy.chunk.id, 0.0)]
    assert [(one.id, one.score) for one in sparse] == [(wordy.chunk.id, 6.0), (near.chunk.id, 1.0)]
    assert [one.id for one in await vectors.dense(Scope(index, ()), NORTH, 1)] == [wordy.chunk.id]
    assert list(await vectors.sparse(Scope(index, ()), {}, 10)) == []


async def test_putting_again_changes_nothing(vectors, index):
    of = document()
    chunks = [chunk(of) for _ in range(3)]
    await vectors.put(index, of, chunks)
    await vectors.put(index, of, chunks[:2])

    assert await found(vectors, index) == ids(*chunks)


async def test_more_chunks_than_one_batch_are_all_put(vectors, index):
    of = document()
    chunks = [chunk(of) for _ in range(BATCH + 1)]
    await vectors.put(index, of, chunks)

    assert await found(vectors, index) == ids(*chunks)


async def test_who_has_one_of_the_labels_finds_it_and_nobody_else(vectors, index):
    for_all, for_hr, for_both, for_star = (
        document("all"),
        document("hr", labels=["hr"]),
        document("both", labels=["hr", "sales"]),
        document("star", labels=["*"]),
    )
    a, h, b, s = (chunk(of) for of in (for_all, for_hr, for_both, for_star))
    for of, kept in ((for_all, a), (for_hr, h), (for_both, b), (for_star, s)):
        await vectors.put(index, of, [kept])

    assert await found(vectors, index) == ids(a)
    assert await found(vectors, index, "hr") == ids(a, h, b)
    assert await found(vectors, index, "sales", "sales", "legal") == ids(a, b)
    assert await found(vectors, index, "*") == ids(a, s)


async def test_filters_choose_before_the_nearest_are_taken(vectors, index):
    many = [chunk(document("many", year=2020.0, region="eu")) for _ in range(40)]
    await vectors.put(index, document("many", year=2020.0, region="eu"), many)
    far = document("far", year=2024.5, region="us")
    wanted = chunk(far, NORTH, weight=0.01)
    await vectors.put(index, far, [wanted])

    for chosen in (above("year", 2024.0), equal("region", "us"), Filter(all_of=(above("year", 2020.0),))):
        scope = Scope(index, (), chosen)
        assert [one.id for one in await vectors.dense(scope, EAST, 1)] == ids(wanted)
        assert [one.id for one in await vectors.sparse(scope, {1: 1.0}, 1)] == ids(wanted)
    either = Filter(any_of=(equal("region", "us"), above("year", 2019.0)))
    assert await found(vectors, index, wanted=either) == ids(wanted, *many)
    assert await found(vectors, index, wanted=above("year", 2024.5)) == []


async def test_labels_and_attributes_of_now_hold_and_those_of_before_do_not(vectors, index):
    old = document(labels=["hr"], region="eu", year=2020.0)
    kept, other = chunk(old), chunk(document("d2"))
    await vectors.put(index, old, [kept])
    await vectors.put(index, document("d2"), [other])

    await vectors.relabel(index, document(labels=["sales"], region="us"))

    assert await found(vectors, index, "hr") == ids(other)
    assert await found(vectors, index, "sales") == ids(kept, other)
    assert await found(vectors, index, "sales", wanted=equal("region", "us")) == ids(kept)
    assert await found(vectors, index, "sales", wanted=equal("region", "eu")) == []
    assert await found(vectors, index, "sales", wanted=above("year", 0.0)) == []

    await vectors.relabel(index, document())
    assert await found(vectors, index) == ids(kept, other)


async def test_a_document_is_dropped_whole_or_up_to_a_version(vectors, index):
    first, second, third = (chunk(document(version=version)) for version in (1, 2, 3))
    for version, kept in ((1, first), (2, second), (3, third)):
        await vectors.put(index, document(version=version), [kept])
    beside = chunk(document("d2"))
    await vectors.put(index, document("d2"), [beside])

    await vectors.drop_document(index, "d1", before_version=3)
    assert await found(vectors, index) == ids(third, beside)

    await vectors.drop_document(index, "d1")
    assert await found(vectors, index) == ids(beside)


async def test_versions_with_the_same_chunks_live_and_die_apart(vectors, index):
    old, new, other_model = index, index._replace(version=2), index._replace(version=3, model_revision="r2")
    kept = chunk(document())
    for each in (old, new, other_model):
        await vectors.put(each, document(), [kept])
    await vectors.relabel(new, document(labels=["hr"]))

    assert await found(vectors, old) == ids(kept)
    assert await found(vectors, new) == []
    assert await found(vectors, other_model) == ids(kept)

    await vectors.drop_index(old)
    assert await found(vectors, old) == []
    assert await found(vectors, new, "hr") == ids(kept)


async def test_what_has_the_same_names_at_another_tenant_or_base_is_something_else(vectors, index):
    others = [index._replace(tenant=f"globex-{uuid.uuid4()}"), index._replace(base="handbook2")]
    kept = chunk(document(labels=["hr"], region="eu"))
    await vectors.put(index, document(labels=["hr"], region="eu"), [kept])

    for other in others:
        assert await found(vectors, other, "hr") == []
        assert await found(vectors, other, "hr", wanted=equal("region", "eu")) == []
        await vectors.relabel(other, document())
        await vectors.drop_document(other, "d1")
        await vectors.drop_index(other)
    assert await found(vectors, index, "hr") == ids(kept)
    assert await found(vectors, index) == []


async def test_the_store_learns_no_names_and_another_key_finds_nothing(engine, vectors, index):
    of = document("salaries", labels=["board"], region="Liechtenstein")
    kept = chunk(of)
    await vectors.put(index, of, [kept])
    partition = vectors._partition(index)

    (point,) = (await engine.points(collection_of(index)).scroll(Where(partition), limit=2)).points

    seen = str((point.id, point.tenant, point.payload))
    assert [name for name in (index.tenant, "handbook", "salaries", "board", "Liechtenstein") if name in seen] == []
    assert set(point.payload) == {"chunk", "document", "version", "labels", "attributes"}
    assert await found(QdrantChunkVectors(engine, KEY + b"!"), index, "board") == []
    with pytest.raises(ValueError, match="at least 16 bytes"):
        QdrantChunkVectors(engine, b"short")


TENANTS = 12
LABELS = ("hr", "sales", "legal")


def somewhere(chosen: random.Random) -> array[float]:
    vector = [chosen.gauss(0, 1) for _ in range(DIMENSION)]
    norm = math.hypot(*vector)
    return array("f", [value / norm for value in vector])


async def filled(
    vectors: QdrantChunkVectors, chosen: random.Random, run: str
) -> list[tuple[IndexRef, str, IndexedChunk]]:
    """Keep a document of each label at each tenant."""
    kept: list[tuple[IndexRef, str, IndexedChunk]] = []
    for number in range(TENANTS):
        index = index_of(f"{run}-{number}")
        for label in LABELS:
            of = document(label, labels=[label])
            chunks = [chunk(of, somewhere(chosen), term=chosen.randrange(5)) for _ in range(5)]
            await vectors.put(index, of, chunks)
            kept += [(index, label, each) for each in chunks]
    return kept


async def test_foreign_probes_find_nothing_that_their_tenant_and_labels_may_not(vectors):
    """The short form of ``bench/chunk_vectors.py --probes 100000``."""
    chosen = random.Random(13)
    kept = await filled(vectors, chosen, uuid.uuid4().hex)
    allowed = {(index.tenant, label): set[str]() for index, label, _ in kept}
    for index, label, each in kept:
        allowed[index.tenant, label].add(each.chunk.id)
    for _ in range(60):
        index, label, aimed = chosen.choice(kept)
        own = Scope(index, (label,))
        assert aimed.chunk.id == (await vectors.dense(own, aimed.vector, 1))[0].id
        assert aimed.chunk.id in {one.id for one in await vectors.sparse(own, aimed.terms, 50)}
        other_label = chosen.choice([one for one in LABELS if one != label])
        other_tenant = chosen.choice([one for one, _, _ in kept if one.tenant != index.tenant])
        for scope in (Scope(index, (other_label,)), Scope(other_tenant, (label,)), Scope(index, ())):
            near = [*await vectors.dense(scope, aimed.vector, 50), *await vectors.sparse(scope, aimed.terms, 50)]
            may_see = allowed[scope.version.tenant, scope.labels[0]] if scope.labels else set[str]()
            assert {one.id for one in near} <= may_see
            assert aimed.chunk.id not in may_see


class UnfilteredEdge:
    """Qdrant Edge in this process; ``loses`` says whether it finds the points of everybody."""

    def __init__(self, folder: Any) -> None:
        self._folder = folder
        self._shards: dict[str, Shard] = {}

    def points(self, collection: Collection) -> AskedPoints:
        async def ask(question: Any, _: float | None, /) -> Any:
            kept = self._shards.get(collection.name)
            if kept is None:
                kept = self._shards[collection.name] = Shard(collection, self._folder / collection.name, Settings())
            return kept.answer(question)

        return AskedPoints(collection, ask)

    def close(self) -> None:
        for kept in self._shards.values():
            kept.close()


async def test_an_engine_that_loses_its_filter_shows_nothing_of_other_tenants_bases_or_versions(tmp_path, monkeypatch):
    engine = UnfilteredEdge(tmp_path)
    vectors = QdrantChunkVectors(engine, KEY)
    chosen = random.Random(17)
    kept = await filled(vectors, chosen, "acme")
    monkeypatch.setattr(shard, "_filter", lambda _: None)
    index, label, aimed = kept[0]
    strangers = (index_of("stranger"), index._replace(base="other"), index._replace(version=2))

    for stranger in strangers:
        for number in range(60):
            _, _, aimed = kept[number]
            assert list(await vectors.dense(Scope(stranger, (label,)), aimed.vector, 50)) == []
            assert list(await vectors.sparse(Scope(stranger, (label,)), aimed.terms, 50)) == []

    # The filter is lost indeed: of one's own, other labels' are found.
    of_index = {each.chunk.id for own, _, each in kept if own == index}
    everything = await vectors.dense(Scope(index, ("none",)), aimed.vector, len(kept))
    assert {one.id for one in everything} == of_index
    engine.close()
