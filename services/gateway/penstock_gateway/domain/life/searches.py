"""The life of several searches that are one request: the same question in several words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from penstock_common.contract.knowledge import Hit, SearchedIndex, SearchResult
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_gateway.domain.knowledge.ports import Knowledge
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.order import Call, EmbeddingOrder
from penstock_gateway.domain.life.search import SearchExchange


class SearchesLife:
    """Begins exchanges."""

    def __init__(self, visits: VisitParts, knowledge: Knowledge) -> None:
        self._visits = visits
        self._knowledge = knowledge

    def begin(self, call: Call[EmbeddingOrder], requests: Sequence[SearchRequest]) -> SearchesExchange:
        """Return the exchange of authenticated searches, at least one; nothing happens before it is entered."""
        return SearchesExchange(call, self._visits, self._knowledge, requests)


class SearchesExchange(SearchExchange):
    """The searches' life: admitted, counted and billed as one. The requests' tenant and labels are their caller's."""

    def __init__(
        self, call: Call[EmbeddingOrder], visits: VisitParts, knowledge: Knowledge, requests: Sequence[SearchRequest]
    ) -> None:
        super().__init__(call, visits, knowledge, requests[0])
        self._requests = requests

    async def search(self) -> SearchResult:
        """Return what each finds, by its best score; asked once.

        Raises:
            PenstockError: whatever fails one of the searches.
        """
        if len(self._requests) == 1:
            return await super().search()
        with self._steps.step("search", bases=len(self._request.bases), queries=len(self._requests)) as step:
            self._step = step
            found = await asyncio.gather(*[self._knowledge.search(one, step.children) for one in self._requests])
            self._found = merged([one.result for one in found], self._request.options.limit)
        return self._found


def merged(results: Sequence[SearchResult], limit: int) -> SearchResult:
    """Return each chunk once, by its best score, the best first, ties by id; and what no result was without."""
    best: dict[str, Hit] = {}
    searched: dict[str, SearchedIndex] = {}
    for result in results:
        searched.update({index.knowledge_base: index for index in result.searched})
        for hit in result.hits:
            known = best.get(hit.chunk.id)
            if known is None or hit.score > known.score:
                best[hit.chunk.id] = hit
    return SearchResult(
        hits=sorted(best.values(), key=lambda hit: (-hit.score, hit.chunk.id))[:limit],
        searched=list(searched.values()),
        degraded=sorted({part for result in results for part in result.degraded}),
        query_truncated=any(result.query_truncated for result in results),
        query_tokens=sum(result.query_tokens for result in results),
    )
