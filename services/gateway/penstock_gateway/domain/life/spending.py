"""What a chat does about the budgets that bind it: it is asked for no more than they pay for, and ends where they do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec

from penstock_common.contract.inference import GenerateRequest
from penstock_common.errors import ModelNotPermitted, PenstockError
from penstock_common.llm.estimate import estimated_input_tokens
from penstock_common.llm.types import (
    STOPPED_BY_BUDGET,
    Batch,
    ChoiceFinished,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationInput,
)
from penstock_gateway.domain.life.admission import budget_refusal, refusal
from penstock_gateway.domain.life.progress import Bill, Progress
from penstock_gateway.domain.limits.admission import Demand, Limiter, Reservation, Standing, Verdict
from penstock_gateway.domain.limits.limit import Measure
from penstock_gateway.domain.limits.meter import Meter
from penstock_gateway.domain.limits.needs import Asked, Needs, dearest

CAPPED, STOPPED = "capped", "stopped"
"""What a header says: a model was asked for less than the caller had, or was ended."""


class Afforded(NamedTuple):
    """What inference is asked, and what meters its answer; None where nothing of it costs anything, or nobody knows what."""

    request: GenerateRequest
    meter: Meter | None


class Refused(NamedTuple):
    """What was demanded at first, and what refused it, of a request that was let in for what costs nothing alone."""

    verdict: Verdict
    demand: Demand


Afford = Callable[[GenerateRequest, str], Awaitable[Afforded]]
"""Takes what inference would be asked, and a public model's name; raises what refuses it."""


def asked_of(request: GenerationInput) -> Asked:
    """Return what a chat's needs follow from."""
    sampling = request.sampling
    return Asked(estimated_input_tokens(request), sampling.max_output_tokens, sampling.choices or 1)


class Spending:
    """One chat's part of its budgets: as much as its reservation holds, and more where they have room."""

    def __init__(
        self,
        limiter: Limiter,
        needs: Needs,
        reservation: Reservation,
        standings: Sequence[Standing],
        refused: Refused | None,
    ) -> None:
        self._limiter = limiter
        self._needs = needs
        self._reservation = reservation
        self._standings = tuple(standings)
        self._refused = refused
        self._ceiling = reservation.ceiling or 0
        self.meter: Meter | None = None
        """Of whoever was asked last."""
        self.spent = 0
        """Nano-dollars that are owed already, whatever is asked next."""
        self.note_verdict: Callable[[Verdict, Demand], None] | None = None
        """Sees what is refused after the request was let in."""
        self.is_capped = False
        """Whether a model was asked for less than the caller had asked for."""

    async def afford(self, request: GenerateRequest, model: str) -> Afforded:
        """Return how ``request`` can be paid for; ``model`` is the public one that it goes to.

        Raises:
            QuotaExhausted: if a budget is spent.
            RateLimited: if what is left of it is held by others.
            ModelNotPermitted: if nobody knows what the model costs, and that is not allowed.
        """
        needs, prices = self._needs, dearest(request.plan.prices)
        if prices is None:
            if needs.terms.allows_unknown_prices:
                return Afforded(request, None)
            raise unknown_price(model)
        asked, before = asked_of(request.input)._replace(owed_nano_usd=self.spent), self.meter
        meter = Meter(self._limiter, self._reservation, needs, prices, asked)
        meter.ceiling = self._ceiling if before is None else before.ceiling
        self.meter = meter
        if meter.is_free:
            return Afforded(request, None)
        expected, most = needs.outputs_of(self._reservation.tenant, model, asked)
        if not await meter.cover(expected):
            raise self.refused(self.spent + needs.cost_of(prices, asked.input_tokens, expected))
        # Of an answer that comes in one piece nothing is known before its end.
        request = msgspec.structs.replace(request, whole=False)
        if meter.ceiling - self.spent < 2 * needs.cost_of(prices, asked.input_tokens, expected):
            # There is nothing left that would pay for another attempt beside the first.
            request = msgspec.structs.replace(request, may_hedge=False, may_recover=False)
        if needs.hides_output(model) and not await meter.cover(most):
            request = self._capped(request, meter, asked)
        return Afforded(request, meter)

    async def afford_search(self, bases: Sequence[str], tokens: int) -> None:
        """Have the search of a question of so many tokens paid for, as far as anybody knows what it costs.

        Raises:
            QuotaExhausted: if a budget is spent.
            RateLimited: if what is left of it is held by others.
        """
        needed = self._needs.search_cost_of(self._reservation.tenant, bases, tokens)
        if needed > self._ceiling:
            self._ceiling += await self._limiter.extend(self._reservation, needed - self._ceiling)
        if needed > self._ceiling:
            raise self.refused(needed)

    def refused(self, needed: int) -> PenstockError:
        """Return the error of a request that needs so many nano-dollars, and has not got them."""
        terms = self._needs.terms
        if self._refused is not None:
            return refusal(*self._refused, discloses_amounts=terms.discloses_amounts)
        budgets = [
            each for each in self._standings if each.limit.allowance.measure is Measure.SPEND and not each.limit.shadow
        ]
        broke = [each for each in budgets if each.remaining < needed] or [min(budgets, key=lambda each: each.remaining)]
        is_held = all(each.spent + needed <= each.limit.allowance.amount for each in broke)
        if self.note_verdict is not None:
            verdict = Verdict(self._standings, refused_by=tuple(broke), held_by_others=is_held)
            self.note_verdict(verdict, Demand(spend=needed, most=needed))
        return budget_refusal(broke, is_held=is_held, discloses_amounts=terms.discloses_amounts, needed=needed)

    def _capped(self, request: GenerateRequest, meter: Meter, asked: Asked) -> GenerateRequest:
        """Return the request for no longer an answer than is paid for: what cannot be seen coming cannot be ended in time."""
        affordable = meter.affordable_tokens
        if affordable is None:
            return request
        self.is_capped = True
        sampling = msgspec.structs.replace(
            request.input.sampling, max_output_tokens=max(1, affordable // asked.choices)
        )
        return msgspec.structs.replace(request, input=msgspec.structs.replace(request.input, sampling=sampling))


def unknown_price(model: str) -> ModelNotPermitted:
    """Return the error of a request that a budget binds, for a model that has no price."""
    return ModelNotPermitted(
        f"Nobody knows what the model '{model}' costs, and a budget binds this request. The operator gives the model a price, "
        "which may be 0, or allows it by 'admission.unknown_price'.",
        model=model,
    )


def ending(progress: Progress, bill: Bill, attempts: int, choices: int) -> Batch:
    """Return the end of an answer that ran out of money: complete as far as it came, and marked."""
    answered_by = progress.answered_by
    assert answered_by is not None, "an answer is only ended that has begun"
    ended = {event.choice for event in progress.events if isinstance(event, ChoiceFinished)}
    events: list[GenerationEvent] = [
        ChoiceFinished(choice=choice, reason=FinishReason.LENGTH) for choice in range(1, choices) if choice not in ended
    ]
    finished = Finished(
        reason=FinishReason.LENGTH,
        answered_by=answered_by,
        attempts=attempts,
        cost_nano_usd=bill.cost_nano_usd,
        unit_prices=bill.unit_prices,
        stopped_by=STOPPED_BY_BUDGET,
    )
    return (*events, bill.usage, finished)
