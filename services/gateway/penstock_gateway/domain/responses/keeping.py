"""What callers do with kept answers: who sees them, what is gone on from, and how long they stay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from penstock_common.errors import (
    InvalidRequest,
    PenstockError,
    ResourceNotFound,
    ResourceState,
    UnsupportedParameter,
)
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.administration.audit import Now, utc_now
from penstock_gateway.domain.batches.desk import may_change, sees
from penstock_gateway.domain.responses.ids import ResponseIds
from penstock_gateway.domain.responses.ports import ResponseStore
from penstock_gateway.domain.responses.response import Chain, Content, Extent, Response, Status, Tail

KIND = "response"
_FORGOTTEN_AT_ONCE = 200
# Between two of those, so that nobody who writes waits for long.
_PAUSE = 0.1
_SHOWN = 96


class PreviousResponseNotFound(ResourceNotFound):
    """A request goes on from an answer that is not there, or not its caller's."""


class ResponseTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Whether and how long answers are kept, and how much a request may go on from.

    ``max_turns``: answers one after another. ``max_chain_bytes``: of all their items, the new request's included.
    """

    enabled: bool = True
    kept: timedelta = timedelta(days=30)
    max_turns: int = 500
    max_chain_bytes: int = 32 * 1024 * 1024


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is to be kept: how it is known, whose it is, and what it is asked. ``name`` is hexadecimal."""

    name: str
    created_at: datetime
    items: bytes
    tail: Tail | None = None
    """Of the chain that it goes on from: a stream is long, and has nothing of what was said before in hand."""


class Responses:
    """Keeps answers. A key sees what it asked for itself; with READ or ADMIN, its tenant's."""

    def __init__(self, store: ResponseStore, ids: ResponseIds, terms: ResponseTerms, now: Now = utc_now) -> None:
        self.ids = ids
        self.store = store
        self._terms = terms
        self._now = now

    def stores(self, caller: Caller, wanted: bool | None) -> bool:
        """Return whether an answer is to be kept; ``wanted``: what its request says of that, if anything.

        Raises:
            UnsupportedParameter: if it is to be, and may not.
        """
        may = self._terms.enabled and caller.tenant.stores_responses
        if wanted and not may:
            text = "'store' must be false: answers are not kept here."
            raise UnsupportedParameter(text, parameter="store")
        return may if wanted is None else wanted

    async def chain(
        self, caller: Caller, previous: str, own_bytes: int, hold: Callable[[int], None] | None = None
    ) -> Chain:
        """Return what a request goes on from that names ``previous``, and has items of ``own_bytes`` itself.

        Nothing of it is read before it is known to be the caller's and within its bounds, and ``hold`` has found room for
        its bytes.

        Raises:
            PreviousResponseNotFound: if there is none, or not all of it; or it is not the caller's.
            ResourceState: if that one has no answer, or not yet.
            InvalidRequest: if there is too much of it.
            PenstockError: what ``hold`` raises.
        """
        most = self._terms.max_turns
        if not self._may_be(caller, previous):
            raise _no_previous(previous)
        tenant, now = caller.tenant.name, self._now()
        extent = await self.store.extent(tenant, previous, now, most + 1)
        if extent is None or not sees(caller, extent.owner):
            raise _no_previous(previous)
        self._check_extent(extent, previous, own_bytes)
        if hold is not None:
            hold(extent.kept_bytes)
        turns = await self.store.chain(tenant, previous, now, most + 1)
        # Somebody may have deleted one meanwhile.
        if len(turns) != extent.turns:
            raise _broken(previous)
        return Chain(turns)

    def check_own(self, own_bytes: int) -> None:
        """Check what a request has itself: one that begins a chain, or that has items stand for others.

        Raises:
            InvalidRequest: if that is too much.
        """
        self._check_size(own_bytes)

    async def get(self, caller: Caller, response_id: str) -> Response:
        """Return an answer.

        Raises:
            ResourceNotFound: if the caller sees none of that id.
        """
        found = None
        if self._may_be(caller, response_id):
            found = await self.store.get(caller.tenant.name, response_id, self._now())
        if found is None or not sees(caller, found.owner):
            raise no_response(response_id)
        return found

    async def changeable(self, caller: Caller, response_id: str) -> Response:
        """Return an answer that the caller may end or delete.

        Raises:
            ResourceNotFound: if the caller sees none of that id, or may not.
        """
        found = await self.get(caller, response_id)
        if not may_change(caller, found.owner):
            raise no_response(response_id)
        return found

    async def delete(self, caller: Caller, response_id: str) -> Response:
        """Delete an answer; return what it was.

        Raises:
            ResourceNotFound: if the caller sees none of that id, or may not delete it.
        """
        found = await self.changeable(caller, response_id)
        if not await self.store.delete(found.tenant, found.id):
            raise no_response(response_id)
        return found

    def new(self, caller: Caller, asked: Asked, status: Status, content: Content) -> Response:
        """Return an answer as it is to be kept."""
        last = asked.tail
        return Response(
            id=self.ids.of(caller.tenant.name, asked.name),
            tenant=caller.tenant.name,
            owner=caller.counted_key_id,
            previous="" if last is None else last.id,
            depth=0 if last is None else last.depth + 1,
            chain_bytes=content.size_bytes + (0 if last is None else last.chain_bytes),
            created_at=asked.created_at,
            expires_at=asked.created_at + self._terms.kept,
            status=status,
            content=content,
        )

    async def forget(self, every: timedelta) -> None:
        """Delete what is too old, again and again."""
        gone = 0
        while True:
            await asyncio.sleep(_PAUSE if gone == _FORGOTTEN_AT_ONCE else every.total_seconds())
            gone = 0
            with suppress(PenstockError):
                gone = await self.store.forget(self._now(), _FORGOTTEN_AT_ONCE)

    def _may_be(self, caller: Caller, response_id: str) -> bool:
        """Return whether the tenant can have such a response: what is forged is not looked for."""
        return self.ids.is_of(caller.tenant.name, response_id)

    def _check_extent(self, extent: Extent, previous: str, own_bytes: int) -> None:
        turns, most = extent.depth + 1, self._terms.max_turns
        if turns >= most:
            text = f"previous_response_id goes on from {turns} responses, of {most} at most. Begin anew."
            raise InvalidRequest(text, field="previous_response_id")
        if extent.turns != turns:
            raise _broken(previous)
        if extent.status is not Status.QUEUED:
            check_followed(previous, extent.status)
        self._check_size(extent.chain_bytes + own_bytes)

    def _check_size(self, size_bytes: int) -> None:
        most = self._terms.max_chain_bytes
        if size_bytes > most:
            text = f"The input, with the responses before it, has {size_bytes} bytes, of {most} at most that are kept "
            text += "or referred to."
            raise InvalidRequest(f"{text} Begin anew, or send the items themselves with 'store': false.", field="input")


def no_response(response_id: str) -> ResourceNotFound:
    """Return the error of an answer that is not there, or not the asker's."""
    shown = response_id[:_SHOWN]
    return ResourceNotFound(f"Response with id '{shown}' not found.", kind=KIND, name=shown)


def check_followed(response_id: str, status: Status) -> None:
    """Check whether there is an answer to go on from.

    Raises:
        ResourceState: if it has not ended, or otherwise.
    """
    if status.may_be_followed:
        return
    if status is Status.QUEUED:
        text = f"The response '{response_id}' is not complete yet: wait for it, then go on from it."
    else:
        text = f"The response '{response_id}' is {status.value}: go on from the one before it."
    raise ResourceState(text, kind=KIND, name=response_id)


def _no_previous(response_id: str) -> PreviousResponseNotFound:
    shown = response_id[:_SHOWN]
    text = f"Previous response with id '{shown}' not found: it was not stored, was deleted, or is too old."
    return PreviousResponseNotFound(text, kind=KIND, name=shown)


def _broken(response_id: str) -> PreviousResponseNotFound:
    shown = response_id[:_SHOWN]
    text = f"Previous response with id '{shown}' not found whole: one that it goes on from was deleted. Begin anew."
    return PreviousResponseNotFound(text, kind=KIND, name=shown)
