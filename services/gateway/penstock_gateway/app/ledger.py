"""What is open of the ledger beside its writer: what was spent, what models cost, and how far counters are from it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.background import StartWork, running
from penstock_common.errors import ServiceUnavailable
from penstock_common.service import Commit
from penstock_gateway.adapters.sql.entries import SqlEntryBook
from penstock_gateway.adapters.sql.ledger import SqlLedger
from penstock_gateway.adapters.sql.prices import SqlPriceHistory
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.spend import SqlSpendHistory
from penstock_gateway.adapters.telemetry import show_drift
from penstock_gateway.domain.ledger.administration import LedgerAdministration
from penstock_gateway.domain.ledger.drift import Counters, DriftWatch, SpendLimits
from penstock_gateway.domain.ledger.prices import Offer
from penstock_gateway.price_settings import offers_of
from penstock_gateway.settings import Settings

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LedgerParts:
    """The ledger as operators have it."""

    administration: LedgerAdministration
    prices: SqlPriceHistory

    def prepare(self, changed: Settings, in_background: StartWork) -> Commit:
        """Make other prices ready; their history is written once they hold."""
        offers = offers_of(changed.upstreams)
        return lambda: in_background(self.note(offers))

    async def note(self, offers: list[Offer]) -> None:
        """Keep what is new of the prices that hold from now on."""
        try:
            noted = await self.prices.note(offers, datetime.now(UTC))
        except ServiceUnavailable as error:
            # The next start or reload notes what is new by then.
            _log.error("prices_not_noted", reason=str(error))
            return
        if noted:
            _log.info("prices_noted", revisions=noted)


@asynccontextmanager
async def open_ledger_parts(
    settings: Settings,
    engine: AsyncEngine,
    registry: CollectorRegistry,
    counting: tuple[Counters, SpendLimits, SqlLedger] | None = None,
) -> AsyncGenerator[LedgerParts, None]:
    """Yield the parts, when the prices that hold are in their history; None: nobody counts spend here."""
    own, prices = settings.ledger, SqlPriceHistory(engine)
    watch = None
    if counting is not None:
        counters, limits, writer = counting
        watch = DriftWatch(counters, limits, SqlSpendHistory(engine, writer), own.drift_counters)
    parts = LedgerParts(LedgerAdministration(SqlEntryBook(engine), prices, SqlRegistry(engine), watch), prices)
    await parts.note(offers_of(settings.upstreams))
    show_drift(registry, lambda: {} if watch is None else watch.by_scope)
    if watch is None or not own.drift_counters:
        yield parts
        return
    async with running(watch.run(own.drift_every)):
        yield parts
