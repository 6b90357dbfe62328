"""From a key's id to its caller, for what was asked before and is done now: what the key may is looked up anew."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from penstock_common.errors import InvalidCredentials, ServiceUnavailable
from penstock_gateway.domain.access.asker import Asker
from penstock_gateway.domain.access.authentication import Clock, caller_of
from penstock_gateway.domain.access.identity import Caller, KeyRecord
from penstock_gateway.domain.access.look_ups import FoundKey, KeyStoreUnavailable
from penstock_gateway.domain.access.tenancy import TenantDirectory

_FRESH_SECONDS = 2.0
_MOST_KNOWN = 10_000
# A key that was rotated and has run out is who it was rotated into; so many times over.
_MOST_ROTATIONS = 8
_REFUSED = "The API key that asked for it is no longer valid, or its tenant is disabled."


class KeysById(Protocol):
    """Where created keys are kept."""

    async def find_id(self, tenant: str, key_id: str) -> FoundKey | None:
        """Return a tenant's key, live or not.

        Raises:
            KeyStoreUnavailable: if the store does not answer.
        """
        ...


class TokenHolders(Protocol):
    """Who knows how those stand who asked by tokens."""

    async def holder(self, tenant: str, key_id: str, asker: Asker) -> Caller:
        """Return the caller; raises what ``Holders.caller`` raises."""
        ...


@dataclass(frozen=True, slots=True)
class _Seen:
    found: FoundKey | None
    at: float


class Holders:
    """Finds callers by the ids of their keys. What the store says is believed for 2 s: a batch's lines are of one key."""

    def __init__(
        self,
        directory: TenantDirectory,
        configured: Iterable[KeyRecord],
        store: KeysById,
        tokens: TokenHolders | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._directory = directory
        self._store = store
        self._tokens = tokens
        clock = clock or Clock()
        self._monotonic, self._now = clock.monotonic, clock.now
        self._seen: OrderedDict[tuple[str, str], _Seen] = OrderedDict()
        self.take_over(configured)

    def take_over(self, configured: Iterable[KeyRecord]) -> None:
        """Have the configuration's keys be these from now on."""
        self._configured = {(record.tenant, record.id): FoundKey(record) for record in configured}

    async def caller(self, tenant: str, key_id: str, asker: Asker | None = None) -> Caller:
        """Return whom a key, or the token of ``asker``, belongs to, as they stand now.

        Raises:
            InvalidCredentials: if the key is not live any more, or its tenant, user or team is not.
            ServiceUnavailable: if the key store does not answer.
        """
        if asker is not None:
            if self._tokens is None:
                raise InvalidCredentials("The issuer of the token that asked for it is no longer known here.")
            return await self._tokens.holder(tenant, key_id, asker)
        for _ in range(_MOST_ROTATIONS):
            found = self._configured.get((tenant, key_id)) or await self._find(tenant, key_id)
            if found is None:
                break
            record = found.record
            if record.expires_at is None or self._now() < record.expires_at:
                caller = caller_of(found, self._directory)
                if caller is None:
                    break
                return caller
            if record.revoked_at is not None or not record.replaced_by:
                break
            key_id = record.replaced_by
        raise InvalidCredentials(_REFUSED)

    async def _find(self, tenant: str, key_id: str) -> FoundKey | None:
        name, now = (tenant, key_id), self._monotonic()
        seen = self._seen.get(name)
        if seen is None or now - seen.at >= _FRESH_SECONDS:
            try:
                seen = _Seen(await self._store.find_id(tenant, key_id), now)
            except KeyStoreUnavailable:
                raise ServiceUnavailable("API keys cannot be checked right now. Try again.", service="keys") from None
            self._seen[name] = seen
            self._seen.move_to_end(name)
            if len(self._seen) > _MOST_KNOWN:
                self._seen.popitem(last=False)
        return seen.found
