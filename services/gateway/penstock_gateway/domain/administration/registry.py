"""Where tenants, users, keys and the audit log are kept, as the domain sees it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from penstock_gateway.domain.access.identity import KeyRecord, RevokedSubject, TeamRecord, TenantRecord, UserRecord
from penstock_gateway.domain.budgets.ports import BudgetRecords
from penstock_gateway.domain.prompts.records import PromptRecords


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change, or an attempt at one; never a secret. ``id`` is the log's own, 0 until it is there."""

    id: int = 0
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
    """ok, or the snake-case name of the error."""
    details: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Place:
    """The last item of the page before: when it was made, and its id."""

    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which keys to list: of every tenant where it is None, of every user or team where that is empty."""

    tenant: str | None = None
    user_id: str = ""
    team: str = ""


class Records(Protocol):
    """One transaction. What is read may change until it is written; what is written holds its conditions."""

    @property
    def prompts(self) -> PromptRecords:
        """Prompts, in the same transaction."""
        ...

    @property
    def budgets(self) -> BudgetRecords:
        """Budgets, in the same transaction."""
        ...

    async def tenant(self, name: str) -> TenantRecord | None:
        """Return a created tenant."""
        ...

    async def tenants(self, after: str, limit: int) -> list[TenantRecord]:
        """Return created tenants by name."""
        ...

    async def add_tenant(self, record: TenantRecord) -> None:
        """Keep a new tenant.

        Raises:
            ResourceExists: if there is one of this name.
        """
        ...

    async def change_tenant(self, name: str, changes: Mapping[str, object]) -> None:
        """Change fields of ``TenantRecord``."""
        ...

    async def team(self, tenant: str, name: str) -> TeamRecord | None:
        """Return a team, archived or not."""
        ...

    async def teams(self, tenant: str | None, after: tuple[str, str], limit: int) -> list[TeamRecord]:
        """Return teams of a tenant, or of all, by tenant and name."""
        ...

    async def add_team(self, record: TeamRecord) -> None:
        """Keep a new team.

        Raises:
            ResourceExists: if the tenant has one of this name.
        """
        ...

    async def change_team(self, tenant: str, name: str, changes: Mapping[str, object]) -> None:
        """Change fields of ``TeamRecord``."""
        ...

    async def user(self, user_id: str) -> UserRecord | None:
        """Return a user."""
        ...

    async def users(self, tenant: str | None, after: Place | None, limit: int) -> list[UserRecord]:
        """Return users of a tenant, or of all, oldest first."""
        ...

    async def add_user(self, record: UserRecord) -> None:
        """Keep a new user.

        Raises:
            ResourceExists: if the tenant has one of this name.
        """
        ...

    async def change_user(self, user_id: str, changes: Mapping[str, object]) -> None:
        """Change fields of ``UserRecord``."""
        ...

    async def key(self, key_id: str) -> KeyRecord | None:
        """Return a key, live or not."""
        ...

    async def keys(self, wanted: KeyFilter, after: Place | None, limit: int) -> list[KeyRecord]:
        """Return keys, oldest first."""
        ...

    async def add_key(self, record: KeyRecord) -> None:
        """Keep a new key."""
        ...

    async def replace_key(self, key_id: str, replaced_by: str, expires_at: datetime) -> bool:
        """Have a key end at a time; return False if it was revoked or replaced meanwhile."""
        ...

    async def revoke_key(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; return False if it was revoked before."""
        ...

    async def revoked_subject(self, tenant: str, issuer: str, subject: str) -> RevokedSubject | None:
        """Return the one whose tokens are refused; None where they are not."""
        ...

    async def revoked_subjects(
        self, tenant: str | None, after: tuple[str, str, str], limit: int
    ) -> list[RevokedSubject]:
        """Return whose tokens are refused, in a tenant or in all, by tenant, issuer and subject."""
        ...

    async def add_revoked_subject(self, record: RevokedSubject) -> None:
        """Refuse their tokens."""
        ...

    async def drop_revoked_subject(self, tenant: str, issuer: str, subject: str) -> bool:
        """Refuse their tokens no more; return False if nobody did."""
        ...

    async def entries(self, tenant: str | None, before: int | None, limit: int) -> list[AuditEntry]:
        """Return audit entries about a tenant, or about all, the newest first."""
        ...

    async def note(self, entry: AuditEntry) -> None:
        """Keep an audit entry."""
        ...


class Registry(Protocol):
    """Opens transactions."""

    def begin(self) -> AbstractAsyncContextManager[Records]:
        """Return a transaction, committed on leaving, undone by an error.

        Raises:
            ServiceUnavailable: if the store does not answer.
        """
        ...
