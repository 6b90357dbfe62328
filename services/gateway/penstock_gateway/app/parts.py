"""What is open while a gateway runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.background import StartWork, background_work
from penstock_common.sql.schema import open_current_database
from penstock_gateway import __version__
from penstock_gateway.adapters.sql.feedback.history import SqlFeedbackHistory
from penstock_gateway.adapters.sql.history import SqlHistory
from penstock_gateway.adapters.sql.ledger import SqlLedger, writing_ledger
from penstock_gateway.adapters.sql.prompts import SqlPromptStore
from penstock_gateway.adapters.sql.schema import SCHEMAS
from penstock_gateway.adapters.telemetry import Telemetry, TelemetryObserver, observing, show_ledger
from penstock_gateway.app.experiments import ExperimentParts, open_experiments
from penstock_gateway.app.flights import open_flights
from penstock_gateway.app.guardrails import Guardrails, open_guardrails
from penstock_gateway.app.idempotency import IdempotencyParts, open_idempotency
from penstock_gateway.app.jobs import JobParts, job_parts
from penstock_gateway.app.ledger import LedgerParts, open_ledger_parts
from penstock_gateway.app.limits import LimitParts, open_limits
from penstock_gateway.app.responses import ResponseParts, open_responses
from penstock_gateway.app.reviews import ReviewParts, review_parts
from penstock_gateway.app.structured_output import structured_output_for
from penstock_gateway.domain.guardrails.pipeline.recheck import RulesOfNow
from penstock_gateway.domain.life.door import Door
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.flights import Flights
from penstock_gateway.domain.life.forks import Forks
from penstock_gateway.domain.life.ladder import Ladders
from penstock_gateway.domain.life.refusals import Refusals
from penstock_gateway.domain.prompts.library import LibraryTerms, PromptLibrary
from penstock_gateway.domain.retention import Kept, Retention, RetentionRule
from penstock_gateway.domain.status.traffic import TrafficWindow
from penstock_gateway.domain.structured.terms import StructuredOutput
from penstock_gateway.settings import Settings

_SERVICE_NAME = "penstock-gateway"
# They would share one interpreter: more would only keep more of what they make in memory.
_READERS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is open while the gateway runs."""

    engine: AsyncEngine
    in_background: StartWork
    door: Door
    readers: Executor
    """Of large bodies."""
    registry: CollectorRegistry
    traffic: TrafficWindow
    observer: TelemetryObserver
    ledger: SqlLedger
    limits: LimitParts
    ladders: Ladders
    forks: Forks
    """Of the revision that runs."""
    prompts: PromptLibrary
    experiments: ExperimentParts
    book: LedgerParts
    """The ledger as operators have it."""
    jobs: JobParts
    reviews: ReviewParts
    responses: ResponseParts
    idempotency: IdempotencyParts
    structured: StructuredOutput
    guardrails: Guardrails
    flights: Flights | None
    """None where each request has an answer of its own generated."""

    @property
    def visits(self) -> VisitParts:
        """What every request goes through."""
        return VisitParts(
            limiter=self.limits.limiter,
            ledger=self.ledger,
            observer=self.observer,
            book=self.limits.book,
            needs=self.limits.needs,
            note_verdict=self.limits.note_verdict,
        )


async def open_parts(stack: AsyncExitStack, settings: Settings, *, upgrades_schema: bool, shares_limits: bool) -> Parts:
    """Return the open parts; the stack closes them in reverse.

    Raises:
        ConfigurationError: if the schema is not current, and the gateway is not to upgrade it.
    """
    own, opened = settings.gateway, stack.enter_async_context
    database = open_current_database(settings.sql, own.database_limits, *SCHEMAS, upgrades_schema=upgrades_schema)
    engine = await opened(database)
    door, registry, traffic = (
        Door(own.capacity, Refusals(own.refusals_per_minute)),
        CollectorRegistry(),
        TrafficWindow(),
    )
    ledger = await opened(writing_ledger(engine, own.max_queued_ledger_rows))
    limits = await opened(open_limits(settings, engine, registry, ledger, shares=shares_limits))
    reviews = review_parts(settings, engine, limits.budgets.webhooks.book, registry)
    jobs = job_parts(settings, engine, limits.budgets.webhooks.book, registry)
    guardrails = await open_guardrails(stack, settings, reviews.desk)
    reviews.reviews.recheck = RulesOfNow(guardrails.rails, guardrails.parts)
    parts = Parts(
        engine=engine,
        in_background=await opened(background_work()),
        door=door,
        readers=stack.enter_context(ThreadPoolExecutor(_READERS, "large-body")),
        registry=registry,
        traffic=traffic,
        observer=await opened(observing(registry, traffic, lambda: door.in_flight, _telemetry(settings))),
        ledger=ledger,
        limits=limits,
        ladders=Ladders(settings.ladders(), settings.on_budget()),
        prompts=PromptLibrary(SqlPromptStore(engine), LibraryTerms(settings.prompts.label_age, settings.prompts.kept)),
        experiments=await opened(open_experiments(settings, engine, ledger)),
        book=await opened(open_ledger_parts(settings, engine, registry, (limits.limiter, limits.book, ledger))),
        forks=Forks(settings.forks()),
        jobs=jobs,
        reviews=reviews,
        responses=await opened(open_responses(settings, engine, jobs)),
        idempotency=await opened(open_idempotency(settings, engine, registry)),
        guardrails=guardrails,
        structured=structured_output_for(settings, registry),
        flights=await opened(open_flights(settings, shares=shares_limits)),
    )
    await opened(cutting(retention_of(settings, engine)))
    show_ledger(registry, lambda: parts.ledger.waiting)
    return parts


def retention_of(settings: Settings, engine: AsyncEngine) -> Retention | None:
    """Return what cuts the ledger, with what was said of its answers, and the audit log; None where both are kept for good."""
    wanted = settings.retention
    ages = (
        (SqlHistory.of_ledger(engine), wanted.ledger),
        # After the ledger, whose rows it waits for.
        (SqlFeedbackHistory(engine), wanted.ledger),
        (SqlHistory.of_audit_log(engine), wanted.audit),
    )
    kept = [Kept(history, age) for history, age in ages if age is not None]
    rule = RetentionRule(every=wanted.every, export_first=wanted.export_first)
    return Retention(kept, rule) if kept else None


@asynccontextmanager
async def cutting(retention: Retention | None) -> AsyncGenerator[None]:
    """Cut what is old while the context is open."""
    if retention is None:
        yield
        return
    task = asyncio.get_running_loop().create_task(retention.run(), name="retention")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


def _telemetry(settings: Settings) -> Telemetry:
    section = settings.telemetry
    return Telemetry(
        service=_SERVICE_NAME,
        version=__version__,
        otlp=section.otlp,
        metrics_listen=section.metrics_listen,
        capture_content=section.capture_content,
    )
