"""What every request goes through, whatever it asks for: the door, its place among its tenant's, its bill."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from penstock_common.errors import ModelNotPermitted
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.telemetry.steps import Step, end
from penstock_gateway.domain.admission import Door, Limiter, RateState, refusal
from penstock_gateway.domain.chat_call import ChatCall, EndedExchange
from penstock_gateway.domain.embedding_call import EmbeddingCall
from penstock_gateway.domain.settlement import Ledger, LedgerRow
from penstock_gateway.domain.validation import validate_context

# A place among the concurrent requests outlives the request by this much, should its process die.
LEASE_MARGIN = timedelta(seconds=5)


class Observer(Protocol):
    """Turns ended requests into metrics, spans and logs."""

    def ended(self, exchange: EndedExchange) -> None:
        """See one request end; never raises, returns at once."""
        ...

    def turned_away(self, surface: str, error: BaseException) -> None:
        """See a request refused before its caller was known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitParts:
    """What requests go through and leave their traces in."""

    door: Door
    limiter: Limiter
    ledger: Ledger
    observer: Observer


class Visit:
    """One request inside, in this order: enter, check, reserve; then leave and settle, once, whatever ended it."""

    def __init__(self, call: ChatCall | EmbeddingCall, parts: VisitParts) -> None:
        self.rate = RateState()
        """Where the tenant stands, once a place was asked for."""
        self._call = call
        self._parts = parts
        self._is_inside = False
        self._is_admitted = False
        self._settling: Step | None = None

    def enter(self) -> None:
        """Come in; what the request starts from here on is done in its scope.

        Raises:
            Overloaded: if the process ends, is full, or cannot write bills.
        """
        call, parts = self._call, self._parts
        parts.door.enter()
        self._is_inside = True
        parts.ledger.check_room()
        CURRENT_SCOPE.set(
            RequestScope(
                request_id=call.request_id,
                tenant=call.caller.tenant.name,
                traceparent=call.trace.traceparent,
                deadline=time.monotonic() + call.timeout.total_seconds(),
            )
        )

    def check(self) -> None:
        """Check what all requests have.

        Raises:
            InvalidRequest: if its context breaks a limit.
            ModelNotPermitted: if the key may not use the model.
        """
        call = self._call
        validate_context(call.context)
        if not call.caller.may_use(call.input.model):
            model = call.input.model
            raise ModelNotPermitted(f"Your API key may not use the model '{model}'.", model=model)

    async def reserve(self) -> None:
        """Take a place among the tenant's requests.

        Raises:
            RateLimited: if a limit of the tenant's tier is reached.
        """
        call = self._call
        tenant = call.caller.tenant
        verdict = await self._parts.limiter.reserve(tenant, call.generation_id, call.timeout + LEASE_MARGIN)
        self.rate = verdict.state
        if verdict.refused_by:
            raise refusal(tenant, verdict)
        self._is_admitted = True

    def leave(self) -> None:
        """Give the places back; settling begins."""
        self._settling = self._call.steps.begin("settle")
        if self._is_inside:
            self._is_inside = False
            self._parts.door.leave()
        if self._is_admitted:
            self._parts.limiter.release(self._call.caller.tenant, self._call.generation_id)

    def settle(self, row: LedgerRow, public_model: str, error: BaseException | None) -> None:
        """Bill and report. ``public_model`` is the name asked for, where it is known to be a model's."""
        assert self._settling is not None, "settled before it has left"
        if self._is_admitted:
            # Only admitted requests are billed: a flood of refused ones must not fill the ledger.
            self._parts.ledger.append(row)
        end(self._settling)
        call = self._call
        self._parts.observer.ended(
            EndedExchange(call, row, public_model, call.steps.recorded, self._settling.end_ns, error)
        )
