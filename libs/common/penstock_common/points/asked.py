"""``Points`` of an engine that somebody else holds: every call is a question that travels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from penstock_common.contract.points import (
    Count,
    Delete,
    Get,
    Matching,
    Nearest,
    Put,
    Question,
    Scroll,
    SetPayload,
    Size,
    Sweep,
)
from penstock_common.points import checks
from penstock_common.points.store import Collection, Page, Payload, Point, Scored, Terms, Vector, Where

# ruff: noqa: ASYNC109 - the engine is told of the time


class Ask(Protocol):
    """Brings a question to the engine and its answer back; raises what ``Points`` raises."""

    async def __call__(self, question: Question, timeout: float | None, /) -> Any:
        """Return the answer."""
        ...


class AskedPoints:
    """Implements ``Points`` by asking."""

    def __init__(self, collection: Collection, ask: Ask) -> None:
        self._collection = collection
        self._ask = ask

    @property
    def collection(self) -> Collection:
        """What is kept here."""
        return self._collection

    async def nearest(
        self,
        vector: Vector,
        where: Where,
        *,
        limit: int,
        floor: float,
        fields: Sequence[str] = (),
        timeout: float | None = None,
    ) -> Sequence[Scored]:
        """Return the nearest."""
        checks.check_vector(self._collection, vector)
        checks.check_where(self._collection, where)
        question = Nearest(
            collection=self._collection, vector=vector, where=where, limit=limit, floor=floor, fields=fields
        )
        return _of(where.tenant, await self._ask(question, timeout))

    async def matching(
        self,
        terms: Terms,
        where: Where,
        *,
        limit: int,
        fields: Sequence[str] = (),
        timeout: float | None = None,
    ) -> Sequence[Scored]:
        """Return those with the highest sums of products."""
        checks.check_terms(self._collection, terms)
        checks.check_where(self._collection, where)
        question = Matching(collection=self._collection, terms=terms, where=where, limit=limit, fields=fields)
        return _of(where.tenant, await self._ask(question, timeout)) if terms else ()

    async def put(self, points: Sequence[Point], *, timeout: float | None = None) -> None:
        """Keep the points."""
        checks.check_points(self._collection, points)
        if points:
            await self._ask(Put(collection=self._collection, points=points), timeout)

    async def get(self, tenant: str, ids: Sequence[str], *, timeout: float | None = None) -> Sequence[Point]:
        """Return those that the tenant has."""
        checks.check_tenant(tenant)
        checks.check_ids(ids)
        question = Get(collection=self._collection, tenant=tenant, ids=ids)
        return _of(tenant, await self._ask(question, timeout)) if ids else ()

    async def set_payload(self, where: Where, payload: Payload, *, timeout: float | None = None) -> None:
        """Change fields."""
        checks.check_where(self._collection, where)
        checks.check_payload(payload)
        await self._ask(SetPayload(collection=self._collection, where=where, payload=payload), timeout)

    async def delete(self, where: Where, *, timeout: float | None = None) -> int:
        """Delete, and return how many there were."""
        checks.check_where(self._collection, where)
        return await self._ask(Delete(collection=self._collection, where=where), timeout)

    async def count(self, where: Where, *, timeout: float | None = None) -> int:
        """Return how many there are."""
        checks.check_where(self._collection, where)
        return await self._ask(Count(collection=self._collection, where=where), timeout)

    async def scroll(self, where: Where, *, limit: int, after: str = "", timeout: float | None = None) -> Page:
        """Return a page."""
        checks.check_where(self._collection, where)
        checks.check_ids([after] if after else [])
        question = Scroll(collection=self._collection, where=where, limit=limit, after=after)
        page: Page = await self._ask(question, timeout)
        return Page(_of(where.tenant, page.points), page.after)

    async def drop_tenant(self, tenant: str, *, timeout: float | None = None) -> None:
        """Delete all that the tenant has."""
        await self.delete(Where(tenant), timeout=timeout)

    async def sweep(self, field: str, below: float, *, timeout: float | None = None) -> int:
        """Delete the points of every tenant whose number is lower."""
        checks.check_numbers(self._collection, [field])
        return await self._ask(Sweep(collection=self._collection, field=field, below=below), timeout)

    async def size(self, *, timeout: float | None = None) -> int:
        """Return how many there are."""
        return await self._ask(Size(collection=self._collection), timeout)


_Owned = TypeVar("_Owned", Point, Scored)


def _of(tenant: str, found: Sequence[_Owned]) -> Sequence[_Owned]:
    """Return those that are the tenant's: nothing of another goes on, also where an engine loses its filter."""
    return tuple([one for one in found if one.tenant == tenant])
