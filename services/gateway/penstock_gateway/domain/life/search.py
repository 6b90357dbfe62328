"""The life of one search of documents: admit, search, settle. It counts as a request for vectors does.

A question in several words is one search, and one request of the tenant's.

::

    exchange = life.begin(call, requests)
    async with exchange:                      # raises whatever refuses the request
        found = await exchange.search()
    # settled, exactly once, whatever ended it
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from penstock_common.contract.knowledge import Hit, SearchedIndex, SearchResult
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_common.errors import PenstockError
from penstock_common.llm.estimate import estimated_tokens
from penstock_common.llm.types import Candidate, Usage
from penstock_common.telemetry.steps import Step
from penstock_common.together import together
from penstock_gateway.domain.knowledge.ports import Knowledge
from penstock_gateway.domain.knowledge_use.signals import signals_of_search
from penstock_gateway.domain.life.exchange import Exchange, VisitParts
from penstock_gateway.domain.life.order import Call, EmbeddingOrder
from penstock_gateway.domain.life.outcome import Outcome
from penstock_gateway.domain.life.progress import Bill
from penstock_gateway.domain.life.validation import validate_context
from penstock_gateway.domain.limits.admission import Demand
from penstock_gateway.domain.limits.limit import Limit
from penstock_gateway.domain.limits.needs import Asked, binding_of

SEARCHED = "knowledge"
"""What the ledger says was asked for, and who answered."""


class SearchLife:
    """Begins exchanges."""

    def __init__(self, visits: VisitParts, knowledge: Knowledge) -> None:
        self._visits = visits
        self._knowledge = knowledge

    def begin(self, call: Call[EmbeddingOrder], requests: Sequence[SearchRequest]) -> SearchExchange:
        """Return the exchange of an authenticated search; nothing happens before it is entered.

        ``requests`` has at least one, and they differ in their words alone.
        """
        return SearchExchange(call, self._visits, self._knowledge, requests)


class SearchExchange(Exchange[EmbeddingOrder]):
    """One search's life; the requests' tenant and labels are its caller's."""

    def __init__(
        self, call: Call[EmbeddingOrder], visits: VisitParts, knowledge: Knowledge, requests: Sequence[SearchRequest]
    ) -> None:
        super().__init__(call, visits)
        self._knowledge = knowledge
        self._requests = requests
        self._step: Step | None = None
        self._found: SearchResult | None = None

    async def search(self) -> SearchResult:
        """Return what is found for all words; asked once.

        Raises:
            PenstockError: whatever fails one of the requests; the others are ended.
        """
        first = self._requests[0]
        with self._steps.step("search", bases=len(first.bases), queries=len(self._requests)) as step:
            self._step = step
            found = await together([self._of(request, step) for request in self._requests])
            self._found = found[0] if len(found) == 1 else merged(found, first.options.limit)
        return self._found

    async def _of(self, request: SearchRequest, step: Step) -> SearchResult:
        return (await self._knowledge.search(request, step.children)).result

    async def _prepare(self) -> None:
        self._steps.next("validate")
        validate_context(self.call.order.context)
        self._steps.next("admit")
        await self._reserve()
        self._steps.stop()

    @property
    def _asked(self) -> Asked:
        # The words are read by a model; what is found costs nothing.
        return Asked(sum(map(estimated_tokens, self.call.order.input.texts)), has_answer=False)

    async def _demand(self, limits: tuple[Limit, ...]) -> Demand:
        """Return what the search is expected to use; it costs nothing as long as nobody knows what its words do."""
        demand, needs, order = await super()._demand(limits), self._visits.needs, self.call.order
        cost = needs.search_cost_of(order.tenant, self._requests[0].bases, self._asked.input_tokens)
        return Demand(demand.tokens, cost, cost) if binding_of(limits).spend else demand

    def _note_use(self) -> None:
        if self._found is not None:
            self._visits.needs.note_search(self.call.order.tenant, self._found)

    def _outcome(self) -> Outcome:
        found = self._found
        if found is None:
            return Outcome(operation="search", attempts=0 if self._step is None else 1)
        model = found.searched[0].model if found.searched else ""
        return Outcome(
            operation="search",
            bill=Bill(Usage(input_tokens=found.query_tokens), cost_nano_usd=found.query_cost_nano_usd),
            answered_by=Candidate(upstream=SEARCHED, model=model),
            attempts=1,
            retrieval=signals_of_search(found),
        )

    def _was_refused(self, error: PenstockError) -> bool:
        return self._step is None

    def _waiting_ns(self) -> int:
        step = self._step
        return (step.end_ns or time.time_ns()) - step.start_ns if step is not None else 0


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
        query_cost_nano_usd=sum(result.query_cost_nano_usd for result in results),
    )
