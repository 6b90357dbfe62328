"""Calls that change something, made once however often they are sent.

Only what succeeded is kept: a refusal has changed nothing, so its key is free,
and the same call may be sent again, mended or not. A call whose process is gone
is nobody's once its lease has run out, and made again: whether it had changed
something by then, nobody knows.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from penstock_common.errors import IdempotencyInProgress, IdempotencyKeyReused, PenstockError
from penstock_gateway.domain.idempotency.keys import Marked, WhenBusy
from penstock_gateway.domain.idempotency.observing import CountSent, Sent, nobody_counts
from penstock_gateway.domain.idempotency.ports import Answer, CallStore, Claim
from penstock_gateway.domain.jobs.bell import Bell

_FIRST_LOOK = 0.05
_LOOKS_GROW = 1.5
_LONGEST_LOOK = 1.0
_OWNER_BYTES = 12
_LEASE_PARTS = 3
_FORGOTTEN_AT_ONCE = 500
# Between two of those, so that nobody who writes waits for long.
_PAUSE = 0.1

_log = structlog.get_logger(__name__)


class CallTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How long answers are kept, and how long a call is its maker's who is not heard of any more."""

    kept: timedelta = timedelta(hours=24)
    lease: timedelta = timedelta(seconds=30)


class AskedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that carries a key: whose it is, and how long its sender waits."""

    marked: Marked
    tenant: str
    request_id: str
    patience: timedelta


def reused() -> IdempotencyKeyReused:
    """Return the refusal of another request under a key that was used."""
    return IdempotencyKeyReused(
        "Another request was sent under this Idempotency-Key. Take a new key for a new request; repeat a request unchanged."
    )


def in_progress() -> IdempotencyInProgress:
    """Return the refusal of a request whose first sending is not answered yet."""
    return IdempotencyInProgress(
        "The request that was sent under this Idempotency-Key is not answered yet. Repeat it to get its answer."
    )


class KeptCalls:
    """Makes each call once, of all processes that share the store."""

    def __init__(self, store: CallStore, terms: CallTerms) -> None:
        self._store = store
        self._terms = terms
        self._bell = Bell()
        self.count: CountSent = nobody_counts
        """Who counts calls."""
        self._making: set[asyncio.Task[bytes]] = set()

    async def once(self, asked: AskedCall, make: Callable[[], Awaitable[bytes]]) -> tuple[bytes, Answer | None]:
        """Return what the call is answered with, and the answer that it was given before, where it was.

        ``make`` makes it, and returns what its answer is to be kept as.

        Raises:
            IdempotencyKeyReused: if another call was sent under the key.
            IdempotencyInProgress: if it is being made, and the sender waits no longer.
            PenstockError: what refuses the call.
        """
        claim = Claim(
            mark=asked.marked.mark,
            tenant=asked.tenant,
            fingerprint=asked.marked.fingerprint,
            owner=secrets.token_hex(_OWNER_BYTES),
            request_id=asked.request_id,
            until=_now() + self._terms.lease,
        )
        try:
            answer = await self._claim(claim, asked)
        except (IdempotencyKeyReused, IdempotencyInProgress) as refused:
            self.count(Sent.REUSED if isinstance(refused, IdempotencyKeyReused) else Sent.IN_PROGRESS)
            raise
        self.count(Sent.FIRST if answer is None else Sent.REPLAYED)
        if answer is not None:
            return answer.content, answer
        making = asyncio.get_running_loop().create_task(self._made(claim, make), name="idempotent call")
        self._making.add(making)
        making.add_done_callback(self._is_made)
        # Whose sender leaves goes on to its end: what it has done is what a repeat is told.
        return await asyncio.shield(making), None

    async def _made(self, claim: Claim, make: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            async with self._held(claim):
                content = await make()
        except BaseException:
            await asyncio.shield(self._free(claim))
            raise
        await self._keep(claim, content)
        return content

    def _is_made(self, making: asyncio.Task[bytes]) -> None:
        self._making.discard(making)
        if not making.cancelled():
            # Its sender, who may have left, was told.
            making.exception()

    async def forget(self, every: timedelta) -> None:
        """Delete what is too old, again and again."""
        gone = 0
        while True:
            await asyncio.sleep(_PAUSE if gone == _FORGOTTEN_AT_ONCE else every.total_seconds())
            gone = 0
            with suppress(PenstockError):
                gone = await self._store.forget(_now(), _FORGOTTEN_AT_ONCE)

    async def _claim(self, claim: Claim, asked: AskedCall) -> Answer | None:
        """Return the answer that there is; None once the call is the claim's."""
        loop = asyncio.get_running_loop()
        give_up, look = loop.time() + asked.patience.total_seconds(), _FIRST_LOOK
        listening = self._bell.listen(claim.mark)
        try:
            while True:
                found = await self._store.claim(_renewed(claim, self._terms.lease), _now())
                if found.is_ours:
                    return None
                if found.fingerprint != claim.fingerprint:
                    raise reused()
                if found.answer is not None:
                    return found.answer
                if asked.marked.when_busy is WhenBusy.CONFLICT or loop.time() >= give_up:
                    raise in_progress()
                await listening.heard(min(look, max(0.0, give_up - loop.time())))
                look = min(look * _LOOKS_GROW, _LONGEST_LOOK)
        finally:
            listening.close()

    @asynccontextmanager
    async def _held(self, claim: Claim) -> AsyncGenerator[None]:
        """Have the claim's word count while the context is open, however long that is."""
        task = asyncio.get_running_loop().create_task(self._hold(claim), name="idempotency lease")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def _hold(self, claim: Claim) -> None:
        lease = self._terms.lease
        while True:
            await asyncio.sleep(lease.total_seconds() / _LEASE_PARTS)
            with suppress(PenstockError):
                await self._store.hold(claim, _now() + lease)

    async def _keep(self, claim: Claim, content: bytes) -> None:
        try:
            if not await self._store.keep(claim, content, _now() + self._terms.kept):
                _log.warning("idempotent_answer_not_kept", request_id=claim.request_id, why="its lease had run out")
        except PenstockError as error:
            # It was done, and its sender hears so: a repeat would do it again, once the lease has run out.
            _log.warning("idempotent_answer_not_kept", request_id=claim.request_id, why=error.message)
        self._bell.ring(claim.mark)

    async def _free(self, claim: Claim) -> None:
        # Where the database does not answer, the lease runs out by itself.
        with suppress(PenstockError):
            await self._store.free(claim)
        self._bell.ring(claim.mark)


def _now() -> datetime:
    return datetime.now(UTC)


def _renewed(claim: Claim, lease: timedelta) -> Claim:
    return msgspec.structs.replace(claim, until=_now() + lease)
