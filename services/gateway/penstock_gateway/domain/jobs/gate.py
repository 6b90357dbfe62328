"""What is checked of a request when it becomes a job: all that would refuse it whenever it were begun.

What may have changed by then is checked again when it begins, by the life that
it has then; limits that only make it wait are no reason to refuse it now.
"""

from __future__ import annotations

from datetime import timedelta

from penstock_common.errors import InvalidRequest, ModelNotPermitted
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.jobs.orders import AnyOrder, IngestOrder
from penstock_gateway.domain.life.admission import budget_refusal
from penstock_gateway.domain.life.order import ChatOrder, EmbeddingOrder
from penstock_gateway.domain.life.validation import validate_context, validate_embedding_input, validate_input
from penstock_gateway.domain.limits.admission import Limiter, Standing
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.domain.limits.limit import Measure
from penstock_gateway.domain.models import ModelDirectory


class Gate:
    """Lets requests become jobs."""

    def __init__(self, models: ModelDirectory, book: LimitBook, limiter: Limiter) -> None:
        self._models = models
        self._book = book
        self._limiter = limiter

    async def check(self, caller: Caller, order: AnyOrder, deadline: timedelta) -> None:
        """Check a request whose job would have until ``deadline`` from now.

        Raises:
            InvalidRequest: if a field is out of bounds.
            ModelNotFound, ModelNotPermitted: if there is no such model, or the key may not use it.
            QuotaExhausted: if a budget is spent that does not begin anew before the deadline.
        """
        validate_context(order.context)
        if isinstance(order, ChatOrder):
            validate_input(order.input, may_be_empty=order.prompt is not None)
            model = order.input.model
        elif isinstance(order, EmbeddingOrder):
            validate_embedding_input(order.input)
            model = order.input.model
        elif isinstance(order, IngestOrder):
            if not order.request.content:
                raise InvalidRequest("ingest.content must hold the document.", field="ingest.content")
            return
        else:
            return
        if model or isinstance(order, ChatOrder):
            await self._check_model(caller, model)
        limits = self._book.limits_of(caller, model, order.context.feature)
        if any(limit.allowance.measure is Measure.SPEND and not limit.shadow for limit in limits):
            self._check_budgets(await self._limiter.standings(limits), deadline)

    async def _check_model(self, caller: Caller, model: str) -> None:
        if not caller.may_use(model):
            raise ModelNotPermitted(f"Your API key may not use the model '{model}'.", model=model)
        await self._models.find(caller, model)

    def _check_budgets(self, standings: tuple[Standing, ...], deadline: timedelta) -> None:
        spent = [
            standing
            for standing in standings
            if standing.limit.allowance.measure is Measure.SPEND
            and not standing.limit.shadow
            and not standing.remaining
            and not standing.reserved
            and standing.reset > deadline
        ]
        if spent:
            raise budget_refusal(spent, is_held=False)
