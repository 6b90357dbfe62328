"""Tenants, users, keys and the audit log in SQL."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Executable, Row, Select, String, Table, literal, select, tuple_, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_common.errors import ResourceExists, ServiceUnavailable
from penstock_gateway.adapters.sql.budgets.records import SqlBudgetRecords
from penstock_gateway.adapters.sql.collation import by_bytes
from penstock_gateway.adapters.sql.prompts import SqlPromptRecords
from penstock_gateway.adapters.sql.rows import (
    audit_entry,
    audit_values,
    key_record,
    key_values,
    team_record,
    tenant_record,
    tenant_values,
    user_record,
)
from penstock_gateway.adapters.sql.subjects import SqlSubjectRecords
from penstock_gateway.adapters.sql.tables import api_keys, audit_log, teams, tenants, users
from penstock_gateway.domain.access.identity import KeyRecord, TeamRecord, TenantRecord, UserRecord
from penstock_gateway.domain.administration.registry import AuditEntry, KeyFilter, Place, Records

# JSON columns hold lists; the domain has sets and tuples.
_AS_LIST = {"models": sorted, "regions": list}


class SqlRegistry:
    """Implements ``registry.Registry``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[Records, None]:
        """Yield a transaction."""
        try:
            async with self._engine.begin() as connection:
                yield _SqlRecords(connection)
        except (SQLAlchemyError, OSError) as error:
            raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error


class _SqlRecords(SqlSubjectRecords):
    """Implements ``registry.Records`` on one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection)
        self.prompts = SqlPromptRecords(connection)
        self.budgets = SqlBudgetRecords(connection)

    async def tenant(self, name: str) -> TenantRecord | None:
        row = await self._first(select(tenants).where(tenants.c.name == name))
        return None if row is None else tenant_record(row)

    async def tenants(self, after: str, limit: int) -> list[TenantRecord]:
        name = by_bytes(tenants.c.name, self._dialect)
        query = select(tenants).where(name > after).order_by(name).limit(limit)
        return [tenant_record(row) for row in await self._rows(query)]

    async def add_tenant(self, record: TenantRecord) -> None:
        taken = ResourceExists(f"There is a tenant '{record.name}' already.", kind="tenant", name=record.name)
        await self._insert(tenants.insert().values(**tenant_values(record)), taken)

    async def change_tenant(self, name: str, changes: Mapping[str, object]) -> None:
        await self._change(update(tenants).where(tenants.c.name == name), changes)

    async def team(self, tenant: str, name: str) -> TeamRecord | None:
        row = await self._first(select(teams).where(teams.c.tenant == tenant, teams.c.name == name))
        return None if row is None else team_record(row)

    async def teams(self, tenant: str | None, after: tuple[str, str], limit: int) -> list[TeamRecord]:
        names = by_bytes(teams.c.tenant, self._dialect), by_bytes(teams.c.name, self._dialect)
        query = select(teams).order_by(*names).limit(limit)
        if any(after):
            query = query.where(tuple_(*names) > tuple_(*(literal(text, String) for text in after)))
        if tenant is not None:
            query = query.where(teams.c.tenant == tenant)
        return [team_record(row) for row in await self._rows(query)]

    async def add_team(self, record: TeamRecord) -> None:
        taken = ResourceExists("The tenant has a team of this name already.", kind="team", name=record.name)
        await self._insert(teams.insert().values(**asdict(record)), taken)

    async def change_team(self, tenant: str, name: str, changes: Mapping[str, object]) -> None:
        await self._change(update(teams).where(teams.c.tenant == tenant, teams.c.name == name), changes)

    async def user(self, user_id: str) -> UserRecord | None:
        row = await self._first(select(users).where(users.c.id == user_id))
        return None if row is None else user_record(row)

    async def users(self, tenant: str | None, after: Place | None, limit: int) -> list[UserRecord]:
        query = self._by_age(users, after, limit)
        if tenant is not None:
            query = query.where(users.c.tenant == tenant)
        return [user_record(row) for row in await self._rows(query)]

    async def add_user(self, record: UserRecord) -> None:
        taken = ResourceExists("The tenant has a user of this name already.", kind="user", name=record.name)
        await self._insert(users.insert().values(**asdict(record)), taken)

    async def change_user(self, user_id: str, changes: Mapping[str, object]) -> None:
        await self._change(update(users).where(users.c.id == user_id), changes)

    async def key(self, key_id: str) -> KeyRecord | None:
        row = await self._first(select(api_keys).where(api_keys.c.id == key_id))
        return None if row is None else key_record(row)

    async def keys(self, wanted: KeyFilter, after: Place | None, limit: int) -> list[KeyRecord]:
        query = self._by_age(api_keys, after, limit)
        if wanted.tenant is not None:
            query = query.where(api_keys.c.tenant == wanted.tenant)
        if wanted.user_id:
            query = query.where(api_keys.c.user_id == wanted.user_id)
        if wanted.team:
            query = query.where(api_keys.c.team == wanted.team)
        return [key_record(row) for row in await self._rows(query)]

    async def add_key(self, record: KeyRecord) -> None:
        await self._connection.execute(api_keys.insert().values(**key_values(record)))

    async def replace_key(self, key_id: str, replaced_by: str, expires_at: datetime) -> bool:
        is_whole = _is(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None), api_keys.c.replaced_by.is_(None))
        change = update(api_keys).where(*is_whole).values(replaced_by=replaced_by, expires_at=expires_at)
        return (await self._connection.execute(change)).rowcount == 1

    async def revoke_key(self, key_id: str, at: datetime) -> bool:
        is_live = _is(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        change = update(api_keys).where(*is_live).values(revoked_at=at)
        return (await self._connection.execute(change)).rowcount == 1

    async def entries(self, tenant: str | None, before: int | None, limit: int) -> list[AuditEntry]:
        query = select(audit_log).order_by(audit_log.c.id.desc()).limit(limit)
        if tenant is not None:
            query = query.where(audit_log.c.tenant == tenant)
        if before is not None:
            query = query.where(audit_log.c.id < before)
        return [audit_entry(row) for row in await self._rows(query)]

    async def note(self, entry: AuditEntry) -> None:
        await self._connection.execute(audit_log.insert().values(**audit_values(entry)))

    def _by_age(self, table: Table, after: Place | None, limit: int) -> Select[Any]:
        row_id = by_bytes(table.c.id, self._dialect)
        query = select(table).order_by(table.c.created_at, row_id).limit(limit)
        if after is None:
            return query
        end = tuple_(literal(after.created_at, DateTime(timezone=True)), literal(after.id, String))
        return query.where(tuple_(table.c.created_at, row_id) > end)

    async def _first(self, query: Select[Any]) -> Row[Any] | None:
        return (await self._connection.execute(query)).first()

    async def _rows(self, query: Select[Any]) -> list[Row[Any]]:
        return list((await self._connection.execute(query)).all())

    async def _insert(self, insert: Executable, taken: ResourceExists) -> None:
        try:
            await self._connection.execute(insert)
        except IntegrityError:
            raise taken from None

    async def _change(self, change: Any, changes: Mapping[str, Any]) -> None:
        values = {name: _AS_LIST[name](value) if name in _AS_LIST else value for name, value in changes.items()}
        if values:
            await self._connection.execute(change.values(**values))


def _is(*conditions: ColumnElement[bool]) -> tuple[ColumnElement[bool], ...]:
    return conditions
