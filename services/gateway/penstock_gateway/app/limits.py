"""Limits' part of the composition: who counts, who knows which limits bind, and what is seen of both."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_gateway.adapters.counting.in_memory import InMemoryLimiter
from penstock_gateway.adapters.counting.in_redis import RedisLimiter, Terms, open_limiter
from penstock_gateway.adapters.money_metrics import BudgetsCollector, LimitRefusals, LimitsCollector
from penstock_gateway.adapters.sql.ledger import SqlLedger
from penstock_gateway.adapters.sql.spend import SqlSpendHistory
from penstock_gateway.app.budgets import Budgeting, open_budgets
from penstock_gateway.domain.limits.admission import Demand, Verdict
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.domain.limits.needs import Needs
from penstock_gateway.domain.limits.sight import BudgetSeen
from penstock_gateway.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitParts:
    """What is open of limits."""

    limiter: InMemoryLimiter | RedisLimiter
    book: LimitBook
    needs: Needs
    budgets: Budgeting
    refusals: LimitRefusals

    def note_verdict(self, verdict: Verdict, demand: Demand) -> None:
        """Have it counted and told whom limits refuse."""
        self.refusals.noted(verdict)
        self.budgets.refused.noted(verdict, demand)


@asynccontextmanager
async def open_limits(
    settings: Settings, engine: AsyncEngine, registry: CollectorRegistry, ledger: SqlLedger, *, shares: bool
) -> AsyncGenerator[LimitParts]:
    """Yield the parts; ``shares``: other processes count the same limits, so that Redis must.

    Raises:
        ServiceUnavailable: if the database does not say which budgets there are.
    """
    admission, book = settings.admission, LimitBook()
    terms = Terms(
        headroom_share=admission.headroom_share,
        without_redis=admission.without_redis,
        budgets_without_redis=admission.budgets_without_redis,
        processes=admission.processes,
    )
    address, history = settings.redis.state if shares else "", SqlSpendHistory(engine, ledger)
    async with (
        open_limiter(address, settings.gateway.redis_timeout, terms, history) as limiter,
        open_budgets(settings, engine, book, registry, (limiter, ledger)) as budgets,
    ):
        registry.register(LimitsCollector(limiter))
        registry.register(BudgetsCollector(lambda: _seen(budgets)))
        yield LimitParts(
            limiter=limiter,
            book=book,
            needs=Needs(admission.terms),
            budgets=budgets,
            refusals=LimitRefusals(registry),
        )


def _seen(budgets: Budgeting) -> Iterator[BudgetSeen]:
    """Yield where budgets stood when this process last looked; nothing where another looks."""
    now = datetime.now(UTC)
    for budget, standing in budgets.metrics.seen:
        length = standing.period.end - standing.period.start
        yield BudgetSeen(
            tenant=budget.tenant,
            name=budget.name,
            scope=budget.scope.kind.value,
            limit=standing.limit,
            spent=standing.spent,
            reserved=standing.reserved,
            elapsed=1.0 if standing.is_endless else min(1.0, max(0.0, (now - standing.period.start) / length)),
        )
