"""One tenant's entries of one embedding model, as the tier reads and writes them."""

from __future__ import annotations

import uuid
from array import array
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from penstock_cache.domain.meaning.entry import KEYWORDS, NUMBERS, SCHEMA, Body, Card, MeaningEntry, opened, sealed
from penstock_cache.domain.meaning.ports import VectorMaker
from penstock_cache.domain.secrecy import KeyRing, TenantSecrets, Unreadable
from penstock_common.points.store import Collection, Engine, Payload, Point, Points, Where

PAGE_SIZE = 256
BACKGROUND_SECONDS = 10.0


class Neighbour(NamedTuple):
    """An entry near a text, and the cosine."""

    entry: MeaningEntry
    similarity: float


def collection_of(maker: VectorMaker) -> Collection:
    """Return where entries lie whose vectors this maker made."""
    return Collection("cache", SCHEMA, maker.name, maker.revision, maker.dimension, KEYWORDS, NUMBERS)


class Shelf:
    """What others have put here does not open, and counts as not there. Calls raise what ``Points`` raises."""

    def __init__(self, points: Points, keys: TenantSecrets, tenant: str) -> None:
        self.points = points
        self.keys = keys
        self._tenant = tenant

    def where(
        self, *, group: str = "", root: str = "", ids: Sequence[str] | None = None, fresh_after: float | None = None
    ) -> Where:
        """Return a condition that only this tenant's entries fulfil."""
        equal = {name: value for name, value in (("group", group), ("root", root)) if value}
        above = {} if fresh_after is None else {"fresh_until": fresh_after}
        return Where(self.keys.name, equal, above, ids=ids)

    async def nearest(
        self, vector: array[float], where: Where, *, limit: int, floor: float, seconds: float
    ) -> list[Neighbour]:
        """Return entries whose text is near."""
        found = await self.points.nearest(self.keys.turned(vector), where, limit=limit, floor=floor, timeout=seconds)
        entries = [(self._opened(each.id, each.tenant, each.payload), each.score) for each in found]
        return [Neighbour(entry, similarity) for entry, similarity in entries if entry is not None]

    async def get(self, ids: Sequence[str], seconds: float = BACKGROUND_SECONDS) -> dict[str, MeaningEntry]:
        """Return the entries of these ids that there are."""
        if not ids:
            return {}
        points = await self.points.get(self.keys.name, ids, timeout=seconds)
        entries = [self._opened(point.id, point.tenant, point.payload) for point in points]
        return {entry.id: entry for entry in entries if entry is not None}

    async def put(self, entry_id: str, card: Card, body: Body, vector: array[float]) -> None:
        """Keep an entry; the card's ``body`` is made here."""
        payload = {**card.payload(), "body": sealed(self.keys, entry_id, body)}
        point = Point(entry_id, self.keys.name, self.keys.turned(vector), payload)
        await self.points.put([point], timeout=BACKGROUND_SECONDS)

    async def change(self, entry_id: str, fields: Payload) -> None:
        """Change what the store sees of an entry."""
        await self.points.set_payload(self.where(ids=[entry_id]), fields, timeout=BACKGROUND_SECONDS)

    async def count(self, where: Where, seconds: float = BACKGROUND_SECONDS) -> int:
        """Return how many there are."""
        return await self.points.count(where, timeout=seconds)

    async def delete(self, where: Where) -> int:
        """Delete, and return how many there were."""
        return await self.points.delete(where, timeout=BACKGROUND_SECONDS)

    async def all(self, where: Where) -> AsyncIterator[MeaningEntry]:
        """Yield the entries in the order of their ids."""
        after = ""
        while True:
            page = await self.points.scroll(where, limit=PAGE_SIZE, after=after, timeout=BACKGROUND_SECONDS)
            for point in page.points:
                entry = self._opened(point.id, point.tenant, point.payload)
                if entry is not None:
                    yield entry
            if not page.after:
                return
            after = page.after

    async def page(self, where: Where, limit: int, after: str) -> tuple[list[MeaningEntry], str]:
        """Return a page in the order of ids, and what asks for the next."""
        page = await self.points.scroll(where, limit=limit, after=after, timeout=BACKGROUND_SECONDS)
        entries = [self._opened(point.id, point.tenant, point.payload) for point in page.points]
        return [entry for entry in entries if entry is not None], page.after

    def _opened(self, entry_id: str, tenant: str, payload: Payload) -> MeaningEntry | None:
        if tenant != self.keys.name:
            return None
        try:
            return opened(self.keys, self._tenant, entry_id, payload)
        except Unreadable:
            return None


class Library:
    """The shelves of all tenants, in the collection of whoever makes the vectors now, and in those of earlier makers.

    Earlier ones are never searched, but what is deleted or expires goes there, too; an earlier model that comes back
    finds its own again.
    """

    def __init__(self, engine: Engine, keys: KeyRing) -> None:
        self._engine = engine
        self.keys = keys
        self.makers: list[VectorMaker] = []
        """All that have made vectors here, as far as they are known."""
        self._registered: VectorMaker | None = None

    def points(self, maker: VectorMaker) -> Points:
        """Return the collection."""
        return self._engine.points(collection_of(maker))

    def every_points(self) -> list[Points]:
        """Return the collections of all makers."""
        return [self.points(maker) for maker in self.makers]

    async def register(self, maker: VectorMaker | None, *, anew: bool = False) -> None:
        """Note who makes the vectors now, if anybody knows, and learn who did before, or does elsewhere.

        ``anew``: also where this one is registered, as another process may have another maker by now.

        Raises:
            PointsUnavailable: if the store cannot be asked.
        """
        if maker is not None and maker == self._registered and not anew:
            return
        registry = self._engine.points(_REGISTRY)
        page = await registry.scroll(Where(_REGISTRAR), limit=_MOST_MAKERS, timeout=BACKGROUND_SECONDS)
        known = [_maker_of(point.payload) for point in page.points]
        if maker is not None and maker not in known:
            payload = {"name": maker.name, "revision": maker.revision, "dimension": maker.dimension}
            point = Point(str(uuid.uuid5(uuid.NAMESPACE_OID, maker.label)), _REGISTRAR, array("f", [1.0]), payload)
            await registry.put([point], timeout=BACKGROUND_SECONDS)
            known.append(maker)
        self.makers = known
        self._registered = maker

    async def shelf(self, tenant: str, maker: VectorMaker) -> Shelf:
        """Return a tenant's.

        Raises:
            KeysUnavailable: if its keys cannot be read.
        """
        return Shelf(self.points(maker), await self.keys.of(tenant), tenant)


def _maker_of(payload: Payload) -> VectorMaker:
    name, revision, dimension = payload["name"], payload["revision"], payload["dimension"]
    assert isinstance(name, str)
    assert isinstance(revision, str)
    assert isinstance(dimension, int)
    return VectorMaker(name, revision, dimension)


_REGISTRY = Collection("cache-makers", SCHEMA, "makers", "", 1)
_REGISTRAR = "penstock"
_MOST_MAKERS = 100
