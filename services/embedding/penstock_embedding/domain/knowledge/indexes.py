"""Versions of an index: building one, comparing it with the one that serves, switching to it and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import EvaluationQuery, IndexVersion, SearchMode, SearchOptions
from penstock_common.errors import InvalidRequest, ResourceNotFound, ResourceState, ServiceUnavailable
from penstock_embedding.domain.knowledge.comparing import Scores, documents_of, quality_of, scores_of, why_worse
from penstock_embedding.domain.knowledge.documents import new_index
from penstock_embedding.domain.knowledge.ports import Models
from penstock_embedding.domain.knowledge.stores import Bases, Searcher, Versions
from penstock_embedding.domain.knowledge.sweeping import Sweeper

MOST_QUERIES = 10_000
# Hits are chunks, and several may be of one document.
_HITS = 50
_MAX_QUERY = 4_096
_BEST_GRADE = 3


class Judging(NamedTuple):
    """How versions are compared; see the settings of section ``knowledge``."""

    least_queries: int
    most_queries: int
    allowed_loss: float
    modes: Sequence[SearchMode] = ("hybrid",)
    """In which they are searched; in none of them a version may find worse."""


class _Judged(NamedTuple):
    """How well a version answers each question, by mode; and what its searches were without."""

    scores: dict[SearchMode, list[Scores]]
    lacking: set[str]


@dataclass(frozen=True, slots=True)
class Indexes:
    """What ``KnowledgeService`` does about index versions."""

    versions: Versions
    bases: Bases
    models: Models
    searcher: Searcher
    sweeper: Sweeper
    judging: Judging
    awaken: Callable[[], None]
    """Called when there is something to build."""

    async def build_index(self, request: calls.BuildIndexRequest) -> calls.BuildIndexResponse:
        """Begin a version.

        Raises:
            ResourceNotFound, ModelNotFound: if there is no such knowledge base or model.
            ResourceState: if one is being built.
            ResourceExists: if there is one like it.
        """
        await self.bases.get(request.tenant, request.base)
        index = await new_index(self.models, request.tenant, request.base, request.spec)
        number = await self.versions.begin(index, again=request.again)
        self.awaken()
        return calls.BuildIndexResponse(await self._version(request.tenant, request.base, number))

    async def list_indexes(self, request: calls.ListIndexesRequest) -> calls.ListIndexesResponse:
        """Return all versions, the newest first."""
        return calls.ListIndexesResponse(await self.versions.list(request.tenant, request.base))

    async def switch_index(
        self, request: calls.SwitchIndexRequest, deadline: float | None = None
    ) -> calls.SwitchIndexResponse:
        """Have another version serve. A return to the one before asks no question, and needs no model.

        Raises:
            ResourceNotFound: if there is no such version.
            ResourceState: if it is not ready, finds worse, or nobody can say whether it does.
            ServiceUnavailable: if nobody can say now.
        """
        tenant, base = request.tenant, request.base
        serving, previous = await self.versions.previous(tenant, base)
        number = request.version or previous
        if not number:
            raise ResourceState("No version has served before: name one.", kind="index", name=base)
        if number not in (serving, previous) and not request.force:
            version = await self._version(tenant, base, number)
            if version.state != "ready":
                raise ResourceState(
                    f"Index version {number} is {version.state}: only one that is ready can serve.",
                    kind="index",
                    name=str(number),
                )
            await self._refuse_worse(request, number, serving, deadline)
        await self.versions.switch(tenant, base, number, serving)
        return calls.SwitchIndexResponse(await self._version(tenant, base, number))

    async def drop_index(self, request: calls.DropIndexRequest) -> calls.DropIndexResponse:
        """Delete a version that does not serve, or end its building."""
        existed = await self.versions.drop(request.tenant, request.base, request.version)
        await self.sweeper.sweep_soon()
        return calls.DropIndexResponse(existed)

    async def put_evaluation(self, request: calls.PutEvaluationRequest) -> calls.PutEvaluationResponse:
        """Keep the questions that versions are compared by."""
        if len(request.queries) > MOST_QUERIES:
            raise InvalidRequest(f"At most {MOST_QUERIES:,} questions are kept.", field="queries")
        for number, query in enumerate(request.queries):
            _check(query, f"queries[{number}]")
        await self.bases.put_evaluation(request.tenant, request.base, request.queries)
        return calls.PutEvaluationResponse(len(request.queries))

    async def _version(self, tenant: str, base: str, number: int) -> IndexVersion:
        for version in await self.versions.list(tenant, base):
            if version.number == number:
                return version
        raise ResourceNotFound(
            f"The knowledge base '{base}' has no index version {number}.", kind="index", name=str(number)
        )

    async def _refuse_worse(
        self, request: calls.SwitchIndexRequest, number: int, serving: int, deadline: float | None
    ) -> None:
        tenant, base, judging = request.tenant, request.base, self.judging
        queries = await self.bases.evaluation(tenant, base)
        if len(queries) < judging.least_queries:
            raise ResourceState(
                f"Nobody can say whether version {number} finds worse: the evaluation has {len(queries)} questions, and "
                f"{judging.least_queries} are needed. Put some, or force the switch.",
                kind="index",
                name=str(number),
            )
        chosen = evenly(queries, judging.most_queries)
        labels = await self.bases.labels(tenant, base)
        plain = calls.SearchRequest(tenant=tenant, bases=[base], query="", labels=labels)
        new = await self._judged(plain, number, chosen, deadline)
        if new.lacking:
            raise ServiceUnavailable(
                f"Nobody can say now whether version {number} finds worse: its searches are without "
                f"{', '.join(sorted(new.lacking))}. Try again.",
                service="knowledge",
            )
        # One that serves without a part is taken as it is: it may be why it is to be replaced.
        old = await self._judged(plain, serving, chosen, deadline)
        for mode in judging.modes:
            if why := why_worse(new.scores[mode], old.scores[mode], judging.allowed_loss):
                raise ResourceState(
                    f"Version {number} finds worse than version {serving}: {why}, of {len(chosen)} questions ({mode}). "
                    "Force the switch if you mean it.",
                    kind="index",
                    name=str(number),
                )

    async def _judged(
        self, plain: calls.SearchRequest, version: int, queries: Sequence[EvaluationQuery], deadline: float | None
    ) -> _Judged:
        """Return how well a version answers questions in each mode, and keep it."""
        judged = _Judged({}, set())
        for mode in self.judging.modes:
            options = SearchOptions(mode=mode, limit=_HITS, index_version=version)
            scores = judged.scores[mode] = []
            for query in queries:
                asked = msgspec.structs.replace(plain, query=query.query, options=options)
                result = await self.searcher.search(asked, deadline)
                scores.append(scores_of(documents_of(result.hits), query))
                judged.lacking.update(result.degraded)
        quality = [quality_of(scores, mode) for mode, scores in judged.scores.items()]
        await self.versions.note_quality(plain.tenant, plain.bases[0], version, quality)
        return judged


def evenly(queries: Sequence[EvaluationQuery], most: int) -> Sequence[EvaluationQuery]:
    """Return at most so many, taken at even distances."""
    if len(queries) <= most:
        return queries
    return [queries[number * len(queries) // most] for number in range(most)]


def _check(query: EvaluationQuery, path: str) -> None:
    if not 0 < len(query.query) <= _MAX_QUERY:
        raise InvalidRequest(f"A question has 1 to {_MAX_QUERY:,} characters.", field=f"{path}.query")
    if not any(one.grade for one in query.relevant):
        raise InvalidRequest("Name a document that answers it, with a grade of 1 to 3.", field=f"{path}.relevant")
    if any(one.grade > _BEST_GRADE for one in query.relevant):
        raise InvalidRequest("A grade is 0 to 3.", field=f"{path}.relevant")
