"""Items of the review queue, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import ColumnElement, and_, case, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_common.secrecy import Unreadable
from penstock_gateway.adapters.sql.jobs.rows import moment_of, ms_of
from penstock_gateway.adapters.sql.reviews.database import ReviewDatabase
from penstock_gateway.adapters.sql.reviews.ending import decide_one, escalate_one, once, resealed
from penstock_gateway.adapters.sql.reviews.rows import (
    FREE,
    UNDECIDED,
    content_bytes,
    content_of,
    held_by,
    item_of,
    matching,
    nobodys,
    one,
    place_of,
    values_of,
)
from penstock_gateway.adapters.sql.reviews.tables import contents, items
from penstock_gateway.domain.reviews.item import EXPIRY, Content, ReviewItem, ReviewState, Ruling
from penstock_gateway.domain.reviews.ports import (
    Added,
    Claimant,
    Expiry,
    Held,
    Outcome,
    ReviewFilter,
    Room,
    Standing,
)

_ITEM = items.c
_NEVER = datetime.fromtimestamp(0, UTC)
_log = structlog.get_logger(__name__)


class SqlReviews:
    """Implements ``ReviewStore``."""

    def __init__(self, database: ReviewDatabase) -> None:
        self._database = database

    async def add(self, item: ReviewItem, content: Content, room: Room) -> Added:
        """Keep a new item, or count one that holds the same; see the port."""
        mark = None if item.held else self._database.mark(item, content)
        while True:
            try:
                return await self._add(item, content, room, mark)
            except IntegrityError:
                # Somebody has flagged the same since, and it is counted there.
                if mark is None or await self.get("", item.id, item.created_at) is not None:
                    raise

    async def get(self, tenant: str, review_id: str, now: datetime) -> ReviewItem | None:
        """Return an item; see the port."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(items).where(*one(tenant, review_id)))).first()
        return None if row is None else item_of(row, now)

    async def content(self, item: ReviewItem) -> Content | None:
        """Return what an item holds; see the port."""
        query = select(contents.c.sealed).where(contents.c.item == item.id)
        async with self._database.reading() as connection:
            sealed = (await connection.execute(query)).scalar()
        if sealed is None:
            return None
        try:
            return content_of(self._database.sealer.open(item.tenant, place_of(item.id), sealed))
        except (Unreadable, ValueError) as error:
            _log.error("review_cannot_be_read", item=item.id, reason=str(error))
            return None

    async def list(self, wanted: ReviewFilter, now: datetime, after: str, limit: int) -> Sequence[ReviewItem]:
        """Return items; see the port."""
        is_newest_first = ReviewState.DECIDED in wanted.states
        conditions = matching(wanted, now)
        if after:
            conditions.append(_ITEM.id < after if is_newest_first else _ITEM.id > after)
        order = _ITEM.id.desc() if is_newest_first else _ITEM.id
        query = select(items).where(*conditions).order_by(order).limit(limit)
        async with self._database.reading() as connection:
            return [item_of(row, now) for row in (await connection.execute(query)).all()]

    async def decided(
        self, wanted: ReviewFilter, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[ReviewItem]:
        """Return decided items; see the port."""
        ended = msgspec.structs.replace(wanted, states=frozenset({ReviewState.DECIDED}))
        conditions = matching(ended, _NEVER)
        if after is not None:
            at = ms_of(after[0])
            conditions.append(or_(_ITEM.decided_ms > at, and_(_ITEM.decided_ms == at, _ITEM.id > after[1])))
        query = select(items).where(*conditions).order_by(_ITEM.decided_ms, _ITEM.id).limit(limit)
        async with self._database.reading() as connection:
            return [item_of(row) for row in (await connection.execute(query)).all()]

    async def claim(self, tenant: str, review_id: str, by: Claimant, now: datetime) -> ReviewItem | None:
        """Make an item the claimant's; see the port."""
        is_own = and_(
            _ITEM.state == ReviewState.CLAIMED.value,
            _ITEM.reviewer == by.reviewer,
            _ITEM.claimed_until_ms > ms_of(now),
        )
        number = case((is_own, _ITEM.claim), else_=_ITEM.claim + 1)
        taken = update(items).where(*one(tenant, review_id), or_(nobodys(now), is_own))
        async with self._database.writing() as connection:
            row = (await connection.execute(taken.values(**_claimed(by, number)).returning(*_ITEM))).first()
        return None if row is None else item_of(row, now)

    async def claim_next(self, wanted: ReviewFilter, by: Claimant, now: datetime) -> ReviewItem | None:
        """Make the claimant's what is due first; see the port."""
        conditions = [*matching(wanted, now), nobodys(now), _is_of_others(by)]
        if not by.takes_escalated:
            conditions.append(_ITEM.escalated.is_(False))
        first = select(_ITEM.id).where(*conditions).order_by(_ITEM.due_ms, _ITEM.id).limit(1)
        chosen = _ITEM.id.in_(once(first.with_for_update(skip_locked=True)))
        taken = update(items).where(chosen).values(**_claimed(by, _ITEM.claim + 1)).returning(*_ITEM)
        async with self._database.writing() as connection:
            row = (await connection.execute(taken)).first()
        return None if row is None else item_of(row, now)

    async def decide(self, held: Held, ruling: Ruling, now: datetime) -> ReviewItem | None:
        """End an item; see the port."""
        async with self._database.writing() as connection:
            return await decide_one(connection, self._database, held_by(held), ruling, now, reviewer=held.reviewer)

    async def release(self, held: Held, note: str, now: datetime) -> ReviewItem | None:
        """Give an item back; see the port."""
        async with self._database.writing() as connection:
            freed = update(items).where(*held_by(held)).values(**FREE).returning(*_ITEM)
            row = (await connection.execute(freed)).first()
            if row is None:
                return None
            item = item_of(row, now)
            await resealed(connection, self._database, item, note=note, by=held.reviewer)
        return item

    async def escalate(self, held: Held, note: str, now: datetime) -> ReviewItem | None:
        """Give an item to those who take escalated ones; see the port."""
        async with self._database.writing() as connection:
            item = await escalate_one(connection, self._database, held_by(held), now)
            if item is not None:
                await resealed(connection, self._database, item, note=note, by=held.reviewer)
        return item

    async def expire(self, expiry: Expiry, now: datetime, limit: int) -> Sequence[ReviewItem]:
        """Do what is to be done of those whose time is over; see the port."""
        late = select(_ITEM.id).where(UNDECIDED, _ITEM.expires_ms < ms_of(now), nobodys(now))
        done: list[ReviewItem | None] = []
        async with self._database.writing() as connection:
            found = await connection.execute(late.limit(limit).with_for_update(skip_locked=True))
            for review_id in found.scalars().all():
                which = (_ITEM.id == review_id, UNDECIDED, nobodys(now))
                if expiry.ruling is None:
                    done.append(await escalate_one(connection, self._database, which, now, is_late=True))
                else:
                    ruling = expiry.ruling
                    done.append(await decide_one(connection, self._database, which, ruling, now, reviewer=EXPIRY))
        return [item for item in done if item is not None]

    async def forget(self, contents_before: datetime, items_before: datetime, limit: int) -> int:
        """Delete what is old; see the port."""
        stale = (
            select(contents.c.item)
            .join(items, items.c.id == contents.c.item)
            .where(_ITEM.decided_ms < ms_of(contents_before))
            .limit(limit)
        )
        old = select(_ITEM.id).where(_ITEM.decided_ms < ms_of(items_before)).limit(limit)
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(contents).where(contents.c.item.in_(once(stale))))
            ids = (await connection.execute(delete(items).where(_ITEM.id.in_(once(old))).returning(_ITEM.id))).scalars()
            forgotten = ids.all()
            if forgotten:
                await connection.execute(delete(contents).where(contents.c.item.in_(forgotten)))
        return max(gone.rowcount, len(forgotten))

    async def standing(self, now: datetime, soon: timedelta) -> Standing:
        """Return how the undecided items stand; see the port."""
        is_overdue = _ITEM.due_ms <= ms_of(now)
        is_soon = and_(_ITEM.due_ms > ms_of(now), _ITEM.due_ms <= ms_of(now + soon))
        counted = select(func.count(), _count_of(is_soon), _count_of(is_overdue), func.min(_ITEM.created_ms)).where(
            UNDECIDED
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(counted)).one()
        in_all, due_soon, overdue = row[0], row[1] or 0, row[2] or 0
        oldest = None if row[3] is None else moment_of(row[3])
        return Standing(in_all - due_soon - overdue, due_soon, overdue, oldest)

    async def _add(self, item: ReviewItem, content: Content, room: Room, mark: str | None) -> Added:
        sealed = self._database.sealer.seal(item.tenant, place_of(item.id), content_bytes(content))
        async with self._database.writing() as connection:
            if mark is not None:
                again = update(items).where(_ITEM.mark == mark).values(times=_ITEM.times + 1).returning(_ITEM.id)
                known = (await connection.execute(again)).scalar()
                if known is not None:
                    return Added(known, Outcome.GROUPED)
            if not await _has_room(connection, item, room):
                return Added("", Outcome.FULL)
            await connection.execute(insert(items).values(**values_of(item, mark)))
            await connection.execute(insert(contents).values(item=item.id, sealed=sealed))
        return Added(item.id, Outcome.OPENED)


async def _has_room(connection: AsyncConnection, item: ReviewItem, room: Room) -> bool:
    of_key = _count_of(_ITEM.key_id == item.key_id)
    counted = select(func.count(), of_key).where(UNDECIDED, _ITEM.tenant == item.tenant)
    row = (await connection.execute(counted)).one()
    return row[0] < room.tenant and (row[1] or 0) < room.key


def _count_of(condition: ColumnElement[bool]) -> Any:
    return func.sum(case((condition, 1), else_=0))


def _is_of_others(by: Claimant) -> ColumnElement[bool]:
    """Return the condition of an item of nobody's own request: by the user, where both sides have one."""
    if not by.user_id:
        return _ITEM.key_id.not_in(by.key_ids)
    return and_(_ITEM.user_id != by.user_id, or_(_ITEM.user_id != "", _ITEM.key_id.not_in(by.key_ids)))


def _claimed(by: Claimant, number: Any) -> dict[str, Any]:
    return {
        "state": ReviewState.CLAIMED.value,
        "reviewer": by.reviewer,
        "claim": number,
        "claimed_until_ms": ms_of(by.until),
    }
