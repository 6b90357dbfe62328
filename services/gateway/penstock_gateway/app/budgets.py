"""Budgets' part of the composition: who knows them, who watches them, and who brings the word to webhooks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.background import running
from penstock_common.service import Commit
from penstock_gateway.adapters.budget_metrics import BudgetMetrics
from penstock_gateway.adapters.sql.budgets.alerts import SqlAlerts
from penstock_gateway.adapters.sql.budgets.records import SqlBudgets
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.spend import SqlSpendHistory, Writer
from penstock_gateway.app.webhooks import WebhookParts, bringing, webhook_parts
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.budgets.administration import BudgetAdministration, BudgetParts
from penstock_gateway.domain.budgets.book import BudgetBook
from penstock_gateway.domain.budgets.explaining import LimitExplainer
from penstock_gateway.domain.budgets.ports import Standings
from penstock_gateway.domain.budgets.standing import KnownStandings, LedgerStandings
from penstock_gateway.domain.budgets.watching import Watcher, WatchParts
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.settings import Settings
from penstock_gateway.surfaces.grpc.budgets import BudgetServicer
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgeting:
    """What is open of budgets, in a gateway or at the command line."""

    engine: AsyncEngine
    book: BudgetBook
    limits: LimitBook
    standings: Standings
    webhooks: WebhookParts
    metrics: BudgetMetrics

    def prepare(self, changed: Settings) -> Commit:
        """Make other budgets, webhooks and time zones ready."""
        budgets, zones, endpoints = changed.budgets_configured(), zones_of(changed), changed.endpoints()

        def commit() -> None:
            self.book.take_over(budgets, zones)
            self.webhooks.book.take_over(endpoints)

        return commit

    def servicer(self, directory: TenantDirectory, actor_of: ActorOf) -> BudgetServicer:
        """Return what serves budgets."""
        registry = SqlRegistry(self.engine)
        parts = BudgetParts(self.book, self.standings, lambda: self.webhooks.book.endpoints)
        administration = BudgetAdministration(directory, registry, parts)
        explainer = LimitExplainer(directory, registry, self.limits, self.standings)
        return BudgetServicer(administration, explainer, self.book.zone_of, actor_of)


def budgeting(
    settings: Settings,
    engine: AsyncEngine,
    limits: LimitBook,
    registry: CollectorRegistry | None = None,
    counting: tuple[Standings, Writer] | None = None,
) -> Budgeting:
    """Return the parts, with which nothing happens yet; ``counting``: who knows more than the ledger, and who writes that."""
    counted, writer = (None, None) if counting is None else counting
    ledger = LedgerStandings(SqlSpendHistory(engine, writer))
    metrics = BudgetMetrics(registry or CollectorRegistry())
    return Budgeting(
        engine=engine,
        book=BudgetBook(SqlBudgets(engine), limits, settings.budgets_configured(), zones_of(settings)),
        limits=limits,
        standings=ledger if counted is None else KnownStandings(counted, ledger),
        webhooks=webhook_parts(settings, engine, metrics),
        metrics=metrics,
    )


@asynccontextmanager
async def open_budgets(
    settings: Settings,
    engine: AsyncEngine,
    limits: LimitBook,
    registry: CollectorRegistry,
    counting: tuple[Standings, Writer],
) -> AsyncGenerator[Budgeting]:
    """Yield the parts, once all budgets are known; they are read, watched and told of while the context is open.

    Raises:
        ServiceUnavailable: if the database does not say which there are.
    """
    own = budgeting(settings, engine, limits, registry, counting)
    await own.book.renew()
    watched = WatchParts(own.book, SqlAlerts(engine), own.standings, own.metrics)
    async with (
        running(own.book.run(settings.budget_watch.refresh)),
        running(Watcher(watched, settings.budget_watch.every).run()),
        bringing(own.webhooks, settings),
    ):
        yield own


def zones_of(settings: Settings) -> dict[str, str]:
    """Return the time zones of the configuration's tenants, by name."""
    return {tenant.name: tenant.time_zone for tenant in settings.tenants}
