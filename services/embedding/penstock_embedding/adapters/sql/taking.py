"""Documents that are being taken in: who is at them, and the transaction that makes them found."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, exists, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_common.contract.knowledge import DocumentFailure
from penstock_common.errors import ResourceNotFound
from penstock_embedding.adapters.sql.chunk_rows import forget_document, remember_document, rows_of
from penstock_embedding.adapters.sql.database import Database, lock_base, place
from penstock_embedding.adapters.sql.garbage import throw_away
from penstock_embedding.adapters.sql.rows import now, readout_bytes, ref_of
from penstock_embedding.adapters.sql.tables import bases, contents, documents, indexes, pending, texts
from penstock_embedding.domain.knowledge.ports import IndexRef
from penstock_embedding.domain.knowledge.records import Key, Made, Readout, Taken

Row = Mapping[Any, Any]
LIVE = ("ready", "building")


class SqlTaking:
    """Implements ``Taking``."""

    def __init__(self, database: Database, owner: str, *, keeps_originals: bool) -> None:
        self._database = database
        self._owner = owner
        self._keeps_originals = keeps_originals

    async def take(self, lease: float, most_attempts: int, most_bytes: int = 0) -> Taken | None:
        """Take the one that has waited longest; see the port."""
        moment = time.time()
        due = pending.c.not_before <= moment, pending.c.leased_until < moment, *_within(most_bytes)
        oldest = select(pending).where(*due).order_by(pending.c.not_before, pending.c.put_at).limit(1)
        async with self._database.writing() as connection:
            row = (await connection.execute(oldest.with_for_update(skip_locked=True))).mappings().first()
            if row is None:
                return None
            key = Key(row["tenant"], row["base"], row["document"])
            attempts = row["attempts"] + 1
            if attempts > most_attempts:
                # Its lease ran out each time: who was at it died of it.
                await _fail(connection, key, row["version"], _DEADLY, keeps_originals=self._keeps_originals)
                return None
            held = {"owner": self._owner, "leased_until": moment + lease, "attempts": attempts}
            await connection.execute(update(pending).where(*_of(pending, key)).values(**held))
            found = select(documents).where(*_is(key))
            document = (await connection.execute(found)).mappings().one()
        return Taken(
            key=key,
            version=row["version"],
            fingerprint=document["fingerprint"],
            attempts=attempts,
            changes=document["changes"],
            filename=document["filename"],
            media_type=row["media_type"],
            title=row["title"],
            language=row["language"],
            put_at=row["put_at"],
        )

    async def seconds_to_next(self, most_bytes: int = 0) -> float | None:
        """Return when the next one may be taken; see the port."""
        due = func.min(_later(self._database, pending.c.not_before, pending.c.leased_until))
        async with self._database.reading() as connection:
            moment = (await connection.execute(select(due).where(*_within(most_bytes)))).scalar()
        return None if moment is None else max(0.0, moment - time.time())

    async def content(self, taken: Taken) -> bytes | None:
        """Return what was put; see the port."""
        key = taken.key
        query = select(contents.c.content).where(*_of(contents, key), contents.c.version == taken.version)
        async with self._database.reading() as connection:
            sealed = (await connection.execute(query)).scalar()
        if sealed is None:
            return None
        return self._database.sealer.open(key.tenant, place("content", key.base, key.document), sealed)

    async def renew(self, lease: float, keys: Sequence[Key]) -> None:
        """Hold what is held for longer; see the port."""
        named = tuple_(pending.c.tenant, pending.c.base, pending.c.document).in_(keys)
        mine = pending.c.owner == self._owner, pending.c.leased_until > 0, named
        async with self._database.writing() as connection:
            await connection.execute(update(pending).where(*mine).values(leased_until=time.time() + lease))

    async def put_back(self, taken: Taken, seconds: float, *, tried: bool) -> None:
        """Have it taken again later; see the port."""
        again: dict[str, Any] = {"owner": "", "leased_until": 0.0, "not_before": time.time() + seconds}
        if not tried:
            again["attempts"] = taken.attempts - 1
        async with self._database.writing() as connection:
            await connection.execute(update(pending).where(*self._held(taken)).values(**again))

    async def free_all(self) -> None:
        """Let all be taken; see the port."""
        if self._database.is_shared:
            return
        async with self._database.writing() as connection:
            await connection.execute(update(pending).values(owner="", leased_until=0.0))

    async def fail(self, taken: Taken, failure: DocumentFailure) -> None:
        """End it without success; see the port."""
        async with self._database.writing() as connection:
            if (await connection.execute(select(pending.c.version).where(*self._held(taken)))).scalar() is None:
                return
            await _fail(connection, taken.key, taken.version, failure, keeps_originals=self._keeps_originals)

    async def live_indexes(self, tenant: str, base: str) -> Sequence[IndexRef]:
        """Return the versions that documents go into; see the port."""
        async with self._database.reading() as connection:
            return await _live(connection, tenant, base)

    async def make_current(self, taken: Taken, made: Sequence[Made], readout: Readout) -> Sequence[IndexRef] | None:
        """Have a document found, as it is in all of these indexes; see the port."""
        key = taken.key
        rows = {one.index.version: rows_of(self._database, one) for one in made}
        text = self._database.sealer.seal(
            key.tenant, place("text", key.base, key.document, taken.version), readout_bytes(readout)
        )
        async with self._database.writing() as connection:
            row = await self._still_wanted(connection, taken)
            if row is None:
                return None
            live = {index.version: index for index in await _live(connection, key.tenant, key.base)}
            ready = {one.index.version for one in made}
            if lacking := [index for index in live.values() if index.version not in ready]:
                return lacking
            for number in live:
                await forget_document(connection, key, number)
            for one in made:
                if one.index.version in live:
                    await remember_document(connection, key, taken.version, one, rows[one.index.version])
            await self._settle(connection, taken, made, readout, text)
            for index in live.values() if row["current"] else ():
                await throw_away(connection, "drop", index, key.document, taken.version)
            for index in live.values() if row["changes"] != taken.changes else ():
                await throw_away(connection, "relabel", index, key.document)
        return ()

    async def _still_wanted(self, connection: AsyncConnection, taken: Taken) -> Row | None:
        try:
            await lock_base(connection, taken.key.tenant, taken.key.base)
        except ResourceNotFound:
            return None
        held = select(pending.c.version).where(*self._held(taken))
        if (await connection.execute(held)).scalar() is None:
            return None
        return (await connection.execute(select(documents).where(*_is(taken.key)))).mappings().first()

    async def _settle(
        self, connection: AsyncConnection, taken: Taken, made: Sequence[Made], readout: Readout, text: bytes
    ) -> None:
        key, parsed = taken.key, readout.parsed
        serving = select(bases.c.serving, bases.c.generation)
        of_it = bases.c.tenant == key.tenant, bases.c.id == key.base
        number, generation = (await connection.execute(serving.where(*of_it))).one()
        settled = {
            "current": taken.version,
            "current_fingerprint": taken.fingerprint,
            "found_since": generation + 1,
            "state": "ready",
            "failure": None,
            "title": readout.title,
            "language": readout.language,
            "media_type": parsed.media_type,
            "characters": len(parsed.text),
            "chunks": next((len(one.chunks) for one in made if one.index.version == number), 0),
            "updated_at": now(),
        }
        await connection.execute(update(documents).where(*_is(key)).values(**settled))
        await connection.execute(delete(texts).where(*_of(texts, key)))
        named = {"tenant": key.tenant, "base": key.base, "document": key.document}
        await connection.execute(insert(texts).values(**named, version=taken.version, content=text))
        await connection.execute(delete(pending).where(*_of(pending, key)))
        if not self._keeps_originals:
            await connection.execute(delete(contents).where(*_of(contents, key)))
        await connection.execute(update(bases).where(*of_it).values(generation=generation + 1))

    def _held(self, taken: Taken) -> tuple[Any, ...]:
        same = pending.c.version == taken.version, pending.c.put_at == taken.put_at
        return (*_of(pending, taken.key), *same, pending.c.owner == self._owner)


_DEADLY = DocumentFailure(
    "crashed", "The service ended each time that it took this document in. Send it in another format, or divide it."
)


def _within(most_bytes: int) -> tuple[Any, ...]:
    """Return what leaves larger documents out."""
    if not most_bytes:
        return ()
    document = (
        documents.c.tenant == pending.c.tenant,
        documents.c.base == pending.c.base,
        documents.c.id == pending.c.document,
    )
    return (exists().where(*document, documents.c.bytes <= most_bytes),)


def _later(database: Database, one: Any, other: Any) -> Any:
    return func.greatest(one, other) if database.is_shared else func.max(one, other)


async def _fail(
    connection: AsyncConnection, key: Key, version: int, failure: DocumentFailure, *, keeps_originals: bool
) -> None:
    told = {"reason": failure.reason, "message": failure.message, "place": failure.place}
    values = {"state": "failed", "failure": told, "updated_at": now()}
    await connection.execute(update(documents).where(*_is(key), documents.c.version == version).values(**values))
    await connection.execute(delete(pending).where(*_of(pending, key), pending.c.version == version))
    if not keeps_originals:
        await connection.execute(delete(contents).where(*_of(contents, key), contents.c.version == version))


async def _live(connection: AsyncConnection, tenant: str, base: str) -> list[IndexRef]:
    of_it = indexes.c.tenant == tenant, indexes.c.base == base
    query = select(indexes).where(*of_it, or_(*[indexes.c.state == state for state in LIVE])).order_by(indexes.c.number)
    return [ref_of(row, 0) for row in (await connection.execute(query)).mappings().all()]


def _is(key: Key) -> tuple[Any, Any, Any]:
    return documents.c.tenant == key.tenant, documents.c.base == key.base, documents.c.id == key.document


def _of(table: Any, key: Key) -> tuple[Any, Any, Any]:
    return table.c.tenant == key.tenant, table.c.base == key.base, table.c.document == key.document
