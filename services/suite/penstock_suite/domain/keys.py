"""A created key as people see it: everything but the key."""

from __future__ import annotations

from datetime import datetime

import msgspec


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """Empty ``models`` and ``networks`` mean all; an empty tenant, that it is an operator's."""

    id: str
    tenant: str
    user_id: str
    label: str
    scopes: tuple[str, ...]
    models: tuple[str, ...]
    networks: tuple[str, ...]
    created_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    replaced_by: str

    def state(self, now: datetime) -> str:
        """Return live, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "live"
