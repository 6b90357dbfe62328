"""Budgets and limits as people see them, and what may be asked of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

import msgspec


class GraceRow(msgspec.Struct, frozen=True, kw_only=True):
    """More than the amount, until a time."""

    amount_nano_usd: int
    until: datetime
    reason: str
    granted_by: str
    granted_at: datetime


class BudgetRow(msgspec.Struct, frozen=True, kw_only=True):
    """A budget; ``scope`` is as the configuration writes it, ``alerts`` are percents and ``projected``."""

    id: str
    tenant: str
    name: str
    scope: str
    amount_nano_usd: int
    period: str
    kind: str
    alerts: tuple[str, ...]
    webhook: str
    graces: tuple[GraceRow, ...]
    is_configured: bool
    is_operators: bool
    time_zone: str
    created_at: datetime | None
    created_by: str


class BudgetStandingRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where a budget stands; ``resets_at`` is None for a sum, ``projected_nano_usd`` where nothing is said of the end."""

    limit_nano_usd: int
    spent_nano_usd: int
    reserved_nano_usd: int
    remaining_nano_usd: int
    projected_nano_usd: int | None
    period_start: datetime | None
    resets_at: datetime | None


class BudgetLineRow(msgspec.Struct, frozen=True, kw_only=True):
    """A budget and where it stands; None where nobody knows."""

    budget: BudgetRow
    standing: BudgetStandingRow | None


class BudgetDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a budget shall be; what is None stays as it is, or as nobody has said."""

    tenant: str
    name: str
    scope: str | None = None
    amount_nano_usd: int | None = None
    period: str | None = None
    kind: str | None = None
    alerts: tuple[str, ...] | None = None
    webhook: str | None = None


class BindingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that would bind a request; amounts in its measure's units, None where nobody knows."""

    name: str
    source: str
    scope: str
    allowance: str
    measure: str
    amount: int
    used: int | None
    reserved: int | None
    remaining: int | None
    resets_at: datetime | None
    is_shadow: bool
    binds_first: bool


class ExplainedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Whose request is meant: a key's, or a tenant's with a team and a user; and what it asks."""

    key_id: str
    tenant: str
    team: str
    user_id: str
    model: str
    feature: str


class Budgets(Protocol):
    """Budgets, as far as they are administered. What it refuses is a ``SuiteFailure``."""

    async def budgets(self, tenant: str, over_percent: int) -> list[BudgetLineRow]:
        """Return budgets of the tenant, or of all, of which at least so much is spent."""
        ...

    async def budget(self, tenant: str, name: str) -> BudgetLineRow:
        """Return a budget and where it stands."""
        ...

    async def create_budget(self, draft: BudgetDraft) -> BudgetRow:
        """Return the new budget."""
        ...

    async def change_budget(self, draft: BudgetDraft, fields: Collection[str]) -> BudgetRow:
        """Return the budget with these fields of the contract changed."""
        ...

    async def delete_budget(self, tenant: str, name: str) -> None:
        """Take a budget away."""
        ...

    async def grant_grace(
        self, tenant: str, name: str, amount_nano_usd: int, until: datetime, reason: str
    ) -> BudgetRow:
        """Return the budget, which has more until then."""
        ...

    async def explained_limits(self, wanted: ExplainedRequest) -> tuple[BindingRow, ...]:
        """Return what would bind a request, that which binds first at the top."""
        ...
