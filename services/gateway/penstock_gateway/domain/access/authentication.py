"""From a credential to a caller; a key's revocation is seen within seconds, and a slow store holds nobody up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from penstock_common.errors import InvalidCredentials, ServiceUnavailable
from penstock_gateway.domain.access.identity import OPERATORS, Caller, KeyRecord, TenantRecord, UserRecord, digest_of
from penstock_gateway.domain.access.policy import Policy
from penstock_gateway.domain.access.tenancy import TenantDirectory

_MAX_KEY_LENGTH = 512
_MAX_CACHED_KEYS = 100_000
# Looked up at once; beyond that the store counts as down, and guesses pile up nothing.
_MAX_PENDING = 1_000


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A stored key, and what its rights depend on; ``tenant`` is None for a configured one."""

    record: KeyRecord
    tenant: TenantRecord | None = None
    user: UserRecord | None = None


class KeyStore(Protocol):
    """Where created keys are kept."""

    async def find(self, digest: bytes) -> FoundKey | None:
        """Return the key with this digest, live or not.

        Raises:
            KeyStoreUnavailable: if the store does not answer.
        """
        ...


class KeyStoreUnavailable(Exception):
    """The key store does not answer."""


@dataclass(frozen=True, slots=True)
class KeyFreshness:
    """How long a looked-up key is trusted: ``fresh`` always, ``stale`` while the store is down or slow.

    A key in use is looked up again after half of ``fresh``, beside its requests.
    ``patience`` is how long a request waits for the store.
    """

    fresh: timedelta = timedelta(seconds=4)
    stale: timedelta = timedelta(seconds=30)
    patience: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Clock:
    """A monotonic clock in seconds, and the time of day."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Proof:
    """What a key proves until it expires."""

    caller: Caller
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Known:
    """What a look-up that began at ``seen_at`` has found; no proof for a key that is refused."""

    proof: _Proof | None
    seen_at: float


@dataclass(slots=True)
class _LookUp:
    """A look-up under way. It ends with what is known, None for an unknown key, or ``down``."""

    began_at: float
    found: asyncio.Future[_Known | None]
    is_down: bool = False


class Authenticator:
    """Finds callers by the digest of their key.

    Keys named in the configuration need no store; created ones are looked up
    and remembered. Redis takes no part in this.
    """

    def __init__(
        self,
        pepper: bytes,
        directory: TenantDirectory,
        configured: Mapping[bytes, KeyRecord],
        store: KeyStore,
        in_background: Callable[[Coroutine[Any, Any, None]], None],
        *,
        freshness: KeyFreshness | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._pepper = pepper
        self._directory = directory
        self._configured = {digest: self._proof(FoundKey(record)) for digest, record in configured.items()}
        self._store = store
        self._in_background = in_background
        freshness = freshness or KeyFreshness()
        self._fresh = freshness.fresh.total_seconds()
        self._stale = freshness.stale.total_seconds()
        self._patience = freshness.patience.total_seconds()
        clock = clock or Clock()
        self._monotonic, self._now = clock.monotonic, clock.now
        self._seen: dict[bytes, _Known] = {}
        self._pending: dict[bytes, _LookUp] = {}

    async def authenticate(self, key: str, policy: Policy) -> Caller:
        """Return whom ``key`` belongs to; waits for nothing where that is known.

        Raises:
            InvalidCredentials: no key, or not a live one of ours.
            ScopeMissing: the key has none of the scopes that ``policy`` asks for.
            ServiceUnavailable: the key store is down and the key is not remembered.
        """
        if not key:
            raise InvalidCredentials("No API key. Send one as 'Authorization: Bearer KEY' or 'x-api-key: KEY'.")
        if len(key) > _MAX_KEY_LENGTH:
            raise InvalidCredentials("The API key is not valid.")
        digest = digest_of(self._pepper, key)
        proof = self._configured.get(digest) or self._remembered(digest)
        if proof is None:
            known = await self._look_up(digest)
            proof = known.proof if known is not None else None
        if proof is None or (proof.expires_at is not None and self._now() >= proof.expires_at):
            raise InvalidCredentials("The API key is not valid.")
        policy.require(proof.caller.scopes)
        return proof.caller

    def _remembered(self, digest: bytes) -> _Proof | None:
        """Return the proof of a key that is fresh, and see that it stays so."""
        known = self._seen.get(digest)
        if known is None:
            return None
        age = self._monotonic() - known.seen_at
        if age >= self._fresh:
            return None
        if age >= self._fresh / 2 and digest not in self._pending:
            self._begin(digest)
        return known.proof

    async def _look_up(self, digest: bytes) -> _Known | None:
        known = self._seen.get(digest)
        if known is not None and self._monotonic() - known.seen_at < self._fresh:
            # Refused, and known to be.
            return known
        look_up = self._pending.get(digest) or self._begin(digest)
        if look_up is not None:
            # Those who come later to a slow look-up wait no longer than the first.
            patience = max(0.0, look_up.began_at + self._patience - self._monotonic())
            await asyncio.wait((look_up.found,), timeout=patience)
            if look_up.found.done() and not look_up.is_down:
                return look_up.found.result()
        if known is not None and self._monotonic() - known.seen_at < self._stale:
            return known
        raise ServiceUnavailable("API keys cannot be checked right now. Try again.", service="keys")

    def _begin(self, digest: bytes) -> _LookUp | None:
        if len(self._pending) >= _MAX_PENDING:
            return None
        look_up = _LookUp(self._monotonic(), asyncio.get_running_loop().create_future())
        self._pending[digest] = look_up
        self._in_background(self._ask_store(digest, look_up))
        return look_up

    async def _ask_store(self, digest: bytes, look_up: _LookUp) -> None:
        known: _Known | None = None
        look_up.is_down = True
        try:
            found = await self._store.find(digest)
            look_up.is_down = False
            if found is not None:
                known = _Known(self._proof(found), look_up.began_at)
                self._remember(digest, known)
            else:
                # Unknown keys are not remembered: guesses must not fill the memory.
                self._seen.pop(digest, None)
        except KeyStoreUnavailable:
            # Said by ``is_down``.
            pass
        finally:
            del self._pending[digest]
            look_up.found.set_result(known)

    def _remember(self, digest: bytes, known: _Known) -> None:
        if len(self._seen) >= _MAX_CACHED_KEYS:
            self._seen.clear()
        self._seen[digest] = known

    def _proof(self, found: FoundKey) -> _Proof | None:
        """Return what the key proves; None for one that is refused, whatever the time."""
        record, user = found.record, found.user
        tenant = self._directory.tenant(record.tenant, found.tenant) if record.tenant else OPERATORS
        if tenant is None or record.revoked_at is not None:
            return None
        scopes = record.possible_scopes
        if record.user_id:
            if user is None or user.disabled_at is not None:
                return None
            scopes &= user.role.permits
        caller = Caller(tenant, record.id, scopes, record.models, record.networks, record.user_id)
        return _Proof(caller, record.expires_at)
