"""Budgets in SQL: for administration, in its transaction, and for every process, read again and again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_common.errors import ResourceExists
from penstock_gateway.adapters.sql.budgets.tables import budgets, graces
from penstock_gateway.adapters.sql.connecting import begun
from penstock_gateway.adapters.sql.rows import present
from penstock_gateway.adapters.sql.tables import api_keys, tenants
from penstock_gateway.domain.budgets.budget import AlertRule, Budget, BudgetKind, Grace
from penstock_gateway.domain.budgets.ports import Kept
from penstock_gateway.domain.limits.limit import Scope, ScopeKind
from penstock_gateway.domain.limits.windows import WindowKind


class SqlBudgetRecords:
    """Implements ``ports.BudgetRecords`` on one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def budget(self, tenant: str, name: str) -> Budget | None:
        """Return a created budget, whose row is locked: SQLite knows no other lock than that of who writes."""
        held = update(budgets).where(*_is(tenant, name)).values(amount_nano_usd=budgets.c.amount_nano_usd)
        await self._connection.execute(held)
        row = (await self._connection.execute(select(budgets).where(*_is(tenant, name)))).first()
        return None if row is None else _budget(row)

    async def count(self, tenant: str) -> int:
        """Return how many budgets a tenant has created."""
        query = select(func.count()).select_from(budgets).where(budgets.c.tenant == tenant)
        return int((await self._connection.execute(query)).scalar_one())

    async def add(self, budget: Budget) -> None:
        """Keep a new one."""
        try:
            await self._connection.execute(budgets.insert().values(**_values(budget)))
        except IntegrityError:
            message = f"The tenant '{budget.tenant}' has a budget '{budget.name}' already."
            raise ResourceExists(message, kind="budget", name=budget.name) from None

    async def change(self, budget: Budget) -> None:
        """Keep a changed one."""
        change = update(budgets).where(*_is(budget.tenant, budget.name)).values(**_values(budget))
        await self._connection.execute(change)

    async def delete(self, tenant: str, name: str) -> None:
        """Take one away, with its graces."""
        await self._connection.execute(delete(budgets).where(*_is(tenant, name)))
        await self._connection.execute(delete(graces).where(graces.c.tenant == tenant, graces.c.name == name))

    async def graces(self, tenant: str, name: str, now: datetime) -> tuple[Grace, ...]:
        """Return the graces that have not ended."""
        is_it = graces.c.tenant == tenant, graces.c.name == name, graces.c.until > now
        return tuple(map(_grace, await self._connection.execute(select(graces).where(*is_it).order_by(graces.c.id))))

    async def grant(self, tenant: str, name: str, grace: Grace) -> None:
        """Keep a grace."""
        values = {
            "tenant": tenant,
            "name": name,
            "amount_nano_usd": grace.amount,
            "until": grace.until,
            "reason": grace.reason,
            "granted_by": grace.by,
            "granted_at": grace.granted_at,
        }
        await self._connection.execute(graces.insert().values(**values))


class SqlBudgets:
    """Implements ``ports.BudgetStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def kept(self, now: datetime, keys: Collection[str] = ()) -> Kept:
        """Return it, as ``BudgetStore`` says: three statements, or four where a budget is a key's, in one transaction."""
        async with begun(self._engine) as connection:
            rows = (await connection.execute(select(budgets).order_by(budgets.c.tenant, budgets.c.name))).all()
            granted = (await connection.execute(select(graces).where(graces.c.until > now).order_by(graces.c.id))).all()
            zoned = select(tenants.c.name, tenants.c.time_zone).where(tenants.c.time_zone.is_not(None))
            zones = {row.name: row.time_zone for row in await connection.execute(zoned)}
            named = {*keys, *(row.scope_name for row in rows if row.scope_kind == ScopeKind.KEY)}
            first_keys = await _first_keys(connection, named) if named else {}
        return Kept(tuple(map(_budget, rows)), _by_budget(granted), zones, first_keys)


async def _first_keys(connection: AsyncConnection, named: Collection[str]) -> dict[str, str]:
    rotated = select(api_keys.c.id, api_keys.c.first_id).where(
        api_keys.c.id.in_(named), api_keys.c.first_id.is_not(None)
    )
    return {row.id: row.first_id for row in await connection.execute(rotated)}


def _by_budget(rows: Iterable[Row[Any]]) -> dict[tuple[str, str], tuple[Grace, ...]]:
    found: dict[tuple[str, str], tuple[Grace, ...]] = {}
    for row in rows:
        key = (row.tenant, row.name)
        found[key] = (*found.get(key, ()), _grace(row))
    return found


def _is(tenant: str, name: str) -> tuple[Any, ...]:
    return budgets.c.tenant == tenant, budgets.c.name == name


def _budget(row: Any) -> Budget:
    return Budget(
        tenant=row.tenant,
        name=row.name,
        scope=Scope(ScopeKind(row.scope_kind), row.scope_name),
        amount=row.amount_nano_usd,
        period=WindowKind(row.period),
        kind=BudgetKind(row.kind),
        alerts=AlertRule(tuple(row.percents), row.projected, row.webhook),
        is_operators=row.is_operators,
        made_by=row.made_by,
        made_at=present(row.made_at),
    )


def _values(budget: Budget) -> dict[str, Any]:
    return {
        "tenant": budget.tenant,
        "name": budget.name,
        "scope_kind": budget.scope.kind.value,
        "scope_name": budget.scope.name,
        "amount_nano_usd": budget.amount,
        "period": budget.period.value,
        "kind": budget.kind.value,
        "percents": list(budget.alerts.percents),
        "projected": budget.alerts.projected,
        "webhook": budget.alerts.webhook,
        "is_operators": budget.is_operators,
        "made_by": budget.made_by,
        "made_at": budget.made_at,
    }


def _grace(row: Any) -> Grace:
    return Grace(row.amount_nano_usd, present(row.until), row.reason, row.granted_by, present(row.granted_at))
