"""The audit log as people see it."""

from __future__ import annotations

from datetime import datetime

import msgspec


class StoredEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change, or an attempt at one."""

    id: int
    occurred_at: datetime
    actor_key_id: str
    actor_user_id: str
    actor_tenant: str
    action: str
    tenant: str
    target: str
    client_address: str
    request_id: str
    outcome: str
    details: dict[str, str]
