"""The counters of spend beside the ledger, which is the truth: how far they are apart, and setting them right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
import structlog

from penstock_common.errors import InvalidRequest, ServiceUnavailable
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed, utc_now
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.limits.admission import SpendHistory, Standing
from penstock_gateway.domain.limits.limit import Limit, Measure
from penstock_gateway.domain.limits.windows import TOTAL, Period, period_of

_log = structlog.get_logger(__name__)


class Counters(Protocol):
    """The limiter's counters, as far as they are looked at and set right."""

    async def standings(self, limits: Sequence[Limit]) -> Sequence[Standing]:
        """Return where the limits stand now; one that nothing is known of is left out."""
        ...

    async def rebuild(self, limits: Sequence[Limit]) -> None:
        """Have what the limits' counters have settled be what the ledger says, be it less; reservations stay."""
        ...


class SpendLimits(Protocol):
    """Which limits of spend there are."""

    def spend_limits(self) -> Sequence[Limit]:
        """Return those of budgets, and those that requests have met, each counter once."""
        ...


class CounterDrift(msgspec.Struct, frozen=True):
    """A counter of spend, and what the ledger has of the same scope and period, in nano-dollars."""

    limit: Limit
    period: Period
    counted: int
    booked: int
    reserved: int

    @property
    def nano_usd(self) -> int:
        """By how much more was counted than is in the ledger; below 0 where it is less."""
        return self.counted - self.booked


class DriftWatch:
    """Measures drift now and then, remembers it for the metric, and says it where it stays.

    At most ``most`` counters are looked at. What is on its way from one to the other looks like drift for a moment: it is
    told where two looks in a row find it. A counter that both find below the ledger is set right, as more could be spent by
    it than there is; one that is above is left to somebody who looks: it may be the ledger that lacks something.
    """

    def __init__(
        self,
        counters: Counters,
        limits: SpendLimits,
        history: SpendHistory,
        most: int,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._counters = counters
        self._limits = limits
        self._history = history
        self._most = most
        self._now = now
        self._apart: dict[tuple[str, str], int] = {}
        self.by_scope: Mapping[str, int] = {}
        """The most that a counter was apart at the last look, in nano-dollars without a sign, by kind of scope."""

    async def measured(self, tenant: str = "") -> Sequence[CounterDrift]:
        """Return the counters of a tenant, or of all, beside the ledger."""
        limits = self._of(tenant)[: self._most]
        drifts: list[CounterDrift] = []
        for standing in await self._counters.standings(limits):
            limit = standing.limit
            period = period_of(limit.allowance.window, self._now())
            booked = await self._history.spent(limit.tenant, limit.scope, period)
            drifts.append(CounterDrift(limit, period, standing.spent, booked, standing.reserved))
        return drifts

    async def rebuild(self, tenant: str) -> Sequence[CounterDrift]:
        """Have a tenant's counters be what the ledger says; return how they were before."""
        before = await self.measured(tenant)
        await self._counters.rebuild(self._of(tenant))
        return before

    async def follow(self, tenant: str) -> None:
        """Implement ``CountersFollow``."""
        await self._counters.rebuild(self._of(tenant))

    async def run(self, every: timedelta) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(every.total_seconds())
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whoever is away is asked again after the interval
                _log.warning("ledger_drift_unknown", reason=str(getattr(error, "orig", error)))

    async def look(self) -> None:
        """Measure once, log what was apart before, too, and set right what was below the ledger both times."""
        worst: dict[str, int] = {}
        apart: dict[tuple[str, str], int] = {}
        below: list[Limit] = []
        for drift in await self.measured():
            limit = drift.limit
            kind = limit.scope.kind.value
            worst[kind] = max(worst.get(kind, 0), abs(drift.nano_usd))
            if not drift.nano_usd:
                continue
            counter = limit.tenant, limit.counter
            apart[counter] = drift.nano_usd
            if counter in self._apart:
                _log.error(
                    "ledger_drift",
                    tenant=limit.tenant,
                    scope=str(limit.scope),
                    limit=limit.name,
                    counted_nano_usd=drift.counted,
                    booked_nano_usd=drift.booked,
                )
                if drift.nano_usd < 0 and self._apart[counter] < 0:
                    below.append(limit)
        self._apart, self.by_scope = apart, worst
        for limit in below:
            await self._counters.rebuild([limit])
            del self._apart[limit.tenant, limit.counter]
            _log.warning("ledger_drift_set_right", tenant=limit.tenant, scope=str(limit.scope), limit=limit.name)

    def _of(self, tenant: str) -> list[Limit]:
        return [
            limit
            for limit in self._limits.spend_limits()
            if limit.allowance.measure is Measure.SPEND
            and (limit.allowance.window.is_calendar or limit.allowance.window == TOTAL)
            and tenant in ("", limit.tenant)
        ]


class DriftAdministration:
    """Drift as an operator asks for it; setting counters right leaves an entry in the audit log."""

    def __init__(self, watch: DriftWatch | None, registry: Registry, now: Callable[[], datetime] = utc_now) -> None:
        self._watch = watch
        self._audit = AuditLog(registry, now)

    async def list(self, tenant: str) -> Sequence[CounterDrift]:
        """Return a tenant's counters beside the ledger; those of all where none is named.

        Raises:
            ServiceUnavailable: if nobody counts here.
        """
        return await self._counting().measured(tenant)

    async def rebuild(self, actor: Actor, tenant: str) -> Sequence[CounterDrift]:
        """Set a tenant's counters right.

        Raises:
            InvalidRequest: if no tenant is named.
            ServiceUnavailable: if nobody counts here.
        """
        async with self._audit.changing(Deed(actor, "ledger.rebuild", tenant, tenant)):
            if not tenant:
                raise InvalidRequest("Name the tenant whose counters are to be set right.", field="tenant")
            return await self._counting().rebuild(tenant)

    def _counting(self) -> DriftWatch:
        if self._watch is None:
            raise ServiceUnavailable(
                "Spend is counted by a stack that runs, and none does: start it with 'penstock up'.", service="gateway"
            )
        return self._watch
