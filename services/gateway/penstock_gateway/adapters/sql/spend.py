"""What the ledger says was spent: its rows, what was kept of those that went, and those that wait to be written.

Answers of shadows are paid for, and in the ledger; they take no place among a tenant's limits, and are not in these sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ColumnElement, ScalarSelect, Table, func, literal, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.errors import ServiceUnavailable
from penstock_gateway.adapters.sql.tables import api_keys, ledger, ledger_totals
from penstock_gateway.domain.life.settlement import LedgerRow
from penstock_gateway.domain.limits.limit import Scope, ScopeKind
from penstock_gateway.domain.limits.windows import EVER, Period

COLUMN_OF: Mapping[ScopeKind, str] = {
    ScopeKind.TEAM: "team",
    ScopeKind.USER: "user_id",
    ScopeKind.KEY: "key_id",
    ScopeKind.MODEL: "requested_model",
    ScopeKind.FEATURE: "feature",
}
"""By which column a scope's rows are told; a tenant's are all of the tenant's."""


class Writer(Protocol):
    """Has taken rows that are not in the database yet."""

    def unwritten_rows(self) -> Sequence[LedgerRow]:
        """Return them."""
        ...


class SqlSpendHistory:
    """Implements ``admission.SpendHistory``; with no writer, of what is in the database alone."""

    def __init__(self, engine: AsyncEngine, writer: Writer | None = None) -> None:
        self._engine = engine
        self._writer = writer

    async def spent(self, tenant: str, scope: Scope, period: Period) -> int:
        """Return the nano-dollars, as ``SpendHistory`` says; below 0 where more was given back than spent.

        Raises:
            ServiceUnavailable: if the database does not answer.
        """
        try:
            who = _Who(tenant, COLUMN_OF.get(scope.kind), await self._names(scope))
            waiting = [] if self._writer is None else _of(self._writer.unwritten_rows(), who, period)
            total = _sum(ledger, who, period) + _sum(ledger_totals, who, period)
            if waiting:
                # Written by the time this is read; in one statement, so that none is counted twice or not at all.
                written = ledger.c.generation_id.in_([row.generation_id for row in waiting])
                total -= _sum(ledger, who, period, written)
            async with self._engine.connect() as connection:
                kept = (await connection.execute(select(total))).scalar_one()
        except (SQLAlchemyError, OSError) as error:
            raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error
        return int(kept) + sum(row.cost_nano_usd for row in waiting)

    async def _names(self, scope: Scope) -> Sequence[str]:
        """Return by which names a scope's rows are told: a key's by those of its successors, too."""
        if scope.kind is not ScopeKind.KEY:
            return (scope.name,)
        # A transaction of its own: what is read of the ledger must not be older than what is known to wait.
        async with self._engine.connect() as connection:
            successors = select(api_keys.c.id).where(api_keys.c.first_id == scope.name)
            return (scope.name, *(await connection.execute(successors)).scalars())


class _Who(NamedTuple):
    """Whose rows are meant: a tenant's, of which a column has one of some values; all of them where there is no column."""

    tenant: str
    column: str | None
    values: Sequence[str]


def _sum(table: Table, who: _Who, period: Period, *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
    query = select(func.coalesce(func.sum(table.c.cost_nano_usd), literal(0))).where(
        table.c.tenant == who.tenant, table.c.shadow.is_(False), *conditions
    )
    if who.column is not None:
        query = query.where(table.c[who.column].in_(who.values))
    if period != EVER:
        query = query.where(table.c.created_at >= period.start, table.c.created_at < period.end)
    return query.scalar_subquery()


def _of(rows: Sequence[LedgerRow], who: _Who, period: Period) -> list[LedgerRow]:
    return [
        row
        for row in rows
        if row.tenant == who.tenant
        and not row.part.shadow
        and period.start <= row.created_at < period.end
        and (who.column is None or getattr(row, who.column) in who.values)
    ]
