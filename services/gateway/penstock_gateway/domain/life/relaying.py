"""The life of a request that passes to an upstream as it is: find, admit, pass on, settle.

::

    exchange = life.begin(call)
    async with exchange:                      # raises whatever refuses the request
        async for message in exchange.answer(pieces):
            ...
    # settled, exactly once, whatever ended it

Nothing of either body is looked at, kept or judged: what passes so is under keys,
limits and the ledger, and under no guardrail.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from http import HTTPStatus

from penstock_common.contract.relay import (
    NOT_SENT,
    RELAY_STEP,
    RelayRequest,
    RelayResponse,
    RelayResponseHead,
    RelayTerms,
)
from penstock_common.errors import DeadlineExceeded, InternalError, InvalidRequest, PenstockError
from penstock_common.llm.types import Candidate, UnitPrices
from penstock_common.prices import UNKNOWN_PRICES
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.life.exchange import Exchange, VisitParts
from penstock_gateway.domain.life.order import Call, RawOrder
from penstock_gateway.domain.life.outcome import Outcome
from penstock_gateway.domain.life.ports import Relay
from penstock_gateway.domain.life.progress import NOTHING_OWED, Bill
from penstock_gateway.domain.life.spending import unknown_price
from penstock_gateway.domain.limits.admission import Demand
from penstock_gateway.domain.limits.limit import Limit, Measure
from penstock_gateway.domain.limits.needs import Asked, binding_of

PASSTHROUGH = "passthrough"
"""What the ledger says was asked for, and the scope that a key needs."""


def name_of(upstream: str) -> str:
    """Return how keys and limits name what passes to an upstream, as they name models."""
    return f"{PASSTHROUGH}:{upstream}"


class RelayLife:
    """Begins exchanges."""

    def __init__(self, visits: VisitParts, relay: Relay) -> None:
        self._visits = visits
        self._relay = relay

    def begin(self, call: Call[RawOrder]) -> RelayExchange:
        """Return the exchange of an authenticated request; nothing happens before it is entered."""
        return RelayExchange(call, self._visits, self._relay)


class RelayExchange(Exchange[RawOrder]):
    """One request's life."""

    def __init__(self, call: Call[RawOrder], visits: VisitParts, relay: Relay) -> None:
        super().__init__(call, visits)
        self._relay = relay
        self.terms = RelayTerms("")
        """Under which it passes, once it may."""
        self.status = 0
        """The answer's, once it is there."""
        self._passing: Step | None = None
        self._is_sent = False

    @property
    def bill(self) -> Bill:
        """What is owed so far: one request's price from the moment it is sent, unless the upstream refuses it."""
        if not self._is_sent or self.status >= HTTPStatus.BAD_REQUEST:
            return NOTHING_OWED
        price = self.terms.price_nano_usd
        return (
            Bill(unit_prices=UNKNOWN_PRICES) if price is None else Bill(cost_nano_usd=price, unit_prices=UnitPrices())
        )

    async def answer(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[RelayResponse]:
        """Yield the answer's head, and its pieces as they come; asked once.

        Raises:
            PenstockError: whatever fails the exchange, or the pieces.
        """
        head = self.call.order.input.head
        with self._steps.step(PASSTHROUGH, pattern=self.terms.pattern) as step:
            self._passing, self._is_sent = step, True
            answer = self._relay.exchange(_messages(head, pieces), step.children)
            try:
                async for message in answer:
                    self._note(message)
                    yield message
            except PenstockError as error:
                self._is_sent = bool(self.status) or _was_sent(error, step.children)
                raise
            finally:
                await answer.aclose()

    def _note(self, message: RelayResponse) -> None:
        if isinstance(message, RelayResponseHead):
            self.status = message.status

    async def _prepare(self) -> None:
        self._steps.next("validate")
        self._check()
        self.terms = await self._relay.find(self.call.order.input.head.place)
        self._steps.next("admit")
        await self._reserve()
        self._steps.stop()

    @property
    def _asked(self) -> Asked:
        return Asked(0, has_answer=False)

    async def _demand(self, limits: tuple[Limit, ...]) -> Demand:
        """Return what the request costs.

        Raises:
            ModelNotPermitted: if nobody knows, a budget binds the request, and that is not allowed.
        """
        price = self.terms.price_nano_usd
        if not binding_of(limits).spend:
            return Demand(0)
        if price is not None:
            return Demand(0, price, price)
        if self._visits.needs.terms.allows_unknown_prices or all(
            each.shadow for each in limits if each.allowance.measure is Measure.SPEND
        ):
            return Demand(0)
        raise unknown_price(self.call.order.input.model)

    def _outcome(self) -> Outcome:
        order, is_sent = self.call.order, self._is_sent
        upstream = order.input.head.place.upstream
        return Outcome(
            operation=PASSTHROUGH,
            bill=self.bill,
            # Callers choose names; only one that was found is known to be an upstream's.
            public_model=order.input.model if self.terms.pattern else "",
            answered_by=Candidate(upstream, f"{order.input.head.place.method} {self.terms.pattern}")
            if is_sent
            else None,
            finish_reason=str(self.status) if self.status else "",
            attempts=1 if is_sent else 0,
        )

    def _was_refused(self, error: PenstockError) -> bool:
        return not self._is_sent

    def _waiting_ns(self) -> int:
        step = self._passing
        return (step.end_ns or time.time_ns()) - step.start_ns if step is not None else 0


def _was_sent(error: PenstockError, steps: list[Step]) -> bool:
    """Return whether the upstream was sent a request that ``error`` ended before its answer came.

    Whoever leaves or has no time left hears no more of that: it counts as sent.
    """
    if isinstance(error, DeadlineExceeded | InternalError):
        return True
    if isinstance(error, InvalidRequest):
        # A body that breaks off or is too large makes no request of it.
        return False
    return any(step.name == RELAY_STEP and NOT_SENT not in step.attributes for step in steps)


async def _messages(head: RelayRequest, pieces: AsyncIterator[bytes]) -> AsyncGenerator[RelayRequest]:
    yield head
    async for piece in pieces:
        yield piece
