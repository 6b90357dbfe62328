"""Making, listing and revoking keys."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from penstock_gateway.domain.identity import KeyRecord, KeyScope, digest_of, new_key


class KeyRegister(Protocol):
    """Where keys are kept."""

    async def add(self, record: KeyRecord) -> None:
        """Keep a new key."""
        ...

    async def all(self) -> list[KeyRecord]:
        """Return every key, oldest first."""
        ...

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a live key; return whether there was one."""
        ...


class UnknownTenantError(Exception):
    """A key was asked for a tenant that the configuration does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What a new key shall prove. Empty ``models`` mean all; no ``lifetime`` means for good."""

    tenant: str
    label: str = ""
    scopes: frozenset[KeyScope] = frozenset({KeyScope.INFERENCE})
    models: frozenset[str] = frozenset()
    lifetime: timedelta | None = None


class KeyAdministration:
    """Keeps the digests of keys, never the keys."""

    def __init__(self, pepper: bytes, tenants: Collection[str], register: KeyRegister) -> None:
        self._pepper = pepper
        self._tenants = tenants
        self._register = register

    async def create(self, wanted: NewKey) -> tuple[str, KeyRecord]:
        """Return a new key, which is never seen again, and its record.

        Raises:
            UnknownTenantError: if the tenant is not configured.
        """
        if wanted.tenant not in self._tenants:
            known = ", ".join(sorted(self._tenants))
            raise UnknownTenantError(f"no tenant '{wanted.tenant}' in the configuration; known are {known}")
        key, key_id = new_key()
        now = datetime.now(UTC)
        record = KeyRecord(
            id=key_id,
            tenant=wanted.tenant,
            digest=digest_of(self._pepper, key),
            scopes=wanted.scopes,
            models=wanted.models,
            label=wanted.label,
            created_at=now,
            expires_at=now + wanted.lifetime if wanted.lifetime is not None else None,
        )
        await self._register.add(record)
        return key, record

    async def list(self) -> list[KeyRecord]:
        """Return every created key, oldest first."""
        return await self._register.all()

    async def revoke(self, key_id: str) -> bool:
        """Revoke a live key; return whether there was one."""
        return await self._register.revoke(key_id, datetime.now(UTC))
