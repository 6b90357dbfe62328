"""Carries batches on as jobs are run: an attempt is a step, and the job waits for the next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from penstock_gateway.domain.access.asker import Asker
from penstock_gateway.domain.access.holders import Holders
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.access.policy import INFERENCE
from penstock_gateway.domain.batches.batch import Batch
from penstock_gateway.domain.batches.carrying import BatchCarrier
from penstock_gateway.domain.batches.ports import CarriedElsewhere, FindCaller
from penstock_gateway.domain.jobs.executing import Attempt, NotYet
from penstock_gateway.domain.jobs.orders import BatchOrder
from penstock_gateway.domain.jobs.results import AnyResult, BatchResult

# It was changed in between, by a word to cancel it most likely.
_CHANGED = timedelta(milliseconds=50)


class BatchExecution:
    """Implements ``Execution``."""

    def __init__(self, carrier: BatchCarrier) -> None:
        self._carrier = carrier

    async def run(self, attempt: Attempt) -> AnyResult:
        """Do what there is to do now; see the port."""
        order, job = attempt.order, attempt.job
        assert isinstance(order, BatchOrder), "a job whose kind is not its order's"
        try:
            again = await self._carrier.carry(order.batch, job.epoch, order.asker)
        except CarriedElsewhere:
            again = datetime.now(UTC) + _CHANGED
        if again is not None:
            raise NotYet(again)
        return BatchResult()


def finding(holders: Holders) -> FindCaller:
    """Return what finds whose batch one is now."""

    async def find(batch: Batch, asker: Asker | None) -> Caller:
        caller = await holders.caller(batch.tenant, batch.key_id, asker)
        INFERENCE.require(caller.scopes)
        return caller

    return find
