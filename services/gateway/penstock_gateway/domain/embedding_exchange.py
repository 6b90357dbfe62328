"""The life of one request for vectors: validate, admit, embed, settle. What a chat has besides does not apply.

::

    exchange = life.begin(call)
    embedded = await exchange.embed()     # settled, exactly once, whatever ended it
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock_common.errors import ModelNotPermitted
from penstock_common.llm.types import UnitPrices, Usage, cost_nano_usd
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.telemetry.steps import Step, end
from penstock_gateway.domain.admission import Door, Limiter, RateState, refusal
from penstock_gateway.domain.chat_call import EndedExchange
from penstock_gateway.domain.embedding_call import EmbeddedTexts, EmbeddingCall, TextEmbedder
from penstock_gateway.domain.exchange import LEASE_MARGIN, Observer
from penstock_gateway.domain.settlement import Ledger, LedgerRow, outcome_of
from penstock_gateway.domain.validation import validate_context, validate_embedding_input


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingParts:
    """What the life of a request for vectors is made of."""

    door: Door
    limiter: Limiter
    embedder: TextEmbedder
    ledger: Ledger
    observer: Observer


class EmbeddingLife:
    """Begins exchanges."""

    def __init__(self, parts: EmbeddingParts, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._monotonic = monotonic

    def begin(self, call: EmbeddingCall) -> EmbeddingExchange:
        """Return the exchange of an authenticated request; nothing happens before it is asked to embed."""
        return EmbeddingExchange(call, self._parts, self._monotonic)


class EmbeddingExchange:
    """One request's life. What the headers say is readable at any time, after a refusal too."""

    def __init__(self, call: EmbeddingCall, parts: EmbeddingParts, monotonic: Callable[[], float]) -> None:
        self.call = call
        self.rate = RateState()
        self.embedded: EmbeddedTexts | None = None
        self._parts = parts
        self._monotonic = monotonic
        self._inside = False
        self._reserved = False
        self._embed_step: Step | None = None

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
        call, parts = self.call, self._parts
        parts.door.enter()
        self._inside = True
        parts.ledger.check_room()
        CURRENT_SCOPE.set(
            RequestScope(
                request_id=call.request_id,
                tenant=call.caller.tenant.name,
                traceparent=call.trace.traceparent,
                deadline=self._monotonic() + call.timeout.total_seconds(),
            )
        )
        with call.steps.step("validate"):
            self._validate()
        with call.steps.step("admit"):
            await self._admit()

    def _validate(self) -> None:
        call = self.call
        validate_embedding_input(call.input)
        validate_context(call.context)
        if not call.caller.may_use(call.input.model):
            model = call.input.model
            raise ModelNotPermitted(f"Your API key may not use the model '{model}'.", model=model)

    async def _admit(self) -> None:
        tenant = self.call.caller.tenant
        verdict = await self._parts.limiter.reserve(tenant, self.call.generation_id, self.call.timeout + LEASE_MARGIN)
        self.rate = verdict.state
        if verdict.refused_by:
            raise refusal(tenant, verdict)
        self._reserved = True

    async def _ask(self) -> EmbeddedTexts:
        with self.call.steps.step("embed", inputs=len(self.call.input.texts)) as step:
            self._embed_step = step
            return await self._parts.embedder.embed(self.call.input, step.children)

    def _settle(self, error: BaseException | None) -> None:
        """Release, bill and report, each exactly once."""
        call, parts = self.call, self._parts
        if self._inside:
            self._inside = False
            parts.door.leave()
        step = call.steps.begin("settle")
        row = self._row(error)
        if self._reserved:
            self._reserved = False
            parts.limiter.release(call.caller.tenant, call.generation_id)
            # Only admitted requests are billed: a flood of refused ones must not fill the ledger.
            parts.ledger.append(row)
        end(step)
        # Callers choose names; only one that was answered is known to be a model's.
        public_model = call.input.model if self.embedded else ""
        parts.observer.ended(EndedExchange(call, row, public_model, call.steps.recorded, step.end_ns, error))

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
