"""Feedback in SQL: rows are added, read and erased, and never changed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Executable, Row, RowMapping, Select, delete, exists, func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_common.errors import ServiceUnavailable
from penstock_common.llm.types import Candidate
from penstock_gateway.adapters.sql.feedback.rows import (
    feedback_of,
    group_columns,
    summary_columns,
    summary_of,
    values_of,
)
from penstock_gateway.adapters.sql.feedback.tables import feedback
from penstock_gateway.domain.feedback.judgement import Feedback, Judged, Reason
from penstock_gateway.domain.feedback.ports import Tally, Wanted
from penstock_gateway.domain.feedback.summary import Dimension, Summary

_COLUMN = feedback.c


class SqlFeedback:
    """Implements ``FeedbackStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, given: Feedback, /) -> Feedback | None:
        """Return it with its id; None if its key has used its idempotency key before."""
        try:
            async with self._begun() as connection:
                added = await connection.execute(feedback.insert().values(**values_of(given)).returning(feedback))
                return feedback_of(added.one())
        except IntegrityError:
            return None

    async def sent_before(self, key_id: str, tenant: str, idempotency_key: str) -> Feedback | None:
        """Return what a key has sent under an idempotency key."""
        is_it = _COLUMN.tenant == tenant, _COLUMN.key_id == key_id, _COLUMN.idempotency_key == idempotency_key
        return await self._first(select(feedback).where(*is_it))

    async def latest_of(self, judged: Judged, author: str) -> Feedback | None:
        """Return what an author said last of an answer."""
        by_author = select(feedback).where(*_of(judged), _COLUMN.author == author)
        return await self._first(by_author.order_by(_COLUMN.id.desc()).limit(1))

    async def has_disputed(self, tenant: str, author: str, entry_id: str) -> bool:
        """Return whether an author has led to a dispute of an entry."""
        is_it = _COLUMN.tenant == tenant, _COLUMN.author == author, _COLUMN.disputed_entry == entry_id
        return bool(await self._scalar(select(exists().where(*is_it))))

    async def count_of_key(self, key_id: str, tenant: str, since: datetime) -> int:
        """Return how much feedback a key has given since then."""
        given = _COLUMN.key_id == key_id, _COLUMN.created_at > since, _COLUMN.tenant == tenant
        return int(await self._scalar(select(func.count()).select_from(feedback).where(*given)))

    async def count_of_answer(self, judged: Judged) -> int:
        """Return how much feedback there is of an answer."""
        return int(await self._scalar(select(func.count()).select_from(feedback).where(*_of(judged))))

    async def list(self, wanted: Wanted, before: int | None, limit: int) -> list[Feedback]:
        """Return feedback, the newest first, of before an id."""
        query = select(feedback).where(*_fitting(wanted)).order_by(_COLUMN.id.desc()).limit(limit)
        if before is not None:
            query = query.where(_COLUMN.id < before)
        return [feedback_of(row) for row in await self._rows(query)]

    async def summarize(self, wanted: Wanted, by: Sequence[Dimension], limit: int) -> list[Summary]:
        """Return a line for each group of what each author said last of each answer, those with the most first."""
        groups = group_columns(by)
        query = (
            select(*groups, *summary_columns())
            .where(*_fitting(wanted), last_words())
            .group_by(*groups)
            .order_by(func.count().desc(), *groups)
            .limit(limit)
        )
        summaries = [summary_of(row) for row in await self._mappings(query)]
        return [summary for summary in summaries if summary.judgements]

    async def delete(self, wanted: Wanted) -> int:
        """Erase feedback; return how much."""
        async with self._begun() as connection:
            return (await connection.execute(delete(feedback).where(*_fitting(wanted)))).rowcount

    async def newest_id(self) -> int:
        """Return the id of what was added last; 0 where there is none."""
        return int(await self._scalar(select(func.max(_COLUMN.id))) or 0)

    async def tallies(self, since: date) -> list[Tally]:
        """Return what was said since a day of answers that a model gave to their own wording, each author's last word."""
        groups = (_COLUMN.tenant, _COLUMN.upstream, _COLUMN.model, _COLUMN.task, _COLUMN.day)
        counts = func.count(_COLUMN.value).label("count"), func.sum(_COLUMN.value).label("total")
        is_own = _COLUMN.cache_entry == "", _COLUMN.upstream != "", _COLUMN.value.is_not(None)
        # How fast it is the router measures itself.
        is_of_quality = _COLUMN.reason != Reason.TOO_SLOW
        query = (
            select(*groups, *counts).where(_COLUMN.day >= since, *is_own, is_of_quality, last_words()).group_by(*groups)
        )
        return [
            Tally(
                tenant=row["tenant"],
                candidate=Candidate(upstream=row["upstream"], model=row["model"]),
                task=row["task"],
                day=row["day"],
                count=row["count"],
                total=float(row["total"]),
            )
            for row in await self._mappings(query)
        ]

    @asynccontextmanager
    async def _begun(self) -> AsyncGenerator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except (SQLAlchemyError, OSError) as error:
            raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error

    async def _rows(self, query: Executable) -> Sequence[Row[Any]]:
        async with self._begun() as connection:
            return (await connection.execute(query)).all()

    async def _mappings(self, query: Executable) -> Sequence[RowMapping]:
        async with self._begun() as connection:
            return (await connection.execute(query)).mappings().all()

    async def _first(self, query: Select[Any]) -> Feedback | None:
        rows = await self._rows(query)
        return feedback_of(rows[0]) if rows else None

    async def _scalar(self, query: Executable) -> Any:
        return (await self._rows(query))[0][0]


def last_words() -> ColumnElement[bool]:
    """Return the condition that an author has said nothing later of the same answer."""
    later = feedback.alias("later")
    of_the_same = (later.c[name] == _COLUMN[name] for name in ("tenant", "generation_id", "author"))
    return ~exists().where(*of_the_same, later.c.id > _COLUMN.id)


def _of(judged: Judged) -> tuple[ColumnElement[bool], ...]:
    return _COLUMN.tenant == judged.tenant, _COLUMN.generation_id == judged.generation_id


def _fitting(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.models:
        conditions.append(_COLUMN.public_model.in_(sorted(wanted.models)))
    if wanted.since is not None:
        conditions.append(_COLUMN.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(_COLUMN.created_at < wanted.until)
    equal = {"tenant": wanted.tenant, "generation_id": wanted.generation_id, "user": wanted.user, "thumb": wanted.thumb}
    conditions += [_COLUMN[name] == value for name, value in equal.items() if value]
    return conditions
