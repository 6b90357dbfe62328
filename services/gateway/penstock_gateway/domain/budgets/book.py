"""The budgets that hold in this process: those of the configuration, and what was created and granted, read again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

import msgspec
import structlog

from penstock_common.errors import PenstockError
from penstock_gateway.domain.administration.audit import Now, utc_now
from penstock_gateway.domain.budgets.budget import Budget, merged
from penstock_gateway.domain.budgets.ports import BudgetStore, Kept
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.domain.limits.limit import Limit, Scope, ScopeKind

_log = structlog.get_logger(__name__)


class BudgetBook:
    """Knows every budget, and has requests bound by them.

    A budget whose amount changes keeps its counter, so nothing is refilled; tenants of which nothing has changed keep the
    very limits that they had.
    """

    def __init__(
        self,
        store: BudgetStore,
        limits: LimitBook,
        configured: Sequence[Budget] = (),
        zones: Mapping[str, str] | None = None,
        now: Now = utc_now,
    ) -> None:
        self._store = store
        self._limits = limits
        self._configured = tuple(configured)
        self._zones = zones or {}
        self._now = now
        self._kept = Kept()
        self._renewing = asyncio.Lock()
        self._by_tenant: Mapping[str, tuple[Limit, ...]] = {}
        self.budgets: tuple[Budget, ...] = ()
        """All of them, with their graces."""

    @property
    def configured(self) -> tuple[Budget, ...]:
        """Those of the configuration, without their graces."""
        return self._configured

    def zone_of(self, tenant: str) -> str:
        """Return the time zone of a tenant's calendar: the configuration's, or else that which it was created with."""
        return self._zones.get(tenant) or self._kept.zones.get(tenant) or "UTC"

    def take_over(self, configured: Sequence[Budget], zones: Mapping[str, str]) -> None:
        """Know these of the configuration from now on, and the time zones of its tenants."""
        self._configured = tuple(configured)
        self._zones = zones
        self._apply()

    async def renew(self) -> None:
        """Take in what was created, changed, granted and deleted, and what has ended; one after another, so none undoes a newer one.

        Raises:
            ServiceUnavailable: if the store does not answer; what was known holds.
        """
        async with self._renewing:
            keys = {one.scope.name for one in self._configured if one.scope.kind is ScopeKind.KEY}
            self._kept = await self._store.kept(self._now(), keys)
            self._apply()

    def limit_of(self, budget: Budget) -> Limit:
        """Return what a budget allows now; that of a key is its successors', too, once it was rotated."""
        limit, first_keys = budget.limit(self.zone_of(budget.tenant), self._now()), self._kept.first_keys
        if budget.scope.kind is not ScopeKind.KEY or budget.scope.name not in first_keys:
            return limit
        return msgspec.structs.replace(limit, scope=Scope(ScopeKind.KEY, first_keys[budget.scope.name]))

    async def run(self, every: timedelta, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Renew after each interval, until cancelled; never fail."""
        while True:
            await sleep(every.total_seconds())
            try:
                await self.renew()
            except Exception as error:  # noqa: BLE001 - whatever the store says, requests go on by what is known
                # What has ended ends all the same.
                self._apply()
                unexpected = None if isinstance(error, PenstockError) else error
                _log.error("budgets_not_read", reason=str(error), exc_info=unexpected)

    def _apply(self) -> None:
        self.budgets = tuple(map(self._kept.with_graces, merged(self._configured, self._kept.created)))
        limits: dict[str, tuple[Limit, ...]] = {}
        for budget in self.budgets:
            limits[budget.tenant] = (*limits.get(budget.tenant, ()), self.limit_of(budget))
        known = self._by_tenant
        if limits != known:
            self._by_tenant = {name: known[name] if known.get(name) == held else held for name, held in limits.items()}
            self._limits.take_over_budgets(self._by_tenant)
