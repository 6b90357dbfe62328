"""Tenants and their users as people see them."""

from __future__ import annotations

from datetime import datetime

import msgspec


class StoredTenant(msgspec.Struct, frozen=True, kw_only=True):
    """Empty ``models`` and ``regions`` mean all; ``created_at`` is None for a tenant of the configuration."""

    name: str
    tier: str
    models: tuple[str, ...]
    regions: tuple[str, ...]
    is_configured: bool
    created_at: datetime | None
    disabled_at: datetime | None


class StoredUser(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of a tenant."""

    id: str
    tenant: str
    name: str
    role: str
    created_at: datetime
    disabled_at: datetime | None
