"""Searching knowledge bases: by meaning, by words, by both, and reranked.

A vector store may hold chunks that are no more, and may return what it should not. Whatever it says, a chunk is shown only
if the catalogue has it in the version that is searched, the caller may see its document, and the filter means it.

What a hit's score is, 0 to 1:

============== =====================================================================================================
dense          the cosine; 0 where it is below
sparse         BM25 as a share of what a chunk with all words of the question would have, each as often as counts
hybrid         the weighted sum of reciprocal ranks as a share of what is first both ways: it tells order, not fit
hybrid_rerank  the reranker's; where that failed, which ``degraded`` tells, the score of hybrid
============== =====================================================================================================
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from penstock_common.contract.knowledge import Hit, HitScores, SearchedIndex, SearchResult
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_common.errors import DeadlineExceeded, InvalidRequest, PenstockError, ResourceState
from penstock_common.together import together
from penstock_embedding.domain.knowledge.ports import (
    Catalogue,
    ChunkVectors,
    FoundChunk,
    IndexRef,
    Models,
    Near,
    QueryVector,
    Scope,
    Terms,
)
from penstock_embedding.domain.retrieval.analysis import ANALYSIS_VERSION, MOST_OF_A_TERM, query_terms
from penstock_embedding.domain.retrieval.bounds import SearchLimits, check, may_see
from penstock_embedding.domain.retrieval.candidates import asked_for, limit_of, usable
from penstock_embedding.domain.retrieval.filters import matches
from penstock_embedding.domain.retrieval.learned import LearnedReranker, own_weights
from penstock_embedding.domain.retrieval.ranking import (
    DENSE_WEIGHT,
    SPARSE_WEIGHT,
    Chooser,
    Ranked,
    best_first,
    fused,
    most_fused,
    rarity,
)
from penstock_embedding.domain.retrieval.reranking import Passage, Reranker
from penstock_embedding.domain.retrieval.snippets import best_sentence, terms_for_diversity

_WAYS = {
    "dense": ("dense",),
    "sparse": ("sparse",),
    "hybrid": ("dense", "sparse"),
    "hybrid_rerank": ("dense", "sparse"),
}
_WEIGHTS = {"dense": DENSE_WEIGHT, "sparse": SPARSE_WEIGHT}


class _Found(NamedTuple):
    """What one base has: chunks that may be shown, and their scores each way."""

    version: IndexRef
    chunks: Mapping[str, FoundChunk]
    scores: Mapping[str, Mapping[str, float]]
    weights: Terms
    """Of the question's terms, by their rarity in the base."""


@dataclass(slots=True)
class _Question:
    """A search under way."""

    request: SearchRequest
    mode: str
    deadline: float | None
    terms: Terms
    degraded: set[str] = field(default_factory=set[str])
    failures: list[PenstockError] = field(default_factory=list[PenstockError])
    vectors: dict[tuple[str, str], asyncio.Task[QueryVector]] = field(
        default_factory=dict[tuple[str, str], asyncio.Task[QueryVector]]
    )


class _Asked(NamedTuple):
    """A search of one base."""

    question: _Question
    scope: Scope
    weights: Terms


class Searcher:
    """Searches; each search sees one version of each knowledge base. Without a reranker it has the built-in one."""

    def __init__(
        self,
        catalogue: Catalogue,
        vectors: ChunkVectors,
        models: Models,
        reranker: Reranker | None = None,
        limits: SearchLimits = SearchLimits(),  # noqa: B008 - immutable
    ) -> None:
        self._catalogue = catalogue
        self._vectors = vectors
        self._models = models
        self._reranker = reranker or LearnedReranker(own_weights())
        self._limits = limits

    async def search(self, request: SearchRequest, deadline: float | None = None) -> SearchResult:
        """Return what is found; ``deadline`` is of the monotonic clock, in seconds.

        Raises:
            InvalidRequest: if a field is wrong, with its path.
            ResourceNotFound: if a knowledge base is not there, or has nothing that serves.
            ResourceState: if an index was made with another revision of its model, or its words in another way, and
                nothing else answers.
            ServiceUnavailable: if no way to search answers.
            DeadlineExceeded: if there is no answer until then.
        """
        check(request)
        mode = request.options.mode or "hybrid"
        question = _Question(request, mode, deadline, query_terms(request.query))
        try:
            async with asyncio.timeout(_left(deadline)):
                return await self._answer(question)
        except TimeoutError:
            raise DeadlineExceeded("The search did not end before the request's deadline.") from None
        finally:
            for task in question.vectors.values():
                task.cancel()

    async def _answer(self, question: _Question) -> SearchResult:
        request = question.request
        version = request.options.index_version
        indexes = await together([self._catalogue.index(request.tenant, base, version) for base in request.bases])
        _check_models(indexes, question.mode)
        found = await together([self._in_base(question, index) for index in indexes])
        self._fail_if_nothing_answered(question)
        hits = await self._hits(question, found)
        embedded = [task.result() for task in question.vectors.values() if _succeeded(task)]
        return SearchResult(
            hits=hits,
            searched=[
                SearchedIndex(
                    knowledge_base=index.base,
                    version=index.version,
                    model=index.spec.model or self._models.model(index.spec.model).name,
                    model_revision=index.model_revision,
                    generation=index.generation,
                )
                for index in indexes
            ],
            degraded=sorted(question.degraded),
            query_truncated=any(vector.truncated for vector in embedded),
            query_tokens=sum(vector.tokens for vector in embedded),
            query_cost_nano_usd=sum(vector.cost_nano_usd for vector in embedded),
        )

    @staticmethod
    def _fail_if_nothing_answered(question: _Question) -> None:
        if question.failures and set(_WAYS[question.mode]) <= question.degraded:
            raise question.failures[0]

    async def _in_base(self, question: _Question, version: IndexRef) -> _Found:
        options = question.request.options
        weights = await self._weights(question, version)
        asked = _Asked(question, Scope(version, question.request.labels, options.filter), weights)
        asks_for = asked_for(options, len(_WAYS[question.mode]), self._limits.candidates)
        found, full = await self._once(asked, asks_for.first)
        if full and usable(found.chunks.values(), options) < limit_of(options):
            # Most of what the store found may not be shown: there may be more behind.
            found, _ = await self._once(asked, asks_for.second)
        return found

    async def _once(self, asked: _Asked, limit: int) -> tuple[_Found, bool]:
        """Return what is found, and whether a list was as long as it may be."""
        names = _WAYS[asked.question.mode]
        answers = await together([self._leg(asked, name, limit) for name in names])
        ids = {near.id for answer in answers for near in answer}
        current = await self._catalogue.chunks(asked.scope.version, sorted(ids)) if ids else {}
        shown = {one: found for one, found in current.items() if _may_be_shown(found, asked.scope)}
        scores = {
            name: {near.id: near.score for near in answer if near.id in shown}
            for name, answer in zip(names, answers, strict=True)
        }
        full = any(len(answer) >= limit for answer in answers)
        return _Found(asked.scope.version, shown, scores, asked.weights), full

    async def _leg(self, asked: _Asked, name: str, limit: int) -> Sequence[Near]:
        question = asked.question
        way: Callable[[_Asked, int], Awaitable[Sequence[Near]]] = self._sparse
        try:
            if name == "dense":
                way = self._dense
                async with asyncio.timeout(self._start_seconds(question.deadline)):
                    await self._models.model(asked.scope.version.spec.model).revision()
            async with asyncio.timeout(self._limits.leg_timeout):
                return await way(asked, limit)
        except TimeoutError:
            error: PenstockError = DeadlineExceeded(f"The {name} part of the search did not end in time.")
        except InvalidRequest:
            raise
        except PenstockError as failure:
            error = failure
        question.degraded.add(name)
        question.failures.append(error)
        return ()

    def _start_seconds(self, deadline: float | None) -> float:
        """Return how long a model may take to be there, so that there is time to ask it."""
        leg, start = self._limits.leg_timeout, self._limits.start_timeout
        return start if deadline is None else max(leg, min(start, deadline - time.monotonic() - leg))

    async def _dense(self, asked: _Asked, limit: int) -> Sequence[Near]:
        question, version = asked.question, asked.scope.version
        key = (version.spec.model, version.model_revision)
        if key not in question.vectors:
            question.vectors[key] = asyncio.create_task(self._embedded(question, version))
        # Bases of one model share the vector: who waits too long for it must not end it for others.
        embedded = await asyncio.shield(question.vectors[key])
        return await self._vectors.dense(asked.scope, embedded.vector, limit)

    async def _embedded(self, question: _Question, version: IndexRef) -> QueryVector:
        model = self._models.model(version.spec.model)
        if (revision := await model.revision()) != version.model_revision:
            raise ResourceState(
                f"Version {version.version} of the index of '{version.base}' was made with {model.name} "
                f"{version.model_revision}, and the service has {revision}: build a new version.",
                "index",
                version.base,
            )
        return await model.query(question.request.query, question.deadline)

    async def _sparse(self, asked: _Asked, limit: int) -> Sequence[Near]:
        version = asked.scope.version
        if version.analysis != ANALYSIS_VERSION:
            raise ResourceState(
                f"The words of version {version.version} of the index of '{version.base}' were made in another way than "
                "the service makes a question's: build a new version.",
                "index",
                version.base,
            )
        return await self._vectors.sparse(asked.scope, asked.weights, limit) if asked.weights else ()

    async def _weights(self, question: _Question, version: IndexRef) -> Terms:
        counts = await self._catalogue.term_counts(version, sorted(question.terms))
        return {term: times * rarity(counts.get(term, 0), version.chunks) for term, times in question.terms.items()}

    async def _hits(self, question: _Question, found: Sequence[_Found]) -> list[Hit]:
        options = question.request.options
        candidates = _candidates(question.mode, found)
        if question.mode == "hybrid_rerank":
            candidates = await self._reranked(question, candidates)
        candidates = [one for one in candidates if one.score >= options.min_score]
        by_id = {one.found.id: one for one in candidates}
        chooser = Chooser(
            limit=limit_of(options), max_per_document=options.max_per_document, diversity=options.diversity
        )
        terms = terms_for_diversity(one.found.whole().chunk for one in candidates) if options.diversity else {}
        chosen = chooser.chosen([(one.found, one.score) for one in candidates], terms)
        return [_hit(by_id[found.id]) for found in chosen]

    async def _reranked(self, question: _Question, candidates: Sequence[_Candidate]) -> Sequence[_Candidate]:
        head = candidates[: max(self._limits.rerank_candidates, limit_of(question.request.options))]
        passages = [_passage(one) for one in head]
        until = time.monotonic() + self._limits.rerank_timeout
        until = until if question.deadline is None else min(until, question.deadline)
        try:
            async with asyncio.timeout(_left(until)):
                scores = await self._reranker.scores(question.request.query, passages, until)
        except (TimeoutError, PenstockError):
            question.degraded.add("rerank")
            return candidates
        judged = [
            one._replace(score=score, scores={**one.scores, "rerank": score})
            for one, score in zip(head, scores, strict=True)
        ]
        return sorted(judged, key=_order)


class _Candidate(NamedTuple):
    """A chunk that may be shown."""

    base: _Found
    found: FoundChunk
    score: float
    scores: Mapping[str, float]


def _candidates(mode: str, found: Sequence[_Found]) -> list[_Candidate]:
    """Return the chunks of all bases, the best first."""
    totals: dict[str, float] = {}
    lists: list[Ranked] = []
    for group in _comparable(found):
        for way in _WAYS[mode]:
            scores = {one: _share(base, way, score) for base in group for one, score in base.scores[way].items()}
            if len(_WAYS[mode]) == 1:
                totals |= scores
            else:
                lists.append(Ranked(best_first(scores), _WEIGHTS[way]))
    if lists:
        most = most_fused(_WEIGHTS[way] for way in _WAYS[mode])
        totals = {one: score / most for one, score in fused(lists).items()}
    of_base = {one: base for base in found for one in base.chunks}
    candidates: list[_Candidate] = []
    for one in best_first(totals):
        base = of_base[one]
        scores = {way: base.scores[way][one] for way in _WAYS[mode] if one in base.scores[way]}
        fusion = {"fused": totals[one]} if lists else {}
        candidates.append(_Candidate(base, base.chunks[one], totals[one], {**scores, **fusion}))
    return candidates


def _comparable(found: Sequence[_Found]) -> list[list[_Found]]:
    """Return the bases whose vectors may be compared together; others take turns by rank."""
    groups: dict[tuple[str, str], list[_Found]] = {}
    for base in found:
        groups.setdefault((base.version.spec.model, base.version.model_revision), []).append(base)
    return list(groups.values())


def _share(base: _Found, way: str, score: float) -> float:
    if way == "sparse":
        score /= sum(base.weights.values()) * MOST_OF_A_TERM
    return min(1.0, max(0.0, score))


def _passage(candidate: _Candidate) -> Passage:
    scores = candidate.scores
    sparse = _share(candidate.base, "sparse", scores["sparse"]) if "sparse" in scores else None
    chunk, document = candidate.found.whole()
    return Passage(document.title, chunk.headings, chunk.text, scores.get("dense"), sparse, chunk.document)


def _may_be_shown(found: FoundChunk, scope: Scope) -> bool:
    return may_see(found.labels, scope.labels) and matches(scope.filter, found.attributes)


def _hit(candidate: _Candidate) -> Hit:
    chunk, document = candidate.found.whole()
    sentence = best_sentence(chunk.text, candidate.base.weights, document.language)
    scores = candidate.scores
    return Hit(
        chunk=chunk,
        knowledge_base=candidate.base.version.base,
        title=document.title,
        filename=document.filename,
        attributes=document.attributes,
        score=candidate.score,
        scores=HitScores(scores.get("dense"), scores.get("sparse"), scores.get("fused"), scores.get("rerank")),
        snippet=chunk.text[sentence.start : sentence.end],
        snippet_start=chunk.start + sentence.start,
        snippet_end=chunk.start + sentence.end,
    )


def _order(candidate: _Candidate) -> tuple[float, str]:
    return -candidate.score, candidate.found.id


def _check_models(indexes: Sequence[IndexRef], mode: str) -> None:
    if mode == "dense" and len({(index.spec.model, index.model_revision) for index in indexes}) > 1:
        raise InvalidRequest(
            "The knowledge bases have indexes of different embedding models, whose scores cannot be compared: "
            "search them with mode hybrid or sparse, or each alone.",
            "bases",
        )


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _succeeded(task: asyncio.Task[QueryVector]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
