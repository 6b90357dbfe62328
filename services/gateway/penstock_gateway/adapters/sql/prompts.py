"""Prompts in SQL: for requests, each look a query of its own, and for administration, in its transaction."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_common.errors import ResourceExists, ServiceUnavailable
from penstock_gateway.adapters.sql.collation import by_bytes
from penstock_gateway.adapters.sql.rows import aware, present
from penstock_gateway.adapters.sql.tables import prompt_labels, prompt_versions, prompts
from penstock_gateway.domain.prompts.content import Template
from penstock_gateway.domain.prompts.records import LabelRecord, PromptRecord, VersionRecord


class SqlPromptRecords:
    """Implements ``records.PromptRecords`` on one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def prompt(self, tenant: str, name: str) -> PromptRecord | None:
        """Return the prompt with its labels."""
        row = await self._first(select(prompts).where(prompts.c.tenant == tenant, prompts.c.name == name))
        return None if row is None else (await self._with_labels(tenant, [row]))[0]

    async def version(self, tenant: str, name: str, version: int) -> VersionRecord | None:
        """Return a version."""
        row = await self._first(_versions_of(tenant, name).where(prompt_versions.c.version == version))
        return None if row is None else _version_record(row)

    async def prompts(self, tenant: str, after: str, limit: int, *, with_archived: bool) -> list[PromptRecord]:
        """Return prompts by name."""
        name = by_bytes(prompts.c.name, self._connection.dialect.name)
        query = select(prompts).where(prompts.c.tenant == tenant, name > after).order_by(name).limit(limit)
        if not with_archived:
            query = query.where(prompts.c.archived_at.is_(None))
        return await self._with_labels(tenant, await self._rows(query))

    async def versions(self, tenant: str, name: str, before: int | None, limit: int) -> list[VersionRecord]:
        """Return versions, the newest first."""
        number = prompt_versions.c.version
        query = _versions_of(tenant, name).order_by(number.desc()).limit(limit)
        if before is not None:
            query = query.where(number < before)
        return [_version_record(row) for row in await self._rows(query)]

    async def hold(self, tenant: str, name: str) -> PromptRecord | None:
        """Return the prompt, whose row is locked: SQLite knows no other lock than that of who writes."""
        held = update(prompts).where(prompts.c.tenant == tenant, prompts.c.name == name)
        await self._connection.execute(held.values(newest_version=prompts.c.newest_version))
        return await self.prompt(tenant, name)

    async def next_version(self, tenant: str, name: str, now: datetime) -> int:
        """Return the number of a new version; who asks at the same moment waits for this transaction's end."""
        counted = (
            update(prompts)
            .where(prompts.c.tenant == tenant, prompts.c.name == name)
            .values(newest_version=prompts.c.newest_version + 1, archived_at=None)
            .returning(prompts.c.newest_version)
        )
        number = (await self._connection.execute(counted)).scalar()
        if number is not None:
            return int(number)
        new = insert(prompts).values(tenant=tenant, name=name, newest_version=1, created_at=now)
        try:
            await self._connection.execute(new)
        except IntegrityError:
            message = f"Somebody makes the prompt '{name}' at this moment. Try again."
            raise ResourceExists(message, kind="prompt", name=name) from None
        return 1

    async def add_version(self, record: VersionRecord) -> None:
        """Keep a version."""
        values = {
            "tenant": record.tenant,
            "name": record.name,
            "version": record.version,
            "template": msgspec.to_builtins(record.template),
            "note": record.note,
            "created_at": record.created_at,
            "created_by": record.created_by,
        }
        await self._connection.execute(insert(prompt_versions).values(**values))

    async def set_label(self, tenant: str, name: str, label: LabelRecord) -> None:
        """Have a label point where it says; the prompt's row is held, so that nobody else sets it meanwhile."""
        where = (prompt_labels.c.tenant == tenant, prompt_labels.c.name == name, prompt_labels.c.label == label.label)
        values = {"version": label.version, "earlier": list(label.earlier)}
        changed = await self._connection.execute(update(prompt_labels).where(*where).values(**values))
        if not changed.rowcount:
            new = insert(prompt_labels).values(tenant=tenant, name=name, label=label.label, **values)
            await self._connection.execute(new)

    async def archive(self, tenant: str, name: str, now: datetime) -> None:
        """Have nobody use the prompt."""
        of_prompt = (prompt_labels.c.tenant == tenant, prompt_labels.c.name == name)
        await self._connection.execute(delete(prompt_labels).where(*of_prompt))
        archived = update(prompts).where(prompts.c.tenant == tenant, prompts.c.name == name)
        await self._connection.execute(archived.values(archived_at=now))

    async def _with_labels(self, tenant: str, rows: list[Row[Any]]) -> list[PromptRecord]:
        names = [row.name for row in rows]
        query = select(prompt_labels).where(prompt_labels.c.tenant == tenant, prompt_labels.c.name.in_(names))
        labels: dict[str, list[LabelRecord]] = {name: [] for name in names}
        for row in await self._rows(query) if rows else ():
            labels[row.name].append(LabelRecord(row.label, row.version, tuple(row.earlier)))
        return [_prompt_record(row, labels[row.name]) for row in rows]

    async def _first(self, query: Select[Any]) -> Row[Any] | None:
        return (await self._connection.execute(query)).first()

    async def _rows(self, query: Select[Any]) -> list[Row[Any]]:
        return list((await self._connection.execute(query)).all())


class SqlPromptStore:
    """Implements ``records.PromptStore``; raises ``ServiceUnavailable`` while the database does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prompt(self, tenant: str, name: str) -> PromptRecord | None:
        """Return the prompt with its labels."""
        async with self._records() as records:
            return await records.prompt(tenant, name)

    async def version(self, tenant: str, name: str, version: int) -> VersionRecord | None:
        """Return a version."""
        async with self._records() as records:
            return await records.version(tenant, name, version)

    async def prompts(self, tenant: str, after: str, limit: int, *, with_archived: bool) -> list[PromptRecord]:
        """Return prompts by name."""
        async with self._records() as records:
            return await records.prompts(tenant, after, limit, with_archived=with_archived)

    @asynccontextmanager
    async def _records(self) -> AsyncGenerator[SqlPromptRecords, None]:
        try:
            async with self._engine.connect() as connection:
                yield SqlPromptRecords(connection)
        except (SQLAlchemyError, OSError) as error:
            raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error


def _versions_of(tenant: str, name: str) -> Select[Any]:
    return select(prompt_versions).where(prompt_versions.c.tenant == tenant, prompt_versions.c.name == name)


def _prompt_record(row: Row[Any], labels: list[LabelRecord]) -> PromptRecord:
    return PromptRecord(
        tenant=row.tenant,
        name=row.name,
        newest_version=row.newest_version,
        created_at=present(row.created_at),
        archived_at=aware(row.archived_at),
        labels=tuple(sorted(labels, key=lambda known: known.label)),
    )


def _version_record(row: Row[Any]) -> VersionRecord:
    return VersionRecord(
        tenant=row.tenant,
        name=row.name,
        version=row.version,
        template=msgspec.convert(row.template, Template),
        note=row.note,
        created_at=present(row.created_at),
        created_by=row.created_by,
    )
