"""Tenants, users, keys, upstreams and the audit log as people see them, and what may be asked of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from penstock_suite.domain.answers import UpstreamRow
from penstock_suite.domain.budgets import Budgets
from penstock_suite.domain.cache_entries import CacheCounts, CacheEntries
from penstock_suite.domain.experiments import Experiments
from penstock_suite.domain.feedback import FeedbackRows
from penstock_suite.domain.jobs import Jobs
from penstock_suite.domain.knowledge import Knowledge
from penstock_suite.domain.ledger import LedgerBook
from penstock_suite.domain.prompts import Prompts
from penstock_suite.domain.requests import Administered
from penstock_suite.domain.reviews import Reviews
from penstock_suite.domain.usage import UsageLines
from penstock_suite.domain.webhooks import Webhooks


class StoredTenant(msgspec.Struct, frozen=True, kw_only=True):
    """Empty ``models`` and ``regions`` mean all; ``created_at`` is None for a tenant of the configuration."""

    name: str
    tier: str
    models: tuple[str, ...]
    regions: tuple[str, ...]
    is_configured: bool
    created_at: datetime | None
    disabled_at: datetime | None
    time_zone: str


class StoredTeam(msgspec.Struct, frozen=True, kw_only=True):
    """Some of a tenant's users and keys, whose limits and spend are counted together."""

    tenant: str
    name: str
    created_at: datetime
    archived_at: datetime | None


class RevokedSubject(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whose tokens are refused; those of every issuer where that is empty."""

    tenant: str
    issuer: str
    subject: str
    revoked_at: datetime


class StoredUser(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of a tenant, or a service account of it."""

    id: str
    tenant: str
    name: str
    role: str
    team: str
    kind: str
    created_at: datetime
    disabled_at: datetime | None


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A created key: everything but the key.

    Empty ``models`` and ``networks`` mean all; an empty tenant, that it is an operator's.
    """

    id: str
    tenant: str
    user_id: str
    label: str
    scopes: tuple[str, ...]
    models: tuple[str, ...]
    networks: tuple[str, ...]
    labels: tuple[str, ...]
    created_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    replaced_by: str
    team: str
    kind: str

    def state(self, now: datetime) -> str:
        """Return live, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "live"


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


class TenantRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Make or change a tenant. No ``models`` or ``regions`` mean all."""

    name: str
    tier: str
    models: tuple[str, ...]
    regions: tuple[str, ...]
    time_zone: str


class UserRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Make a user. An empty ``team`` is none."""

    tenant: str
    name: str
    role: str
    team: str
    is_service_account: bool


class KeyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Make a key. No ``models`` or ``networks`` mean all; no ``lifetime`` means for good; no ``team`` means the user's."""

    tenant: str
    user_id: str
    team: str
    label: str
    scopes: tuple[str, ...]
    models: tuple[str, ...]
    networks: tuple[str, ...]
    labels: tuple[str, ...]
    lifetime: timedelta | None


class EjectionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Leave an upstream out, or one ``model`` of it; no ``duration`` means ten minutes."""

    upstream: str
    model: str
    duration: timedelta | None
    reason: str
    force: bool
    """Also where nobody is left then."""


class Administration(
    CacheEntries,
    Prompts,
    FeedbackRows,
    Experiments,
    Knowledge,
    LedgerBook,
    UsageLines,
    Budgets,
    Jobs,
    Webhooks,
    Reviews,
    Protocol,
):
    """Keeps tenants, users, keys, prompts and documents, clears the cache, and has a word on upstreams. What it refuses is a ``SuiteFailure``; what cannot be meant, ``Misconfigured``."""

    async def create_tenant(self, wanted: TenantRequest) -> StoredTenant:
        """Return the new tenant."""
        ...

    async def tenants(self) -> list[StoredTenant]:
        """Return every tenant, of the configuration and created, by name."""
        ...

    async def update_tenant(self, wanted: TenantRequest, fields: Collection[str]) -> StoredTenant:
        """Return the tenant with ``fields`` changed."""
        ...

    async def switch_tenant(self, name: str, *, enabled: bool) -> StoredTenant:
        """Return the tenant, whose keys are accepted or refused from now on; a running stack knows within 5 s."""
        ...

    async def create_team(self, tenant: str, name: str) -> StoredTeam:
        """Return the new team."""
        ...

    async def teams(self, tenant: str) -> list[StoredTeam]:
        """Return the teams of the tenant, or of all, by name."""
        ...

    async def switch_team(self, tenant: str, name: str, *, archived: bool) -> StoredTeam:
        """Return the team, whose keys are refused or accepted from now on; a running stack knows within 5 s."""
        ...

    async def revoke_subject(self, tenant: str, issuer: str, subject: str) -> RevokedSubject:
        """Return whose tokens are refused from now on; a running stack does within 5 s."""
        ...

    async def revoked_subjects(self, tenant: str) -> list[RevokedSubject]:
        """Return whose tokens are refused, in the tenant or in all."""
        ...

    async def restore_subject(self, tenant: str, issuer: str, subject: str) -> None:
        """Have their tokens accepted again."""
        ...

    async def create_user(self, wanted: UserRequest) -> StoredUser:
        """Return the new user."""
        ...

    async def users(self, tenant: str) -> list[StoredUser]:
        """Return the users of the tenant, or of all, oldest first."""
        ...

    async def change_user(self, user_id: str, role: str | None, team: str | None) -> StoredUser:
        """Return the user with another role or team; what is None stays."""
        ...

    async def switch_user(self, user_id: str, *, enabled: bool) -> StoredUser:
        """Return the user, whose keys are accepted or refused from now on; a running stack knows within 5 s."""
        ...

    async def create_key(self, wanted: KeyRequest) -> tuple[str, StoredKey]:
        """Return the new key, which nothing shows again, and its record."""
        ...

    async def keys(self, tenant: str) -> list[StoredKey]:
        """Return every created key of the tenant, or of all, oldest first; none of the configuration's."""
        ...

    async def rotate_key(
        self, key_id: str, overlap: timedelta, lifetime: timedelta | None
    ) -> tuple[str, StoredKey, StoredKey]:
        """Return the new key, its record, and the older one's, which ends with the overlap."""
        ...

    async def revoke_key(self, key_id: str) -> StoredKey:
        """Return the revoked key; a running stack refuses it within 5 s."""
        ...

    async def entries(self, tenant: str, limit: int) -> list[StoredEntry]:
        """Return the newest audit entries about the tenant, or about all, the newest first."""
        ...

    async def clear_cache(self, tenant: str, model: str) -> int:
        """Return how many kept answers of the tenant (or of all) and the model (or of each) were deleted."""
        ...

    async def cache_counts(self) -> CacheCounts:
        """Return what the cache has done."""
        ...

    async def upstreams(self) -> tuple[UpstreamRow, ...]:
        """Return every upstream's places, in the configuration's order."""
        ...

    async def probe_upstream(self, upstream: str, model: str) -> tuple[UpstreamRow, ...]:
        """Return the upstream's places, or those of a model of it, which are about to be probed."""
        ...

    async def eject_upstream(self, wanted: EjectionRequest) -> tuple[UpstreamRow, ...]:
        """Return the places that are left out from now on; every process of the stack knows within a second."""
        ...

    async def restore_upstream(self, upstream: str, model: str) -> tuple[UpstreamRow, ...]:
        """Return the places that are asked again; every process of the stack knows within a second."""
        ...


OpenAdministration = Callable[[Administered], AbstractAsyncContextManager[Administration]]
