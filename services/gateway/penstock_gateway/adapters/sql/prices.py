"""The history of prices, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_common.errors import ServiceUnavailable
from penstock_common.llm.types import UnitPrices
from penstock_gateway.adapters.sql.rows import present
from penstock_gateway.adapters.sql.tables import price_revisions
from penstock_gateway.domain.ledger.prices import Offer, PriceRevision, as_they_changed, changed


class SqlPriceHistory:
    """Implements ``prices.PriceHistory``; both raise ServiceUnavailable while the database does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def note(self, offers: Sequence[Offer], now: datetime) -> int:
        """Keep what is new of the offers."""
        try:
            async with self._engine.begin() as connection:
                new = [PriceRevision(offer, now) for offer in changed(await _known(connection), offers)]
                if new:
                    await connection.execute(price_revisions.insert(), [_values(revision) for revision in new])
        except (SQLAlchemyError, OSError) as error:
            raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error
        return len(new)

    async def revisions(self) -> Sequence[PriceRevision]:
        """Return all that changed, the oldest first."""
        try:
            async with self._engine.connect() as connection:
                return as_they_changed(await _known(connection))
        except (SQLAlchemyError, OSError) as error:
            raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error


async def _known(connection: AsyncConnection) -> list[PriceRevision]:
    query = select(price_revisions).order_by(price_revisions.c.effective_at, price_revisions.c.id)
    return [_revision(row) for row in (await connection.execute(query)).all()]


def _revision(row: Row[Any]) -> PriceRevision:
    prices = UnitPrices(
        input_nano_usd=row.input_price_nano_usd,
        cached_input_nano_usd=row.cached_input_price_nano_usd,
        output_nano_usd=row.output_price_nano_usd,
        cache_write_nano_usd=row.cache_write_price_nano_usd,
        cache_write_1h_nano_usd=row.cache_write_1h_price_nano_usd,
        is_unknown=row.cost_unknown,
    )
    offer = Offer(row.upstream, row.model, prices, row.tier, row.above_input_tokens)
    return PriceRevision(offer, present(row.effective_at), row.source)


def _values(revision: PriceRevision) -> dict[str, Any]:
    offer = revision.offer
    prices = offer.prices
    return {
        "revision": revision.revision,
        "effective_at": revision.effective_at,
        "upstream": offer.upstream,
        "model": offer.model,
        "tier": offer.tier,
        "above_input_tokens": offer.above_input_tokens,
        "input_price_nano_usd": prices.input_nano_usd,
        "cached_input_price_nano_usd": prices.cached_input_nano_usd,
        "output_price_nano_usd": prices.output_nano_usd,
        "cache_write_price_nano_usd": prices.cache_write_nano_usd,
        "cache_write_1h_price_nano_usd": prices.cache_write_1h_nano_usd,
        "cost_unknown": prices.is_unknown,
        "source": revision.source,
    }
