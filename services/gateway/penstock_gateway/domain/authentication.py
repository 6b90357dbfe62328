"""From a credential to a caller; a key's revocation is seen within seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from penstock_common.errors import InvalidCredentials, ServiceUnavailable
from penstock_gateway.domain.identity import Caller, KeyRecord, Tenant, digest_of
from penstock_gateway.domain.policy import Policy

_MAX_KEY_LENGTH = 512
_MAX_CACHED_KEYS = 100_000


class KeyStore(Protocol):
    """Where created keys are kept."""

    async def find(self, digest: bytes) -> KeyRecord | None:
        """Return the key with this digest, live or not.

        Raises:
            KeyStoreUnavailable: if the store does not answer.
        """
        ...


class KeyStoreUnavailable(Exception):
    """The key store does not answer."""


@dataclass(frozen=True, slots=True)
class KeyFreshness:
    """How long a looked-up key is trusted: ``fresh`` always, ``stale`` while the store is down."""

    fresh: timedelta = timedelta(seconds=5)
    stale: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _Known:
    record: KeyRecord | None
    seen_at: float


class Authenticator:
    """Finds callers by the digest of their key.

    Keys named in the configuration need no store; created ones are looked up
    and remembered for ``freshness.fresh``. Redis takes no part in this.
    """

    def __init__(
        self,
        pepper: bytes,
        tenants: Mapping[str, Tenant],
        configured: Mapping[bytes, KeyRecord],
        store: KeyStore,
        freshness: KeyFreshness | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pepper = pepper
        self._tenants = tenants
        self._configured = configured
        self._store = store
        self._freshness = freshness or KeyFreshness()
        self._seen: dict[bytes, _Known] = {}
        self._monotonic = monotonic
        self._now = now

    async def authenticate(self, key: str, policy: Policy) -> Caller:
        """Return whom ``key`` belongs to.

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
        record = self._configured.get(digest) or await self._look_up(digest)
        tenant = self._tenants.get(record.tenant) if record is not None else None
        if record is None or tenant is None or not record.is_live(self._now()):
            raise InvalidCredentials("The API key is not valid.")
        policy.require(record.scopes)
        return Caller(tenant, record.id, record.scopes, record.models, record.networks, record.user_id)

    async def _look_up(self, digest: bytes) -> KeyRecord | None:
        now = self._monotonic()
        known = self._seen.get(digest)
        if known is not None and now - known.seen_at < self._freshness.fresh.total_seconds():
            return known.record
        try:
            record = await self._store.find(digest)
        except KeyStoreUnavailable:
            if known is not None and now - known.seen_at < self._freshness.stale.total_seconds():
                return known.record
            raise ServiceUnavailable("API keys cannot be checked right now. Try again.", service="keys") from None
        if record is not None:
            self._remember(digest, _Known(record, now))
        else:
            # Unknown keys are not remembered: guesses must not fill the memory.
            self._seen.pop(digest, None)
        return record

    def _remember(self, digest: bytes, known: _Known) -> None:
        if len(self._seen) >= _MAX_CACHED_KEYS:
            self._seen.clear()
        self._seen[digest] = known
