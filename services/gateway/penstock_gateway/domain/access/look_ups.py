"""Asking the key store about digests: many in one question, known keys apart from guesses."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from penstock_gateway.domain.access.identity import KeyRecord, TenantRecord, UserRecord

# Asked about in one question, which costs the store little more than one about a single key.
BATCH = 500


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A stored key, and what its rights depend on; ``tenant`` is None for a configured one.

    ``team_is_archived``: nobody may use what is of its team.
    """

    record: KeyRecord
    tenant: TenantRecord | None = None
    user: UserRecord | None = None
    team_is_archived: bool = False


class KeyStore(Protocol):
    """Where created keys are kept."""

    async def find_many(self, digests: Sequence[bytes]) -> Mapping[bytes, FoundKey]:
        """Return the keys that have one of these digests, live or not, by digest.

        Raises:
            KeyStoreUnavailable: if the store does not answer.
        """
        ...


class KeyStoreUnavailable(Exception):
    """The key store does not answer."""


@dataclass(slots=True, eq=False)
class LookUp:
    """A look-up that waits or is under way. It ends with what was found, None for an unknown key, or ``is_down``."""

    digest: bytes
    began_at: float
    ended: asyncio.Future[FoundKey | None]
    is_down: bool = False


class LookUps:
    """Look-ups of one kind: at most ``most`` at a time, in the order of their arrival, one question after the other.

    ``heard`` is called with each look-up that has an answer, before those who wait for it go on.
    """

    def __init__(
        self,
        store: KeyStore,
        in_background: Callable[[Coroutine[Any, Any, None]], None],
        heard: Callable[[LookUp, FoundKey | None], None],
        most: int,
    ) -> None:
        self._store = store
        self._in_background = in_background
        self._heard = heard
        self._most = most
        self._pending: dict[bytes, LookUp] = {}
        self._waiting: deque[LookUp] = deque()
        self._is_asking = False
        self.answered = 0
        """Questions that the store has answered."""

    def under_way(self, digest: bytes) -> LookUp | None:
        """Return the look-up that somebody has begun."""
        return self._pending.get(digest)

    def begin(self, digest: bytes, now: float) -> LookUp | None:
        """Return the new look-up; None where too many are under way."""
        if len(self._pending) >= self._most:
            return None
        look_up = LookUp(digest, now, asyncio.get_running_loop().create_future())
        self._pending[digest] = look_up
        self._waiting.append(look_up)
        if not self._is_asking:
            self._is_asking = True
            self._in_background(self._ask())
        return look_up

    async def _ask(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                await self._ask_about(batch)
        finally:
            self._is_asking = False
            # Empty, unless the process ends.
            self._end(list(self._waiting), None)
            self._waiting.clear()

    async def _ask_about(self, batch: Sequence[LookUp]) -> None:
        found: Mapping[bytes, FoundKey] | None = None
        try:
            found = await self._store.find_many([look_up.digest for look_up in batch])
            self.answered += 1
        except KeyStoreUnavailable:
            # Said by ``is_down``.
            pass
        finally:
            self._end(batch, found)

    def _end(self, batch: Sequence[LookUp], found: Mapping[bytes, FoundKey] | None) -> None:
        for look_up in batch:
            del self._pending[look_up.digest]
            look_up.is_down = found is None
            key = None if found is None else found.get(look_up.digest)
            if found is not None:
                self._heard(look_up, key)
            if not look_up.ended.done():
                look_up.ended.set_result(key)
