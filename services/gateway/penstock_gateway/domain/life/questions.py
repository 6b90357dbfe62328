"""The life of one question that is no conversation: validate, admit, route, ask, settle.

::

    exchange = life.rerank(call)
    async with exchange:                      # raises whatever refuses the request
        ranked = await exchange.ask()
    # settled, exactly once, whatever ended it

What is judged passes no guardrail, and nothing is kept of it: an answer is a
verdict about these words, and not words.
"""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar, Generic, TypeVar

import msgspec

from penstock_common.contract.questions import (
    AnsweredQuestion,
    ModeratedText,
    ModerateRequest,
    ModerateResponse,
    RerankRequest,
    RerankResponse,
)
from penstock_common.contract.router import Requirements, RouteRequest
from penstock_common.errors import DeadlineExceeded, ModelNotFound, PenstockError
from penstock_common.llm.estimate import estimated_tokens
from penstock_common.llm.types import Candidate, Plan, UnitPrices, Usage, cost_nano_usd
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.life.exchange import Exchange, VisitParts
from penstock_gateway.domain.life.order import Call, ModerationOrder, RerankOrder
from penstock_gateway.domain.life.outcome import Outcome
from penstock_gateway.domain.life.ports import QuestionAnswerer, Router
from penstock_gateway.domain.life.progress import NOTHING_OWED, Bill
from penstock_gateway.domain.life.question_bounds import validate_moderation, validate_rerank
from penstock_gateway.domain.life.spending import unknown_price
from penstock_gateway.domain.limits.admission import Demand
from penstock_gateway.domain.limits.limit import Limit, Measure
from penstock_gateway.domain.limits.needs import Asked, binding_of, dearest

OrderT = TypeVar("OrderT", RerankOrder, ModerationOrder)
ResponseT = TypeVar("ResponseT", RerankResponse, ModerateResponse)


class QuestionParts(msgspec.Struct, frozen=True):
    """Who says which models may answer, and who asks them."""

    router: Router
    answerer: QuestionAnswerer


class QuestionLife:
    """Begins exchanges."""

    def __init__(self, visits: VisitParts, parts: QuestionParts) -> None:
        self._visits = visits
        self._parts = parts

    def rerank(self, call: Call[RerankOrder]) -> RerankExchange:
        """Return the exchange of an authenticated request; nothing happens before it is entered."""
        return RerankExchange(call, self._visits, self._parts)

    def moderate(self, call: Call[ModerationOrder]) -> ModerationExchange:
        """Return the exchange of an authenticated request; nothing happens before it is entered."""
        return ModerationExchange(call, self._visits, self._parts)


class QuestionExchange(Exchange[OrderT], Generic[OrderT, ResponseT]):
    """One question's life."""

    operation: ClassVar[str]
    """What was asked for, in the ledger's word, and the capability that a model must have for it."""

    def __init__(self, call: Call[OrderT], visits: VisitParts, parts: QuestionParts) -> None:
        super().__init__(call, visits)
        self._parts = parts
        self._plan: Plan | None = None
        self._asking: Step | None = None
        self._tokens = 0
        self._owed = NOTHING_OWED
        self._left_with: Candidate | None = None
        self.response: ResponseT | None = None

    @property
    def answered(self) -> AnsweredQuestion | None:
        """Who answered, once somebody has."""
        return None if self.response is None else self.response.answered

    @property
    def bill(self) -> Bill:
        """What is owed so far."""
        answered = self.answered
        if answered is None:
            return self._owed
        usage = Usage(input_tokens=answered.input_tokens, estimated=answered.is_estimated)
        return Bill(usage, answered.unit_prices, answered.cost_nano_usd)

    async def ask(self) -> ResponseT:
        """Return the answer; asked once.

        Raises:
            PenstockError: whatever fails the request.
        """
        plan = await self._routed()
        with self._steps.step(self.operation) as step:
            self._asking = step
            try:
                response = self.response = await self._ask(plan, step.children)
            except (asyncio.CancelledError, DeadlineExceeded):
                self._note_left(plan)
                raise
        return response

    async def _ask(self, plan: Plan, steps: list[Step]) -> ResponseT:
        """Have the question asked."""
        raise NotImplementedError

    def _validate(self) -> int:
        """Check the bounds of what is asked, and return about how many tokens it has."""
        raise NotImplementedError

    async def _prepare(self) -> None:
        self._steps.next("validate")
        self._tokens = self._validate()
        self._check()
        self._steps.next("admit")
        await self._reserve()
        self._steps.stop()

    async def _routed(self) -> Plan:
        if self._plan is None:
            with self._steps.step("route") as step:
                needs = Requirements(frozenset({self.operation}))
                order, regions = self.call.order, self.call.caller.tenant.regions
                request = RouteRequest(order.input.model, needs, regions, tenant=order.tenant)
                self._plan = await self._parts.router.route(request, step.children)
        return self._plan

    @property
    def _asked(self) -> Asked:
        return Asked(self._tokens, has_answer=False)

    async def _demand(self, limits: tuple[Limit, ...]) -> Demand:
        """Return what the request is expected to use: at most what its dearest candidate charges for the input.

        Raises:
            ModelNotPermitted: if nobody knows what the model costs, a budget binds the request, and that is not allowed.
        """
        demand, needs = await super()._demand(limits), self._visits.needs
        if not binding_of(limits).spend:
            return demand
        plan = await self._routed()
        prices = dearest(plan.prices)
        if prices is None:
            if needs.terms.allows_unknown_prices or all(
                each.shadow for each in limits if each.allowance.measure is Measure.SPEND
            ):
                return demand
            raise unknown_price(self.call.order.input.model)
        cost = needs.cost_of(prices, self._tokens, 0)
        return Demand(demand.tokens, cost, cost)

    def _note_left(self, plan: Plan) -> None:
        """Take it that the first candidate was sent all of what nobody waits for any more."""
        if plan.candidates:
            usage = Usage(input_tokens=self._tokens, estimated=True)
            prices = plan.prices[0] if plan.prices else UnitPrices(is_unknown=True)
            self._owed = Bill(usage, prices, cost_nano_usd(usage, prices))
            self._left_with = plan.candidates[0]

    def _outcome(self) -> Outcome:
        answered = self.answered
        answered_by = self._left_with if answered is None else answered.answered_by
        return Outcome(
            operation=self.operation,
            bill=self.bill,
            # Callers choose names; only one that has a plan is known to be a model's.
            public_model=self.call.order.input.model if self._plan is not None else "",
            answered_by=answered_by,
            attempts=answered.attempts if answered is not None else self._attempts_made(),
        )

    def _attempts_made(self) -> int:
        return 0 if self._asking is None else sum(step.name == "attempt" for step in self._asking.children)

    def _was_refused(self, error: PenstockError) -> bool:
        return self._asking is None or isinstance(error, ModelNotFound)

    def _waiting_ns(self) -> int:
        step = self._asking
        return (step.end_ns or time.time_ns()) - step.start_ns if step is not None else 0


class RerankExchange(QuestionExchange[RerankOrder, RerankResponse]):
    """How well documents answer a query."""

    operation = "rerank"

    async def _ask(self, plan: Plan, steps: list[Step]) -> RerankResponse:
        order, value = self.call.order, self.call.order.input
        request = RerankRequest(
            query=value.query,
            documents=value.documents,
            plan=plan,
            top_n=value.top_n or 0,
            max_tokens_per_document=value.max_tokens_per_document,
            priority=order.priority,
        )
        return await self._parts.answerer.rerank(request, steps)

    def _validate(self) -> int:
        value = self.call.order.input
        validate_rerank(value)
        # Each document is read with the query before it.
        return estimated_tokens(value.query) * len(value.documents) + sum(map(estimated_tokens, value.documents))


class ModerationExchange(QuestionExchange[ModerationOrder, ModerateResponse]):
    """What is objectionable about contents."""

    operation = "moderation"

    async def _ask(self, plan: Plan, steps: list[Step]) -> ModerateResponse:
        order = self.call.order
        return await self._parts.answerer.moderate(ModerateRequest(order.input.contents, plan, order.priority), steps)

    def _validate(self) -> int:
        value = self.call.order.input
        validate_moderation(value)
        parts = [part for content in value.contents for part in content.parts]
        return sum(estimated_tokens(part.text) for part in parts if isinstance(part, ModeratedText))
