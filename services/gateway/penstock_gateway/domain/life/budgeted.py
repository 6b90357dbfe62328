"""What a chat's life has of limits and money: what it needs, what it may spend, and what it is answered with instead."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.contract.inference import GenerateRequest
from penstock_common.contract.knowledge import SearchResult
from penstock_common.contract.router import RouteRequest, requirements_of
from penstock_common.errors import PenstockError, QuotaExhausted
from penstock_common.llm.estimate import estimated_tokens
from penstock_common.llm.types import STOPPED_BY_BUDGET, Batch, Degradation, GenerationInput, JsonSchema, Plan
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.knowledge_use.query import query_of
from penstock_gateway.domain.life.admission import BudgetReserved, given_back
from penstock_gateway.domain.life.descent import Fallbacks
from penstock_gateway.domain.life.exchange import Exchange
from penstock_gateway.domain.life.ladder import Ladder
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.life.parts import LifeParts
from penstock_gateway.domain.life.ports import AnswerStream
from penstock_gateway.domain.life.progress import NOTHING_OWED, Bill, Progress, and_also, attempts_made
from penstock_gateway.domain.life.retrieval import Grounds, GuardHits
from penstock_gateway.domain.life.seats import Following, Seat
from penstock_gateway.domain.life.sources import AnswerSource, Degraded, Generation, request_of
from penstock_gateway.domain.life.spending import CAPPED, STOPPED, Afforded, Refused, Spending, asked_of, ending
from penstock_gateway.domain.limits.admission import Demand, Standing, Verdict
from penstock_gateway.domain.limits.limit import Measure
from penstock_gateway.domain.limits.meter import OutOfMoney
from penstock_gateway.domain.limits.needs import Asked, dearest
from penstock_gateway.domain.structured.checked import Checked, Held, WantedOtherwise
from penstock_gateway.domain.structured.terms import Told


class BudgetedChat(Exchange[ChatOrder]):
    """A chat, as far as limits and budgets go. A request without any has nothing of this but a few attributes."""

    __slots__ = (
        "_effective", "_owed", "_parts", "_refused", "_retries", "_seat", "_source", "_spend_shadowed", "_spending", "_stream",
        "checked", "degraded", "is_metered", "progress",
    )  # fmt: skip

    def __init__(self, call: Call[ChatOrder], parts: LifeParts) -> None:
        super().__init__(call, parts.visits)
        self.degraded: Degradation | None = None
        """What is given in the place of the model's own answer, known before the first event; None where it is that."""
        self._parts = parts
        self.progress = Progress()
        """Who answers, once known; how the answer ended, once it has; and what lies between."""
        self._effective: GenerationInput = call.order.input
        self._owed: Bill | None = None  # for what nobody else is billed for, nor told of
        self._seat: Seat | None = None
        self._source: AnswerSource | None = None
        self._stream: AnswerStream | None = None
        self.is_metered = False
        """Whether a hard limit of dollars binds it."""
        self.checked: Checked | None = None
        """What holds the answer to its schema, or to rules that have it asked for again; None where nothing does."""
        self._retries: WantedOtherwise | None = None
        self._spending: Spending | None = None
        self._refused: Refused | None = None
        self._spend_shadowed: list[Standing] = []  # of money, by what was demanded at first

    @property
    def to_be_asked(self) -> GenerateRequest | None:
        """What a model is asked once the answer is read; None where the answer comes from elsewhere, or is to be held to rules."""
        return self._source.request if type(self._source) is Generation else None

    @property
    def budget_told(self) -> str:
        """What a budget did to the answer: ``CAPPED``, ``STOPPED``, or nothing."""
        finished = self.progress.finished
        if finished is not None and finished.stopped_by == STOPPED_BY_BUDGET:
            return STOPPED
        return CAPPED if self._spending is not None and self._spending.is_capped else ""

    @property
    def _asked(self) -> Asked:
        return asked_of(self.call.order.input)

    def _freely(self, verdict: Verdict, demand: Demand) -> Demand | None:
        if any(standing.limit.allowance.measure is not Measure.SPEND for standing in verdict.refused_by):
            return None
        # The cache may have the answer, or whoever is asked may cost nothing.
        self._refused = Refused(verdict, demand)
        return Demand(demand.tokens)

    def _told_now(self, verdict: Verdict) -> Verdict:
        # The cache may have the answer, which costs nothing.
        self._spend_shadowed, others = [], []
        for standing in verdict.shadowed:
            (self._spend_shadowed if standing.limit.allowance.measure is Measure.SPEND else others).append(standing)
        self.shadowed = tuple(others)
        return msgspec.structs.replace(verdict, shadowed=self.shadowed)

    def _note_generating(self, plan: Plan, source: AnswerSource) -> None:
        """Tell which shadows of money would have refused a request that was estimated, is to be generated, and follows none."""
        if isinstance(source, Following):
            return
        reserved, needs, prices = self._reserved, self._visits.needs, dearest(plan.prices)
        if reserved is None or prices is None:
            return
        shadowed, demand = self._spend_shadowed, reserved.demand
        if not demand.spend:
            order = self.call.order
            expected, _ = needs.outputs_of(order.tenant, order.input.model, self._asked)
            cost = needs.cost_of(prices, self._asked.input_tokens, expected)
            demand = Demand(demand.tokens, cost, cost)
            shadowed = [each for each in self.standings if _lacks(each, cost)]
        if shadowed:
            self.shadowed = (*self.shadowed, *shadowed)
            if self._visits.note_verdict is not None:
                self._visits.note_verdict(Verdict(self.standings, reserved, shadowed=tuple(shadowed)), demand)

    def _hold(self) -> None:
        reserved, visits = self._reserved, self._visits
        if reserved is not None and reserved.ceiling is not None:
            self.is_metered = True
            self._spending = Spending(visits.limiter, visits.needs, reserved, self.standings, self._refused)
            self._spending.note_verdict = visits.note_verdict

    @property
    def _ladder(self) -> Ladder | None:
        """What stands in for the answer of the request's model, where something may."""
        order = self.call.order
        if not order.may_degrade or order.cache_control.only_if_cached:
            return None
        return self._parts.ladders.by_name.get(order.input.model)

    async def _route(self, effective: GenerationInput, step: Step) -> Plan:
        """Return the request's plan, or raise the domain error that says why there is none."""
        call, forks = self.call, self._parts.forks
        request = RouteRequest(effective.model, requirements_of(effective), call.caller.tenant.regions)
        if effective.model in forks.names:
            request = forks.told(request, effective, call.caller, call.order.context, call.order.policy)
        return await self._parts.router.route(request, step.children)

    async def _generation(self, effective: GenerationInput, plan: Plan, ladder: Ladder | None) -> AnswerSource:
        """Return the source of an answer that is generated now, by another model where budgets have no room for this one.

        Raises:
            QuotaExhausted: if they have none for any.
            RateLimited: if what is left of them is held by others.
        """
        request, generator = request_of(self.call.order, effective, plan), self._parts.generator
        if self._is_estimated:
            self._note_prices(plan)
        if self._spending is None:
            return self._maybe_checked(Generation(generator, request, ladder), effective)
        self._note_spent()
        try:
            asked = await self._spending.afford(request, effective.model)
        except (QuotaExhausted, BudgetReserved):
            instead = await self._instead(effective, self._spending)
            if instead is None:
                self._give_up()
                raise
            self.degraded = Degradation.BUDGET
            return Degraded(Generation(generator, instead.request, ladder, instead.meter), Degradation.BUDGET, 0)
        return self._maybe_checked(Generation(generator, asked.request, ladder, asked.meter), effective)

    def _maybe_checked(self, generation: Generation, effective: GenerationInput) -> AnswerSource:
        """Return the source of an answer that its schema, or rules, may have asked for again, where there are any."""
        if (effective.response_format is None and self._retries is None) or (effective.sampling.choices or 1) > 1:
            return generation
        held = None if effective.response_format is None else self._held_to_schema(effective)
        if held is None and self._retries is None:
            return generation
        self.checked = Checked(generation, held, self._retries)
        return self.checked

    def _held_to_schema(self, effective: GenerationInput) -> Held | None:
        """Return what the answer's schema holds it to; None where the model's answers are not checked."""
        structured, wanted, model = self._parts.structured, effective.response_format, self.call.order.input.model
        terms = None if structured is None else structured.by_name.get(model)
        if structured is None or terms is None or wanted is None:
            return None
        schema = structured.make(wanted)
        if schema is None:
            structured.note(model, Told.UNCHECKED)
            return None
        schema_json = wanted.schema_json if isinstance(wanted, JsonSchema) else ""

        def note(told: Told) -> None:
            structured.note(model, told)

        return Held(schema, schema_json, terms, note)

    async def _instead(self, effective: GenerationInput, spending: Spending) -> Afforded | None:
        """Return what the model is asked that the configuration names for this; None where there is none that can be paid."""
        call, parts = self.call, self._parts
        model = parts.ladders.on_budget.get(call.order.input.model) if call.order.may_degrade else None
        if model is None or not call.caller.may_use(model):
            return None
        step = self._steps.next("degrade.budget")
        request = msgspec.structs.replace(effective, model=model)
        try:
            plan = await self._route(request, step)
            return await spending.afford(request_of(call.order, request, plan), model)
        except PenstockError as error:
            step.attributes = {"result": "skipped", "reason": error.message}
            return None

    def _give_up(self) -> None:
        """Give back what was taken of the limits: the request is refused as if it had been at once, but for what it owes."""
        if self._owed is not None:
            return
        reserved, self._reserved, self._is_admitted = self._reserved, None, False
        if reserved is not None:
            self._visits.limiter.cancel(reserved)
            self.standings = given_back(self.standings, reserved.demand)

    def hand_over(self) -> None:
        """Have others answer it later: nothing is used now, but what it owes, and nobody hears of it."""
        self.is_handed_over = True
        self._give_up()

    async def _search(self, asked: GenerationInput) -> Grounds:
        """Return what the answer is to rest on, where budgets have room for the search.

        Raises:
            QuotaExhausted: if they have none.
            RateLimited: if what is left of them is held by others.
        """
        retrieval, spending = self._parts.retrieval, self._spending
        if spending is not None:
            bases, tokens = retrieval.bases_of(self.call.order), estimated_tokens(query_of(asked.messages))
            try:
                await spending.afford_search(bases, tokens)
            except (QuotaExhausted, BudgetReserved):
                self._give_up()
                raise
        return await retrieval.grounds(asked, self.call, self._note_search, self._guard_of_hits())

    def _guard_of_hits(self) -> GuardHits | None:
        """Return what makes of hits what the model may see; None where that is all of them as they are."""
        return None

    def _note_search(self, found: SearchResult) -> None:
        if found.query_cost_nano_usd:
            self._owe(Bill(cost_nano_usd=found.query_cost_nano_usd))
        if self._spending is not None:
            self._visits.needs.note_search(self.call.order.tenant, found)

    def _owe(self, bill: Bill) -> None:
        """Take in what is to be paid whatever becomes of the request."""
        self._owed = bill if self._owed is None else and_also(bill, self._owed)

    def _note_spent(self, bill: Bill = NOTHING_OWED) -> None:
        """Have what is asked next paid for beside a bill, and beside what is owed whatever is asked."""
        if self._spending is not None:
            self._spending.spent = bill.cost_nano_usd + (0 if self._owed is None else self._owed.cost_nano_usd)

    def _note_prices(self, plan: Plan) -> None:
        prices = dearest(plan.prices)
        if prices is not None:
            self._visits.needs.note_prices(self.call.order.input.model, prices)

    async def _run_out(self, cause: OutOfMoney) -> Batch:
        """Return the end of an answer that its budgets have nothing left for, once nobody works on it.

        Raises:
            QuotaExhausted: if nothing of it was given yet.
        """
        if self._seat is not None:
            await self._seat.leave(cause)
        if self._stream is not None:
            await self._stream.aclose()
        attempts, progress, spending, request = self._attempts(), self.progress, self._spending, self._effective
        self._note_what_is_owed(attempts)
        generated = self._generated()
        if generated is not progress:
            generated.note_ended(attempts)
        if progress.started is None:
            assert spending is not None, "only what is metered runs out of money"
            raise spending.refused(1)
        made = attempts_made(attempts, progress)
        end = ending(progress, generated.bill(request), made, request.sampling.choices or 1)
        progress.note(end)
        return end

    def _generated(self) -> Progress:
        """Return what was generated of the answer, whatever the caller has seen of it."""
        return self.progress

    def _attempts(self) -> Sequence[Step]:
        """Return the attempts made so far, at whatever model."""
        raise NotImplementedError

    def _note_what_is_owed(self, attempts: Sequence[Step]) -> None:
        """Take in what inference alone knows of an answer that was ended."""
        raise NotImplementedError

    def _fallbacks(self) -> Fallbacks:
        """Return who is asked in the place of a model that cannot answer."""
        parts = self._parts
        afford = None if self._spending is None else self._spending.afford
        return Fallbacks(parts.router, parts.generator, parts.cache, parts.forks, afford)

    def _note_use(self) -> None:
        finished, usage = self.progress.finished, self.progress.usage
        if finished is None or usage is None or usage.estimated or finished.stopped_by or not finished.attempts:
            return
        order, meter = self.call.order, None if self._spending is None else self._spending.meter
        choices = order.input.sampling.choices or 1
        seen = None if meter is None or not meter.tokens else meter.tokens // choices
        self._visits.needs.note_answer(order.tenant, order.input.model, usage.output_tokens // choices, seen)


def _lacks(standing: Standing, cost: int) -> bool:
    """Return whether a shadow of money has less left than a request costs that holds nothing of it."""
    limit = standing.limit
    if not cost or not limit.shadow or limit.allowance.measure is not Measure.SPEND:
        return False
    return standing.spent + standing.reserved + cost > limit.allowance.amount
