"""The bill of an attempt whose worker died: what it told before is known, so what that has cost is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from penstock_common.errors import PenstockError
from penstock_common.llm.types import Finished, GenerationEvent, Started
from penstock_gateway.domain.access.holders import Holders
from penstock_gateway.domain.jobs.events import Ended, Generated, NumberedEvent, PutBack, Redriven
from penstock_gateway.domain.jobs.executing import generation_id_of
from penstock_gateway.domain.jobs.job import WORKER_LOST, Job
from penstock_gateway.domain.jobs.orders import UnknownForm, order_of
from penstock_gateway.domain.jobs.ports import JobStore
from penstock_gateway.domain.life.order import ChatOrder, EmbeddingOrder
from penstock_gateway.domain.life.progress import NOTHING_OWED, owed_for
from penstock_gateway.domain.life.settlement import WORKER_LOST as LOST
from penstock_gateway.domain.life.settlement import Ledger, LedgerRow

_READ = 500


class LostAttempts:
    """Writes the ledger's rows of attempts that nobody else will.

    Each has the id that its worker would have written it under: where that did so after all, its row stands, and so
    does this one where it comes later.
    """

    def __init__(self, store: JobStore, holders: Holders, ledger: Ledger) -> None:
        self._store = store
        self._holders = holders
        self._ledger = ledger

    async def bill(self, job: Job) -> None:
        """Write the row of a job's newest attempt, which is lost; a job that asks no model has none.

        Raises:
            ServiceUnavailable: if the database does not answer.
        """
        content = await self._store.order(job)
        if content is None:
            return
        try:
            order = order_of(job.kind, content)
        except UnknownForm:
            return
        if isinstance(order, ChatOrder | EmbeddingOrder):
            self._ledger.append(await self._row(job, order))

    async def _row(self, job: Job, order: ChatOrder | EmbeddingOrder) -> LedgerRow:
        given = tuple(await self._given(job))
        first, last = (given[0], given[-1]) if given else (None, None)
        started = first if isinstance(first, Started) else None
        owed = owed_for(given, order.input) if isinstance(order, ChatOrder) else NOTHING_OWED
        began = job.started_at or job.created_at
        try:
            caller = await self._holders.caller(job.tenant, job.key_id, order.asker)
            team, user_id = caller.team, caller.user_id
        except PenstockError:
            # It may be gone since; what was spent was spent.
            team = user_id = ""
        return LedgerRow(
            generation_id=generation_id_of(job, order),
            request_id=order.request_id,
            created_at=began,
            tenant=job.tenant,
            key_id=job.key_id,
            surface=order.surface,
            requested_model=order.input.model,
            outcome=LOST,
            upstream=started.answered_by.upstream if started is not None else "",
            model=started.answered_by.model if started is not None else "",
            finish_reason=last.reason.value if isinstance(last, Finished) else "",
            usage=owed.usage,
            unit_prices=owed.unit_prices,
            cost_nano_usd=owed.cost_nano_usd,
            attempts=int(started is not None),
            duration_ms=(datetime.now(UTC) - began).total_seconds() * 1000,
            user=order.context.user,
            feature=order.context.feature,
            tags=order.context.tags,
            team=team,
            user_id=user_id,
            operation="chat" if isinstance(order, ChatOrder) else "embeddings",
            job=job.id,
            attempt=job.attempts,
        )

    async def _given(self, job: Job) -> Sequence[GenerationEvent]:
        """Return what the attempt had generated that was lost last, as far as it was told."""
        given: list[GenerationEvent] = []
        of_lost: list[GenerationEvent] = []
        after = 0
        while events := await self._store.events(job, after, _READ):
            after = events[-1].number
            for event in events:
                if isinstance(event.event, Generated):
                    given += event.event.events
                elif isinstance(event.event, PutBack | Redriven | Ended):
                    of_lost = given if _was_lost(event) else of_lost
                    given = []
        return of_lost


def _was_lost(event: NumberedEvent) -> bool:
    told = event.event
    if isinstance(told, PutBack):
        return told.error.reason == WORKER_LOST
    # Who asks a job to end whose worker is gone has it end without that.
    return isinstance(told, Ended) and (told.error is None or told.error.reason == WORKER_LOST)
