"""The life of one search of documents: admit, search, settle. It counts as a request for vectors does.

::

    exchange = life.begin(call, request)
    async with exchange:                      # raises whatever refuses the request
        found = await exchange.search()
    # settled, exactly once, whatever ended it
"""

from __future__ import annotations

import time

from penstock_common.contract.knowledge import SearchResult
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_common.errors import PenstockError
from penstock_common.llm.estimate import estimated_tokens
from penstock_common.llm.types import Candidate, Usage
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.knowledge.ports import Knowledge
from penstock_gateway.domain.life.exchange import Exchange, Outcome, VisitParts
from penstock_gateway.domain.life.order import Call, EmbeddingOrder
from penstock_gateway.domain.life.progress import Bill
from penstock_gateway.domain.life.validation import validate_context
from penstock_gateway.domain.limits.needs import Asked

SEARCHED = "knowledge"
"""What the ledger says was asked for, and who answered."""


class SearchLife:
    """Begins exchanges."""

    def __init__(self, visits: VisitParts, knowledge: Knowledge) -> None:
        self._visits = visits
        self._knowledge = knowledge

    def begin(self, call: Call[EmbeddingOrder], request: SearchRequest) -> SearchExchange:
        """Return the exchange of an authenticated search; nothing happens before it is entered."""
        return SearchExchange(call, self._visits, self._knowledge, request)


class SearchExchange(Exchange[EmbeddingOrder]):
    """One search's life; the request's tenant and labels are its caller's."""

    def __init__(
        self, call: Call[EmbeddingOrder], visits: VisitParts, knowledge: Knowledge, request: SearchRequest
    ) -> None:
        super().__init__(call, visits)
        self._knowledge = knowledge
        self._request = request
        self._step: Step | None = None
        self._found: SearchResult | None = None

    async def search(self) -> SearchResult:
        """Return what is found; asked once.

        Raises:
            PenstockError: whatever fails the search.
        """
        with self._steps.step("search", bases=len(self._request.bases)) as step:
            self._step = step
            self._found = (await self._knowledge.search(self._request, step.children)).result
        return self._found

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

    def _outcome(self) -> Outcome:
        found = self._found
        if found is None:
            return Outcome(attempts=0 if self._step is None else 1)
        model = found.searched[0].model if found.searched else ""
        return Outcome(
            bill=Bill(Usage(input_tokens=found.query_tokens)),
            answered_by=Candidate(upstream=SEARCHED, model=model),
            attempts=1,
        )

    def _was_refused(self, error: PenstockError) -> bool:
        return self._step is None

    def _waiting_ns(self) -> int:
        step = self._step
        return (step.end_ns or time.time_ns()) - step.start_ns if step is not None else 0
