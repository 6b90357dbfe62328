"""The life of one request for vectors: validate, admit, embed, settle. What a chat has besides does not apply.

::

    exchange = life.begin(call)
    async with exchange:                      # raises whatever refuses the request
        embedded = await exchange.embed()
    # settled, exactly once, whatever ended it
"""

from __future__ import annotations

import time

from penstock_common.contract.embedding import EmbedResponse
from penstock_common.errors import ModelNotFound, PenstockError
from penstock_common.llm.types import Candidate, Usage, cost_nano_usd
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.life.exchange import Exchange, Outcome, VisitParts
from penstock_gateway.domain.life.order import Call, EmbeddingOrder
from penstock_gateway.domain.life.ports import TextEmbedder
from penstock_gateway.domain.life.progress import NOTHING_OWED, Bill
from penstock_gateway.domain.life.validation import validate_embedding_input


class EmbeddingLife:
    """Begins exchanges."""

    def __init__(self, visits: VisitParts, embedder: TextEmbedder) -> None:
        self._visits = visits
        self._embedder = embedder

    def begin(self, call: Call[EmbeddingOrder]) -> EmbeddingExchange:
        """Return the exchange of an authenticated request; nothing happens before it is entered."""
        return EmbeddingExchange(call, self._visits, self._embedder)


class EmbeddingExchange(Exchange[EmbeddingOrder]):
    """One request's life."""

    def __init__(self, call: Call[EmbeddingOrder], visits: VisitParts, embedder: TextEmbedder) -> None:
        super().__init__(call, visits)
        self.embedded: EmbedResponse | None = None
        self._embedder = embedder
        self._embed: Step | None = None

    @property
    def bill(self) -> Bill:
        """What is owed so far."""
        embedded = self.embedded
        if embedded is None:
            return NOTHING_OWED
        usage = Usage(input_tokens=embedded.input_tokens)
        return Bill(usage, embedded.unit_prices, cost_nano_usd(usage, embedded.unit_prices))

    async def embed(self) -> EmbedResponse:
        """Return the vectors; asked once.

        Raises:
            PenstockError: whatever fails the request.
        """
        request = self.call.order.input
        with self._steps.step("embed", inputs=len(request.texts)) as step:
            self._embed = step
            self.embedded = await self._embedder.embed(request, step.children)
        return self.embedded

    async def _prepare(self) -> None:
        self._steps.next("validate")
        validate_embedding_input(self.call.order.input)
        self._check()
        self._steps.next("admit")
        await self._reserve()
        self._steps.stop()

    def _outcome(self) -> Outcome:
        embedded = self.embedded
        return Outcome(
            bill=self.bill,
            # Callers choose names; only one that was answered is known to be a model's.
            public_model=self.call.order.input.model if embedded else "",
            answered_by=Candidate(upstream=embedded.upstream, model=embedded.model) if embedded else None,
            attempts=int(self._embed is not None),
        )

    def _was_refused(self, error: PenstockError) -> bool:
        # Which models there are, the service says that is asked for the vectors.
        return self._embed is None or isinstance(error, ModelNotFound)

    def _waiting_ns(self) -> int:
        step = self._embed
        return (step.end_ns or time.time_ns()) - step.start_ns if step is not None else 0
