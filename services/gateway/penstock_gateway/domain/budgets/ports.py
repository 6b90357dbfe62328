"""Where budgets are kept, and who knows where they stand, as the domain sees it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from penstock_gateway.domain.budgets.budget import Budget, Grace
from penstock_gateway.domain.limits.admission import Standing
from penstock_gateway.domain.limits.limit import Limit
from penstock_gateway.domain.webhooks.delivery import Delivery


class Kept(msgspec.Struct, frozen=True):
    """What the store has.

    Created budgets without their graces, graces by tenant and name, the configuration's too, and the time zones of created
    tenants by name; one that is missing has UTC. ``first_keys``: of rotated keys that budgets name, which they began as.
    """

    created: tuple[Budget, ...] = ()
    graces: Mapping[tuple[str, str], tuple[Grace, ...]] = {}
    zones: Mapping[str, str] = {}
    first_keys: Mapping[str, str] = {}

    def with_graces(self, budget: Budget) -> Budget:
        """Return a budget with the graces that it was granted."""
        graces = self.graces.get((budget.tenant, budget.name), ())
        return msgspec.structs.replace(budget, graces=graces) if graces else budget


class BudgetRecords(Protocol):
    """Budgets in one transaction."""

    async def budget(self, tenant: str, name: str) -> Budget | None:
        """Return a created budget without its graces, whose row nobody else changes until the transaction ends."""
        ...

    async def count(self, tenant: str) -> int:
        """Return how many budgets a tenant has created."""
        ...

    async def add(self, budget: Budget) -> None:
        """Keep a new one.

        Raises:
            ResourceExists: if the tenant has one of this name.
        """
        ...

    async def change(self, budget: Budget) -> None:
        """Keep a changed one."""
        ...

    async def delete(self, tenant: str, name: str) -> None:
        """Take one away, with its graces."""
        ...

    async def graces(self, tenant: str, name: str, now: datetime) -> tuple[Grace, ...]:
        """Return the graces of a budget that have not ended."""
        ...

    async def grant(self, tenant: str, name: str, grace: Grace) -> None:
        """Keep a grace."""
        ...


class BudgetStore(Protocol):
    """Budgets as every process reads them again and again.

    Raises:
        ServiceUnavailable: of each method, if the store does not answer.
    """

    async def kept(self, now: datetime, keys: Collection[str] = ()) -> Kept:
        """Return all that was created, the graces that have not ended, time zones, and what ``keys``, by id, began as."""
        ...


class Fired(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that was told: of a budget's period, at a threshold (``50`` or ``projected``), when so much was allowed."""

    budget_id: str
    period_start: datetime
    threshold: str
    limit: int


class AlertStore(Protocol):
    """Which alerts were told, over all processes."""

    async def claim_look(self, now: datetime, before: datetime) -> bool:
        """Return whether this process is to look at the budgets: nobody has since ``before``, and now it has."""
        ...

    async def fired(self) -> Sequence[Fired]:
        """Return the alerts that were told and not taken back."""
        ...

    async def fire(self, fired: Fired, delivery: Delivery | None) -> bool:
        """Keep that an alert is told, and its delivery with it; return False if another has. Those of earlier periods go."""
        ...

    async def resolve(self, fired: Fired, delivery: Delivery | None) -> bool:
        """Arm an alert again, and keep the delivery that tells of it; return False if another has."""
        ...


class Standings(Protocol):
    """Who knows where limits stand."""

    async def standings(self, limits: Sequence[Limit]) -> tuple[Standing, ...]:
        """Return where they stand now, in the order given; what is not known is left out. Takes nothing."""
        ...
