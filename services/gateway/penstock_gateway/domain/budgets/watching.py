"""Budgets over time: whoever is to know is told at each threshold once a period, whatever the number of processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import structlog

from penstock_common.errors import PenstockError
from penstock_gateway.domain.access.identity import new_id
from penstock_gateway.domain.administration.audit import Now, utc_now
from penstock_gateway.domain.budgets.alerts import (
    ALL,
    RESOLVED,
    THRESHOLD,
    data_of,
    is_reached,
    period_start,
    sentence,
    thresholds,
)
from penstock_gateway.domain.budgets.book import BudgetBook
from penstock_gateway.domain.budgets.budget import Budget
from penstock_gateway.domain.budgets.ports import AlertStore, Fired, Standings
from penstock_gateway.domain.budgets.refused import RefusedBudgets
from penstock_gateway.domain.budgets.standing import BudgetStanding, standing_of
from penstock_gateway.domain.webhooks.delivery import Delivery, message

_log = structlog.get_logger(__name__)


class BudgetObserver(Protocol):
    """Who counts what is seen of budgets."""

    def looked(self, seen: list[tuple[Budget, BudgetStanding]]) -> None:
        """Take where the budgets stand; none where another process has looked."""
        ...

    def alerted(self, event: str, threshold: str) -> None:
        """Count an event."""
        ...


class WatchParts(NamedTuple):
    """What a watcher goes by."""

    book: BudgetBook
    alerts: AlertStore
    standings: Standings
    observer: BudgetObserver
    refused: RefusedBudgets


class Watcher:
    """Looks at what is spent, in every process again and again; one of them does it each time.

    What a process has refused it tells itself: a budget that has no room for another request is as good as spent.
    """

    def __init__(self, parts: WatchParts, every: timedelta, now: Now = utc_now) -> None:
        self._parts = parts
        self._every = every
        self._now = now

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look after each interval, until cancelled; never fail."""
        while True:
            await sleep(self._every.total_seconds())
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever a store says, the next look may find it better
                unexpected = None if isinstance(error, PenstockError) else error
                _log.error("budgets_not_watched", reason=str(error), exc_info=unexpected)

    async def look(self) -> None:
        """Tell what is to be told now."""
        book, alerts, standings, observer, _ = self._parts
        if not book.budgets:
            observer.looked([])
            return
        now = self._now()
        await self._tell_refused(now)
        if not await alerts.claim_look(now, now - self._every * 0.9):
            observer.looked([])
            return
        budgets = {budget.id: budget for budget in book.budgets}
        known = await standings.standings([book.limit_of(budget) for budget in budgets.values()])
        seen = [(budgets[one.limit.budget], standing_of(one, now)) for one in known]
        observer.looked(seen)
        told = {(one.budget_id, one.period_start, one.threshold): one for one in await alerts.fired()}
        for budget, standing in seen:
            start = period_start(standing)
            before = {
                of: one for (budget_id, begun, of), one in told.items() if (budget_id, begun) == (budget.id, start)
            }
            await self._compare(budget, standing, before, now)

    async def _tell_refused(self, now: datetime) -> None:
        """Tell that all is spent of what has refused a request here, where nobody has told so yet."""
        book, alerts, standings, _, refused = self._parts
        before = refused.by_id
        if not before:
            return
        watched = {one.id: one for one in book.budgets if one.id in before and ALL in thresholds(one)}
        limits = [book.limit_of(one) for one in watched.values()]
        known = await standings.standings([one for one in limits if before[one.budget].still_holds(one, now)])
        told = {(one.budget_id, one.period_start) for one in await alerts.fired() if one.threshold == ALL}
        for standing in known:
            budget, stands = watched[standing.limit.budget], standing_of(standing, now)
            if (budget.id, period_start(stands)) not in told:
                await self._fire(budget, stands, ALL, now)
        refused.forget(before)

    async def _compare(self, budget: Budget, standing: BudgetStanding, told: dict[str, Fired], now: datetime) -> None:
        for threshold in thresholds(budget):
            before = told.get(threshold)
            reached = is_reached(threshold, standing)
            if reached and before is None:
                await self._fire(budget, standing, threshold, now)
            elif before is not None and not reached and standing.limit > before.limit:
                delivery = self._delivery(RESOLVED, budget, standing, threshold, now)
                if await self._parts.alerts.resolve(before, delivery):
                    self._note(RESOLVED, budget, standing, threshold)

    async def _fire(self, budget: Budget, standing: BudgetStanding, threshold: str, now: datetime) -> None:
        fired = Fired(
            budget_id=budget.id, period_start=period_start(standing), threshold=threshold, limit=standing.limit
        )
        if await self._parts.alerts.fire(fired, self._delivery(THRESHOLD, budget, standing, threshold, now)):
            self._note(THRESHOLD, budget, standing, threshold)

    def _delivery(
        self, event: str, budget: Budget, standing: BudgetStanding, threshold: str, now: datetime
    ) -> Delivery | None:
        if not budget.alerts.webhook:
            return None
        body = message(event, now, data_of(budget, standing, threshold, event))
        webhook = budget.alerts.webhook
        return Delivery(id=f"msg_{new_id()}", webhook=webhook, type=event, body=body, created_at=now, next_at=now)

    def _note(self, event: str, budget: Budget, standing: BudgetStanding, threshold: str) -> None:
        self._parts.observer.alerted(event, threshold)
        _log.warning(
            event.replace(".", "_"),
            tenant=budget.tenant,
            budget=budget.name,
            threshold=threshold,
            spent_nano_usd=standing.spent,
            limit_nano_usd=standing.limit,
            text=sentence(budget, standing, threshold, event),
        )
