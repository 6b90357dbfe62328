"""Searching, over a catalogue and a vector store that hold what the test puts, and return what it makes them."""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from dataclasses import dataclass, field

import pytest

from penstock_common.contract.knowledge import (
    Attribute,
    AttributeValue,
    Chunk,
    Comparison,
    Document,
    Filter,
    IndexSpec,
    SearchOptions,
)
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_common.errors import DeadlineExceeded, InvalidRequest, ResourceNotFound, ResourceState
from penstock_common.points.store import PointsUnavailable
from penstock_embedding.domain.knowledge.ports import FoundChunk, IndexRef, Near, QueryVector
from penstock_embedding.domain.retrieval.analysis import ANALYSIS_VERSION, document_terms
from penstock_embedding.domain.retrieval.bounds import SearchLimits
from penstock_embedding.domain.retrieval.filters import matches
from penstock_embedding.domain.retrieval.search import Searcher

_LIMITS = SearchLimits()


def _vector(text: str) -> array[float]:
    """Letters counted: near where texts have the same letters."""
    counts = [float(text.lower().count(chr(ord("a") + at))) for at in range(26)]
    length = math.sqrt(sum(count * count for count in counts)) or 1.0
    return array("f", [count / length for count in counts])


class _Model:
    name = "letters"
    revision_ = "r1"
    seconds_to_load = 0.0

    async def revision(self) -> str:
        if self.seconds_to_load:
            await asyncio.sleep(self.seconds_to_load)
            self.seconds_to_load = 0.0
        return self.revision_

    async def query(self, text: str, deadline: float | None) -> QueryVector:
        return QueryVector(_vector(text), len(text.split()), truncated=len(text) > 200)


class _Models:
    def __init__(self) -> None:
        self.one = _Model()

    def model(self, name: str) -> _Model:
        return self.one


@dataclass
class _World:
    """Both ports. ``stale`` ids are in the store alone; ``careless``: the store looks at no labels and no filter."""

    bases: dict[str, dict[str, FoundChunk]] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)
    careless: bool = False
    failing: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    asked: list[tuple[str, int]] = field(default_factory=list)
    revision: str = "r1"
    analysis: int = ANALYSIS_VERSION

    def add(self, base: str, document: str, *texts: str, labels=(), attributes=(), overlap: int = 0) -> None:
        row = Document(
            id=document, knowledge_base=base, title=f"Title of {document}", labels=labels, attributes=attributes
        )
        at = 0
        for ordinal, text in enumerate(texts):
            one = Chunk(
                id=f"{document}#{ordinal}",
                document=document,
                document_version=1,
                ordinal=ordinal,
                text=text,
                start=at,
                end=at + len(text),
            )
            self.bases.setdefault(base, {})[one.id] = FoundChunk.of(one, row)
            at += len(text) - overlap

    async def index(self, tenant: str, base: str, version: int = 0) -> IndexRef:
        if tenant != "t" or base not in self.bases:
            raise ResourceNotFound("There is no such knowledge base.", "knowledge_base", base)
        return IndexRef(
            tenant, base, version or 1, IndexSpec(), self.revision, 26, 7, len(self.bases[base]), self.analysis
        )

    async def term_counts(self, index: IndexRef, terms):
        every = [document_terms(found.whole().chunk.text) for found in self.bases[index.base].values()]
        return {term: sum(term in one for one in every) for term in terms}

    async def chunks(self, index: IndexRef, ids):
        return {one: self.bases[index.base][one] for one in ids if one not in self.stale}

    def _seen(self, scope):
        for one, found in self.bases[scope.version.base].items():
            free = not found.labels or set(found.labels) & set(scope.labels)
            if self.careless or (free and matches(scope.filter, found.attributes)):
                yield one, found.whole().chunk.text

    async def _leg(self, name: str, scores: dict[str, float], limit: int):
        self.asked.append((name, limit))
        if name in self.failing:
            raise PointsUnavailable("The vector store does not answer.", "vectors")
        if name in self.hanging:
            await asyncio.Event().wait()
        best = sorted(scores, key=lambda one: (-scores[one], one))
        return [Near(one, scores[one]) for one in best[:limit]]

    async def dense(self, scope, vector, limit: int):
        scores = {
            one: sum(a * b for a, b in zip(vector, _vector(text), strict=True)) for one, text in self._seen(scope)
        }
        return await self._leg("dense", scores, limit)

    async def sparse(self, scope, terms, limit: int):
        scores = {}
        for one, text in self._seen(scope):
            has = document_terms(text)
            if common := sum(weight * has[term] for term, weight in terms.items() if term in has):
                scores[one] = common
        return await self._leg("sparse", scores, limit)


class _Judge:
    name = "judge"

    def __init__(self, favourite: str = "", *, hangs: bool = False) -> None:
        self._favourite, self._hangs = favourite, hangs

    async def scores(self, query, passages, deadline):
        if self._hangs:
            await asyncio.Event().wait()
        return [0.9 if self._favourite in one.text else 0.2 for one in passages]


def _search(world: _World, query: str, *, bases=("b",), labels=(), reranker=None, limits=_LIMITS, **options):
    models = _Models()
    searcher = Searcher(world, world, models, reranker, limits)
    request = SearchRequest(tenant="t", bases=bases, query=query, labels=labels, options=SearchOptions(**options))
    return asyncio.run(searcher.search(request))


def _ids(result) -> list[str]:
    return [hit.chunk.id for hit in result.hits]


@pytest.fixture
def world() -> _World:
    world = _World()
    world.add("b", "apples", "Apples are red. They grow on trees.", "Pears are green and sweet.")
    world.add("b", "bikes", "A bicycle has two wheels.")
    world.add("b", "invoice", "Issuing fails with 422 leitweg_missing.")
    return world


@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid", "hybrid_rerank", ""])
def test_each_mode_finds_and_scores_stay_between_0_and_1(world: _World, mode: str) -> None:
    result = _search(world, "two wheels of a bicycle", mode=mode, reranker=_Judge("bicycle"))
    assert result.hits[0].chunk.document == "bikes"
    assert all(0 <= hit.score <= 1 for hit in result.hits)
    assert [hit.score for hit in result.hits] == sorted((hit.score for hit in result.hits), reverse=True)
    assert result.degraded == [] and result.query_tokens == (0 if mode == "sparse" else 5)
    assert result.searched[0].version == 1 and result.searched[0].generation == 7


def test_scores_say_which_way_a_hit_was_found(world: _World) -> None:
    hit, other, *_ = _search(world, "invoice fails with leitweg_missing", mode="hybrid").hits
    assert hit.scores.sparse and hit.scores.fused and hit.scores.dense is not None and hit.scores.rerank is None
    assert other.scores.sparse is None, "a way without the hit adds nothing"
    assert hit.score == 1.0 > other.score, "first both ways"


def test_a_snippet_is_the_sentence_that_answers_and_its_offsets_hold(world: _World) -> None:
    hit = _search(world, "where do they grow", mode="sparse").hits[0]
    assert hit.snippet == "They grow on trees."
    assert hit.chunk.text[hit.snippet_start - hit.chunk.start : hit.snippet_end - hit.chunk.start] == hit.snippet
    second = _search(world, "green pears", mode="sparse").hits[0]
    assert second.snippet_start == second.chunk.start > 0


def test_labels_and_filters_hold_even_if_the_store_forgets_them(world: _World) -> None:
    secret = [Attribute("year", AttributeValue(number=2031))]
    world.add("b", "secret", "A bicycle of gold.", labels=["board"], attributes=secret)
    for careless in (False, True):
        world.careless = careless
        assert "secret#0" not in _ids(_search(world, "bicycle of gold"))
        assert "secret#0" not in _ids(_search(world, "bicycle of gold", labels=["staff"]))
        assert "secret#0" in _ids(_search(world, "bicycle of gold", labels=["staff", "board"]))
        old = Filter(comparison=Comparison("year", "lt", [AttributeValue(number=2031)]))
        assert _ids(_search(world, "bicycle of gold", labels=["board"], filter=old)) == []


def test_what_is_no_more_is_dropped_and_more_is_asked_for_once(world: _World) -> None:
    for number in range(30):
        world.add("b", f"old{number}", "A bicycle, a bicycle.")
        world.stale.add(f"old{number}#0")
    result = _search(world, "bicycle", mode="sparse", limit=3, limits=SearchLimits(candidates=10))
    assert _ids(result) == ["bikes#0"]
    assert world.asked == [("sparse", 10), ("sparse", 50)]


def test_few_candidates_are_asked_for_where_the_first_are_the_hits(world: _World) -> None:
    for options in ({}, {"diversity": 0.5}, {"max_per_document": 1}):
        _search(world, "bicycle", mode="dense", limit=10, **options)
    assert world.asked == [("dense", 24), ("dense", 100), ("dense", 100)]


def test_a_document_that_fills_the_list_does_not_hide_others(world: _World) -> None:
    world.add("b", "long", *(["A bicycle, a bicycle."] * 30))
    limits = SearchLimits(candidates=10)
    result = _search(world, "bicycle", mode="sparse", limit=2, max_per_document=1, limits=limits)
    assert [hit.chunk.document for hit in result.hits] == ["long", "bikes"]


@pytest.mark.parametrize("way", ["dense", "sparse"])
def test_a_way_that_fails_or_hangs_is_told_and_the_other_answers(world: _World, way: str) -> None:
    for broken in (world.failing, world.hanging):
        broken.add(way)
        result = _search(world, "bicycle wheels", limits=SearchLimits(leg_timeout=0.3))
        assert result.degraded == [way] and result.hits[0].chunk.id == "bikes#0"
        broken.clear()


@pytest.mark.parametrize(
    ("load", "start", "left", "degraded"),
    [(0.35, 60.0, None, []), (60.0, 0.1, None, ["dense"]), (60.0, 60.0, 0.6, ["dense"])],
    ids=["in time", "too late", "too late for the deadline"],
)
def test_a_model_that_is_loaded_now_is_waited_for(world: _World, load, start, left, degraded) -> None:
    models = _Models()
    models.one.seconds_to_load = load
    searcher = Searcher(world, world, models, limits=SearchLimits(leg_timeout=0.3, start_timeout=start))

    async def search():
        deadline = None if left is None else time.monotonic() + left
        return await searcher.search(SearchRequest(tenant="t", bases=["b"], query="bicycle wheels"), deadline)

    result = asyncio.run(search())
    assert result.degraded == degraded
    assert result.hits[0].chunk.id == "bikes#0"


def test_where_no_way_answers_the_search_fails(world: _World) -> None:
    world.failing = {"dense", "sparse"}
    with pytest.raises(PointsUnavailable):
        _search(world, "bicycle")
    world.failing = {"dense"}
    with pytest.raises(PointsUnavailable):
        _search(world, "bicycle", mode="dense")


def test_another_revision_of_the_model_is_never_compared(world: _World) -> None:
    world.revision = "r0"
    with pytest.raises(ResourceState, match="r0.*r1"):
        _search(world, "bicycle", mode="dense")
    assert _search(world, "bicycle").degraded == ["dense"]


def test_words_made_in_another_way_are_left_out_and_told(world: _World) -> None:
    world.analysis = ANALYSIS_VERSION + 1
    result = _search(world, "boat harbour")
    assert result.degraded == ["sparse"] and result.hits
    assert all(hit.scores.sparse is None for hit in result.hits)
    assert ("sparse", _LIMITS.candidates) not in world.asked
    with pytest.raises(ResourceState, match="build a new version"):
        _search(world, "boat harbour", mode="sparse")


def test_the_reranker_decides_and_where_it_hangs_the_order_of_before_stands(world: _World) -> None:
    judged = _search(world, "bicycle wheels", mode="hybrid_rerank", reranker=_Judge("Pears"))
    assert judged.hits[0].chunk.id == "apples#1" and judged.hits[0].score == judged.hits[0].scores.rerank == 0.9
    limits = SearchLimits(rerank_timeout=0.3)
    late = _search(world, "bicycle wheels", mode="hybrid_rerank", reranker=_Judge(hangs=True), limits=limits)
    assert late.degraded == ["rerank"] and late.hits[0].chunk.id == "bikes#0"


def test_without_a_reranker_the_built_in_one_judges(world: _World) -> None:
    result = _search(world, "two wheels", mode="hybrid_rerank")
    assert result.hits[0].chunk.id == "bikes#0" and result.hits[0].scores.rerank == result.hits[0].score
    assert result.degraded == []


def test_equal_scores_are_in_the_order_of_ids() -> None:
    world = _World()
    for name in ("c", "a", "b"):
        world.add("b", name, "the same words")
    assert _ids(_search(world, "same words")) == ["a#0", "b#0", "c#0"]


def test_overlapping_neighbours_are_shown_once_and_diversity_holds_back_what_says_the_same() -> None:
    world = _World()
    world.add("b", "d", "wheels of a bicycle", "wheels of a bicycle", overlap=15)
    world.add("b", "e", "wheels of a bicycle")
    world.add("b", "f", "wheels, and much about other vehicles")
    assert _ids(_search(world, "bicycle wheels", mode="sparse")) == ["d#0", "e#0", "f#0"]
    diverse = _ids(_search(world, "bicycle wheels", mode="sparse", diversity=0.7))
    assert diverse == ["d#0", "f#0", "e#0"]


def test_min_score_leaves_out_what_is_below(world: _World) -> None:
    every = _search(world, "red apples", mode="sparse").hits
    bound = every[0].score
    assert _ids(_search(world, "red apples", mode="sparse", min_score=bound)) == [every[0].chunk.id]
    assert _ids(_search(world, "red apples", mode="sparse", min_score=min(1.0, bound + 0.01))) == []


def test_several_bases_are_searched_as_one(world: _World) -> None:
    world.add("other", "o", "A bicycle with two wheels of wood.")
    result = _search(world, "two wheels of wood", bases=("b", "other"))
    assert result.hits[0].knowledge_base == "other" and "bikes#0" in _ids(result)
    assert [one.knowledge_base for one in result.searched] == ["b", "other"]
    with pytest.raises(ResourceNotFound):
        _search(world, "wood", bases=("b", "missing"))


def test_a_deadline_ends_the_search(world: _World) -> None:
    world.hanging = {"sparse"}

    async def late():
        request = SearchRequest(tenant="t", bases=["b"], query="bicycle", options=SearchOptions(mode="sparse"))
        await Searcher(world, world, _Models()).search(request, time.monotonic() + 0.02)

    with pytest.raises(DeadlineExceeded):
        asyncio.run(late())


def _nested(depth: int) -> Filter:
    one = Filter(comparison=Comparison("a", "eq", [AttributeValue(flag=True)]))
    return one if depth == 1 else Filter(all_of=[_nested(depth - 1)])


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"query": " "}, "query"),
        ({"query": "x" * 4097}, "query"),
        ({"bases": ()}, "bases"),
        ({"bases": ("b", "b")}, "bases"),
        ({"limit": 51}, "options.limit"),
        ({"min_score": 1.5}, "options.min_score"),
        ({"diversity": math.nan}, "options.diversity"),
        ({"filter": _nested(6)}, "options.filter.all_of[0].all_of[0].all_of[0].all_of[0].all_of[0]"),
        (
            {"filter": Filter(comparison=Comparison("a", "gt", [AttributeValue(text="x")]))},
            "options.filter.comparison.values[0]",
        ),
        ({"filter": Filter(comparison=Comparison("a", "eq", []))}, "options.filter.comparison.values"),
        ({"filter": Filter(any_of=[_nested(1)] * 65)}, "options.filter"),
    ],
)
def test_what_means_nothing_or_asks_too_much_is_refused_with_its_path(world: _World, changes, path: str) -> None:
    asked = {"query": "bicycle", **changes}
    with pytest.raises(InvalidRequest) as refused:
        _search(world, asked.pop("query"), **asked)
    assert refused.value.field == path


@pytest.mark.parametrize(
    ("operator", "values", "attributes", "meant"),
    [
        ("eq", [1.0], {"a": 1.0}, True),
        ("eq", ["1"], {"a": 1.0}, False),
        ("eq", [True], {"a": 1.0}, False),
        ("ne", ["x"], {}, True),
        ("ne", ["x"], {"a": "x"}, False),
        ("gt", [1.0], {"a": 2.0}, True),
        ("gt", [1.0], {"a": "2"}, False),
        ("gt", [1.0], {}, False),
        ("lte", [2.0], {"a": 2.0}, True),
        ("in", ["x", "y"], {"a": "y"}, True),
        ("in", ["x"], {}, False),
        ("nin", ["x"], {}, True),
        ("nin", ["x"], {"a": "x"}, False),
    ],
)
def test_comparisons_mean_what_they_say(operator, values, attributes, meant: bool) -> None:
    def value(one) -> AttributeValue:
        if isinstance(one, bool):
            return AttributeValue(flag=one)
        return AttributeValue(text=one) if isinstance(one, str) else AttributeValue(number=one)

    condition = Filter(comparison=Comparison("a", operator, [value(one) for one in values]))
    has = [Attribute(name, value(one)) for name, one in attributes.items()]
    assert matches(condition, has) is meant
    assert matches(Filter(all_of=[condition, Filter()]), has) is meant
    assert matches(Filter(any_of=[condition, condition]), has) is meant
