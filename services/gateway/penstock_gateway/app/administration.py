"""The database's schema and the administration on it, for the command line; no gateway is built."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.key_material import read_key_material
from penstock_common.sql.schema import open_current_database, upgrade_database
from penstock_gateway.adapters.feedback_metrics import NoFeedbackMetrics
from penstock_gateway.adapters.services.knowledge import NoKnowledge
from penstock_gateway.adapters.sql.entries import SqlEntryBook
from penstock_gateway.adapters.sql.experiments import SqlFigures, SqlStandings
from penstock_gateway.adapters.sql.feedback.answers import SqlAnswers
from penstock_gateway.adapters.sql.feedback.scores import scores
from penstock_gateway.adapters.sql.feedback.store import SqlFeedback
from penstock_gateway.adapters.sql.prices import SqlPriceHistory
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.schema import GATEWAY, SCHEMAS
from penstock_gateway.adapters.sql.usage.store import SqlUsage
from penstock_gateway.app.budgets import budgeting
from penstock_gateway.app.job_desk import batches_over, desk_over, pauses_over
from penstock_gateway.app.jobs import JobParts, job_parts
from penstock_gateway.app.reviews import review_parts
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.administration import Administration, CachePorts
from penstock_gateway.domain.administration.audit import AuditLog, Deed
from penstock_gateway.domain.administration.cache_entries import NoKeptEntries
from penstock_gateway.domain.administration.keys import Keyring
from penstock_gateway.domain.administration.upstreams import NoUpstreams
from penstock_gateway.domain.experiments.results import ExperimentAdministration
from penstock_gateway.domain.experiments.running import Experiments
from penstock_gateway.domain.feedback.giving import FeedbackBook, GivingParts
from penstock_gateway.domain.feedback.looking import FeedbackAdministration
from penstock_gateway.domain.jobs.desk import Viewer
from penstock_gateway.domain.knowledge.administration import KnowledgeAdministration
from penstock_gateway.domain.ledger.administration import LedgerAdministration
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.domain.prompts.administration import PromptAdministration
from penstock_gateway.domain.reviews.reviewing import Reviewer
from penstock_gateway.domain.usage.looking import UsageReading
from penstock_gateway.settings import Settings, StorageSettings
from penstock_gateway.surfaces.grpc.admin import AdminServicer
from penstock_gateway.surfaces.grpc.batches import BatchServicer
from penstock_gateway.surfaces.grpc.budgets import BudgetServicer
from penstock_gateway.surfaces.grpc.experiments import ExperimentServicer
from penstock_gateway.surfaces.grpc.feedback import FeedbackServicer
from penstock_gateway.surfaces.grpc.job_desk import JobDeskServicer, ViewerOf
from penstock_gateway.surfaces.grpc.knowledge import KnowledgeServicer
from penstock_gateway.surfaces.grpc.ledger import LedgerServicer
from penstock_gateway.surfaces.grpc.prompts import PromptServicer
from penstock_gateway.surfaces.grpc.reviews import ReviewServicer
from penstock_gateway.surfaces.grpc.usage import UsageServicer
from penstock_gateway.surfaces.grpc.webhooks import WebhookServicer

_NO_STACK = "Documents are kept by a stack that runs, and none does: start it with 'penstock up'."
_BY_SIGNAL = "signal"


class CommandLineServicers(NamedTuple):
    """What is administered without a gateway."""

    admin: AdminServicer
    prompts: PromptServicer
    feedback: FeedbackServicer
    experiments: ExperimentServicer
    knowledge: KnowledgeServicer
    ledger: LedgerServicer
    usage: UsageServicer
    budgets: BudgetServicer
    jobs: JobDeskServicer
    batches: BatchServicer
    webhooks: WebhookServicer
    reviews: ReviewServicer


async def upgrade_schema(settings: Settings | StorageSettings) -> None:
    """Bring the database's schema to the newest version.

    Raises:
        OSError: if the database is away or refuses.
    """
    await upgrade_database(settings.sql, *SCHEMAS)


@asynccontextmanager
async def open_administration(settings: Settings, actor: Actor) -> AsyncGenerator[CommandLineServicers, None]:
    """Yield what a gateway would answer the actor, whoever calls it."""
    async with open_current_database(
        settings.sql, settings.gateway.database_limits, *SCHEMAS, upgrades_schema=True
    ) as engine:
        registry, keyring = SqlRegistry(engine), keyring_of(settings)
        administration = Administration.over(keyring, registry, CachePorts(), NoUpstreams())
        prompts = PromptAdministration(keyring.directory, registry)
        experiments = Experiments(settings.experiments_configured())
        reports = ExperimentAdministration(experiments, SqlStandings(engine), SqlFigures(engine, scores()), registry)
        knowledge = KnowledgeAdministration(NoKnowledge(_NO_STACK), keyring.directory, registry)
        store, budgets = SqlFeedback(engine), budgeting(settings, engine, LimitBook())
        reviews = review_parts(settings, engine, budgets.webhooks.book, CollectorRegistry())
        parts = GivingParts(
            store=store,
            answers=SqlAnswers(engine),
            entries=NoKeptEntries(),
            observer=NoFeedbackMetrics(),
            rule=settings.feedback.giving,
            flags=reviews.feedback,
        )
        await budgets.book.renew()
        await budgets.webhooks.book.renew()

        def actor_of(_context: object) -> Actor:
            return actor

        jobs = job_parts(settings, engine, budgets.webhooks.book, CollectorRegistry())
        yield CommandLineServicers(
            AdminServicer(administration, actor_of),
            PromptServicer(prompts, actor_of),
            FeedbackServicer(FeedbackBook(parts), FeedbackAdministration(store, registry), actor_of),
            ExperimentServicer(reports, actor_of),
            KnowledgeServicer(knowledge, actor_of),
            LedgerServicer(LedgerAdministration(SqlEntryBook(engine), SqlPriceHistory(engine), registry), actor_of),
            UsageServicer(UsageReading(SqlUsage(engine)), actor_of),
            budgets.servicer(keyring.directory, actor_of),
            *_desks(settings, engine, jobs, keyring.directory, _viewer(actor)),
            budgets.webhooks.servicer(actor_of),
            reviews.servicer(lambda _call: Reviewer(actor, sees_tenant=True, decides=True, decides_escalated=True)),
        )


def _desks(
    settings: Settings, engine: AsyncEngine, jobs: JobParts, directory: TenantDirectory, viewer_of: ViewerOf
) -> tuple[JobDeskServicer, BatchServicer]:
    pauses = pauses_over(engine, jobs, directory, NoKnowledge(_NO_STACK))
    return JobDeskServicer(desk_over(settings, engine, jobs), pauses, viewer_of), batches_over(engine, jobs, viewer_of)


def _viewer(actor: Actor) -> ViewerOf:
    viewer = Viewer(actor, actor.key_id, sees_tenant=True)
    return lambda _call: viewer


async def note_reload(settings: Settings, revision: str, outcome: str, details: Mapping[str, str]) -> None:
    """Keep an entry in the audit log of a configuration that was to be taken over, by whoever may signal the process.

    Raises:
        ServiceUnavailable, OSError: if the database does not answer.
    """
    async with open_current_database(
        settings.sql, settings.gateway.database_limits, GATEWAY, upgrades_schema=False
    ) as engine:
        actor = Actor(key_id=_BY_SIGNAL, is_operator=True)
        deed = Deed(actor, "configuration.reload", "", revision, details)
        await AuditLog(SqlRegistry(engine)).note(deed, outcome)


def keyring_of(settings: Settings) -> Keyring:
    """Return what keys are made and proven with."""
    pepper = read_key_material(settings.secrets.key_pepper_file, "secrets.key_pepper_file")
    return Keyring(pepper, settings.directory())
