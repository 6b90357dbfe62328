"""Corrections of the ledger, in SQL: rows beside those that they correct."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import RowMapping, func, or_, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_common.errors import ResourceExists, ServiceUnavailable
from penstock_common.llm.types import UnitPrices, Usage
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.ledger.corrections import Charged, Correction
from penstock_gateway.domain.ledger.entries import CHARGE, CORRECTION
from penstock_gateway.domain.life.settlement import OK

_TOKENS = (
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "cache_write_1h_input_tokens",
    "reasoning_tokens",
)
# Whose and what it was: all that sums are told apart by, but for experiments, whose figures are of answers alone.
_SHARED = (
    "tenant",
    "team",
    "user_id",
    "key_id",
    "surface",
    "operation",
    "shadow",
    "requested_model",
    "upstream",
    "model",
    "cache_status",
    "usage_estimated",
    "usage_source",
    "input_price_nano_usd",
    "cached_input_price_nano_usd",
    "output_price_nano_usd",
    "cache_write_price_nano_usd",
    "cache_write_1h_price_nano_usd",
    "price_revision",
    "user",
    "feature",
    "tags",
    "prompt",
    "prompt_version",
    "task",
    "job",
    "attempt",
)


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection, None]:
    try:
        async with engine.begin() as connection:
            yield connection
    except IntegrityError as error:
        raise ResourceExists("Somebody else corrects this entry just now: look again.", kind="entry") from error
    except (SQLAlchemyError, OSError) as error:
        raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error


class SqlEntryBook:
    """Implements ``corrections.EntryBook``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def charged(self, generation_id: str) -> Charged | None:
        """Return what a request has come to, what corrects it with it."""
        sums = [func.sum(ledger.c[name]).label(name) for name in (*_TOKENS, "cost_nano_usd")]
        of_it = or_(ledger.c.generation_id == generation_id, ledger.c.corrects == generation_id)
        async with _connected(self._engine) as connection:
            first = await _charge(connection, generation_id)
            if first is None:
                return None
            come_to = (
                (await connection.execute(select(*sums, func.count().label("rows")).where(of_it))).mappings().one()
            )
        return Charged(
            generation_id=generation_id,
            tenant=first["tenant"],
            usage=Usage(**{name: int(come_to[name]) for name in _TOKENS}, estimated=first["usage_estimated"]),
            unit_prices=UnitPrices(
                input_nano_usd=first["input_price_nano_usd"],
                cached_input_nano_usd=first["cached_input_price_nano_usd"],
                output_nano_usd=first["output_price_nano_usd"],
                cache_write_nano_usd=first["cache_write_price_nano_usd"],
                cache_write_1h_nano_usd=first["cache_write_1h_price_nano_usd"],
                is_unknown=first["cost_unknown"],
            ),
            cost_nano_usd=int(come_to["cost_nano_usd"]),
            corrections=come_to["rows"] - 1,
        )

    async def append(self, correction: Correction) -> None:
        """Write an entry; of two that are made at once, one is."""
        async with _connected(self._engine) as connection:
            first = await _charge(connection, correction.corrects)
            assert first is not None, "what was looked at a moment ago"
            await connection.execute(ledger.insert().values(**_values(first, correction)))


async def _charge(connection: AsyncConnection, generation_id: str) -> RowMapping | None:
    query = select(ledger).where(ledger.c.generation_id == generation_id, ledger.c.kind == CHARGE)
    return (await connection.execute(query)).mappings().first()


def _values(first: RowMapping, correction: Correction) -> dict[str, Any]:
    return {
        **{name: first[name] for name in _SHARED},
        **{name: getattr(correction.usage, name) for name in _TOKENS},
        "generation_id": correction.id,
        "request_id": "",
        "created_at": correction.created_at,
        "kind": CORRECTION,
        "corrects": correction.corrects,
        "reason": correction.reason,
        "corrected_by": correction.corrected_by,
        "cost_nano_usd": correction.cost_nano_usd,
        "outcome": OK,
        "finish_reason": "",
        "attempts": 0,
        "duration_ms": 0.0,
        "overhead_ms": 0.0,
    }
