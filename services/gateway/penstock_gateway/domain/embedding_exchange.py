"""The life of one request for vectors: validate, admit, embed, settle. What a chat has besides does not apply.

::

    exchange = life.begin(call)
    embedded = await exchange.embed()     # settled, exactly once, whatever ended it
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from penstock_common.llm.types import UnitPrices, Usage, cost_nano_usd
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.admission import RateState
from penstock_gateway.domain.embedding_call import EmbeddedTexts, EmbeddingCall, TextEmbedder
from penstock_gateway.domain.settlement import LedgerRow, outcome_of
from penstock_gateway.domain.validation import validate_embedding_input
from penstock_gateway.domain.visit import Visit, VisitParts


class EmbeddingLife:
    """Begins exchanges."""

    def __init__(self, visits: VisitParts, embedder: TextEmbedder) -> None:
        self._visits = visits
        self._embedder = embedder

    def begin(self, call: EmbeddingCall) -> EmbeddingExchange:
        """Return the exchange of an authenticated request; nothing happens before it is asked to embed."""
        return EmbeddingExchange(call, self._visits, self._embedder)


class EmbeddingExchange:
    """One request's life. What the headers say is readable at any time, after a refusal too."""

    def __init__(self, call: EmbeddingCall, visits: VisitParts, embedder: TextEmbedder) -> None:
        self.call = call
        self.embedded: EmbeddedTexts | None = None
        self._visit = Visit(call, visits)
        self._embedder = embedder
        self._embed_step: Step | None = None

    @property
    def rate(self) -> RateState:
        """Where the tenant stands."""
        return self._visit.rate

    @property
    def usage(self) -> Usage:
        """What was used so far."""
        return Usage(input_tokens=self.embedded.input_tokens if self.embedded else 0)

    @property
    def cost_nano_usd(self) -> int:
        """What is owed so far."""
        return cost_nano_usd(self.usage, self.embedded.unit_prices) if self.embedded else 0

    @property
    def overhead_ms(self) -> float:
        """Milliseconds spent so far on anything but waiting for the vectors."""
        step = self._embed_step
        waiting_ns = (step.end_ns or time.time_ns()) - step.start_ns if step is not None else 0
        return (time.time_ns() - self.call.started_ns - waiting_ns) / 1e6

    async def embed(self) -> EmbeddedTexts:
        """Return the vectors; asked once.

        Raises:
            PenstockError: whatever refuses the request, or fails it.
        """
        failure: BaseException | None = None
        try:
            await self._prepare()
            self.embedded = await self._ask()
            return self.embedded
        except BaseException as error:
            failure = error
            raise
        finally:
            self._settle(failure)

    async def _prepare(self) -> None:
        call, visit = self.call, self._visit
        visit.enter()
        with call.steps.step("validate"):
            validate_embedding_input(call.input)
            visit.check()
        with call.steps.step("admit"):
            await visit.reserve()

    async def _ask(self) -> EmbeddedTexts:
        with self.call.steps.step("embed", inputs=len(self.call.input.texts)) as step:
            self._embed_step = step
            return await self._embedder.embed(self.call.input, step.children)

    def _settle(self, error: BaseException | None) -> None:
        """Leave, bill and report, each exactly once."""
        self._visit.leave()
        # Callers choose names; only one that was answered is known to be a model's.
        self._visit.settle(self._row(error), self.call.input.model if self.embedded else "", error)

    def _row(self, error: BaseException | None) -> LedgerRow:
        call, embedded = self.call, self.embedded
        return LedgerRow(
            generation_id=call.generation_id,
            request_id=call.request_id,
            created_at=datetime.fromtimestamp(call.started_ns / 1e9, UTC),
            tenant=call.caller.tenant.name,
            key_id=call.caller.key_id,
            surface=call.surface,
            requested_model=call.input.model,
            outcome=outcome_of(error),
            upstream=embedded.upstream if embedded else "",
            model=embedded.model if embedded else "",
            usage=self.usage,
            unit_prices=embedded.unit_prices if embedded else UnitPrices(),
            cost_nano_usd=self.cost_nano_usd,
            attempts=int(self._embed_step is not None),
            duration_ms=(time.time_ns() - call.started_ns) / 1e6,
            overhead_ms=self.overhead_ms,
            user=call.context.user,
            feature=call.context.feature,
            tags=call.context.tags,
        )
