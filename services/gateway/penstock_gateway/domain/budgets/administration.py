"""Making, changing and taking away budgets, granting grace, and showing where they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from penstock_common.errors import (
    InvalidRequest,
    ResourceExists,
    ResourceNotFound,
    ResourceState,
    RightsExceeded,
    ScopeMissing,
)
from penstock_gateway.domain.access.identity import KeyScope
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed, Now, utc_now
from penstock_gateway.domain.administration.paging import Listing, Page, listing
from penstock_gateway.domain.administration.registry import Records, Registry
from penstock_gateway.domain.administration.tenants import existing_tenant
from penstock_gateway.domain.budgets.book import BudgetBook
from penstock_gateway.domain.budgets.budget import (
    MAX_NANO_USD,
    MAX_PERCENT,
    NO_USER,
    PERIODS,
    Budget,
    Grace,
    counts_nobody,
    described,
    usd,
)
from penstock_gateway.domain.budgets.ports import Standings
from penstock_gateway.domain.budgets.standing import BudgetStanding, standing_of
from penstock_gateway.domain.limits.limit import Scope, ScopeKind
from penstock_gateway.domain.webhooks.endpoint import Endpoint

MAX_BUDGETS = 500
"""That a tenant may have created."""
MAX_PERCENTS = 16
MAX_GRACE = timedelta(days=366)
CHANGEABLE = ("amount_nano_usd", "period", "kind", "alert_percents", "alerts_projected", "webhook")
_KIND = "budget"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MAX_SCOPE = 256
_MAX_REASON = 256


class BudgetLine(NamedTuple):
    """A budget and where it stands; None where nobody knows."""

    budget: Budget
    standing: BudgetStanding | None


class BudgetParts(NamedTuple):
    """What administration goes by."""

    book: BudgetBook
    standings: Standings
    endpoints: Callable[[], Mapping[str, Endpoint]]
    """Returns the webhooks by name."""


class BudgetAdministration:
    """Keeps budgets. One of another tenant is, for a tenant's own key, one that does not exist.

    So is, for a key of a team, one that is not that team's; and it changes none, its own team's neither.
    """

    def __init__(self, directory: TenantDirectory, registry: Registry, parts: BudgetParts, now: Now = utc_now) -> None:
        self._directory = directory
        self._book = parts.book
        self._parts = parts
        self._now = now
        self._audit = AuditLog(registry, now)

    async def create(self, actor: Actor, wanted: Budget) -> Budget:
        """Return the new budget.

        Raises:
            ResourceExists: if the tenant has one of this name.
            RightsExceeded: if the actor's key is of a team.
        """
        meant, after = wanted.tenant or actor.tenant, {"after": described(wanted)}
        async with self._audit.changing(Deed(actor, "budget.create", meant, wanted.name, after)) as records:
            owner = bounds.required_tenant(actor.meant(wanted.tenant))
            _check_of_whole_tenant(actor)
            self._check(actor, owner, wanted)
            await existing_tenant(self._directory, records, owner)
            if self._configured(owner, wanted.name) is not None:
                message = f"The configuration has a budget '{wanted.name}' of the tenant '{owner}'."
                raise ResourceExists(message, kind=_KIND, name=wanted.name)
            if await records.budgets.count(owner) >= MAX_BUDGETS:
                raise InvalidRequest(f"A tenant may have at most {MAX_BUDGETS} budgets.", field="budget.name")
            made = msgspec.structs.replace(
                wanted,
                tenant=owner,
                is_operators=actor.is_operator,
                made_by=actor.user_id or actor.key_id,
                made_at=self._now(),
            )
            await records.budgets.add(made)
        await self._book.renew()
        return made

    async def get(self, actor: Actor, tenant: str, name: str) -> Budget:
        """Return a budget, as it is now.

        Raises:
            ResourceNotFound: if the tenant has none of this name.
        """
        owner = bounds.required_tenant(actor.meant(tenant))
        await self._book.renew()
        budget = self._found(owner, name)
        if not _is_seen(actor, budget):
            raise no_budget(name)
        return budget

    async def standing(self, actor: Actor, tenant: str, name: str) -> BudgetLine:
        """Return a budget and where it stands."""
        (line,) = await self._lines([await self.get(actor, tenant, name)])
        return line

    async def list(self, actor: Actor, tenant: str, page: Page, over_percent: int = 0) -> Listing[BudgetLine]:
        """Return budgets and where they stand, by tenant and name: of every tenant for an operator who names none."""
        meant = bounds.named_tenant(actor.meant(tenant))
        await self._book.renew()
        of_tenant = (one for one in self._book.budgets if meant in ("", one.tenant))
        budgets = [one for one in of_tenant if _is_seen(actor, one) and _place(one) > page.after]
        found = listing(sorted(budgets, key=_place)[: page.size + 1], page, _place)
        lines = [line for line in await self._lines(found.items) if _is_over(line, over_percent)]
        return Listing(lines, found.next_token)

    async def update(self, actor: Actor, wanted: Budget, fields: Collection[str]) -> Budget:
        """Return the budget with ``fields``, those of ``CHANGEABLE``, as ``wanted`` says.

        Raises:
            ResourceState: if it stands in the configuration.
            RightsExceeded: if the actor's key is of a team.
            ScopeMissing: if it is an operator's, and the actor is none.
        """
        meant, details = wanted.tenant or actor.tenant, dict[str, str]()
        async with self._audit.changing(Deed(actor, "budget.update", meant, wanted.name, details)) as records:
            owner = bounds.required_tenant(actor.meant(wanted.tenant))
            _check_of_whole_tenant(actor)
            named = set(fields) - {"tenant", "name"}
            unknown = named - set(CHANGEABLE)
            if unknown or not named:
                told = f", not {min(unknown)[:64]}" if unknown else ""
                raise InvalidRequest(f"update_mask names some of {', '.join(CHANGEABLE)}{told}.", field="update_mask")
            before = await self._changeable(actor, records, owner, wanted.name)
            changed = _with(before, wanted, named)
            details |= {"before": described(before), "after": described(changed)}
            self._check(actor, owner, changed)
            await records.budgets.change(changed)
        await self._book.renew()
        return self._found(owner, wanted.name)

    async def delete(self, actor: Actor, tenant: str, name: str) -> None:
        """Take a budget away; what its scope has spent stays in the ledger, and counts if it is made again.

        Raises:
            ResourceState, RightsExceeded, ScopeMissing: as ``update``.
        """
        details = dict[str, str]()
        async with self._audit.changing(Deed(actor, "budget.delete", tenant or actor.tenant, name, details)) as records:
            owner = bounds.required_tenant(actor.meant(tenant))
            _check_of_whole_tenant(actor)
            before = await self._changeable(actor, records, owner, name)
            details["before"] = described(before)
            await records.budgets.delete(owner, name)
        await self._book.renew()

    async def grant(self, actor: Actor, tenant: str, name: str, grace: Grace) -> Budget:
        """Return the budget, which has more until ``grace.until``; also one of the configuration, by an operator.

        Raises:
            RightsExceeded: if the actor's key is of a team.
            ScopeMissing: if it is an operator's or the configuration's, and the actor is no operator.
        """
        now, details = self._now(), {"amount": usd(grace.amount), "reason": grace.reason}
        details["until"] = grace.until.isoformat()
        async with self._audit.changing(Deed(actor, "budget.grant", tenant or actor.tenant, name, details)) as records:
            owner = bounds.required_tenant(actor.meant(tenant))
            _check_of_whole_tenant(actor)
            given = _checked(grace, now)
            budget = self._configured(owner, name) or await _created(records, owner, name)
            _require_owner(actor, budget)
            held = msgspec.structs.replace(budget, graces=await records.budgets.graces(owner, name, now))
            details["before"] = usd(held.effective(now))
            made = msgspec.structs.replace(given, by=actor.user_id or actor.key_id, granted_at=now)
            after = msgspec.structs.replace(held, graces=(*held.graces, made))
            details["after"] = usd(after.effective(now))
            await records.budgets.grant(owner, name, made)
        await self._book.renew()
        return after

    def _found(self, owner: str, name: str) -> Budget:
        for budget in self._book.budgets:
            if (budget.tenant, budget.name) == (owner, name):
                return budget
        raise no_budget(name)

    def _configured(self, owner: str, name: str) -> Budget | None:
        return next((one for one in self._book.configured if (one.tenant, one.name) == (owner, name)), None)

    async def _changeable(self, actor: Actor, records: Records, owner: str, name: str) -> Budget:
        if self._configured(owner, name) is not None:
            raise ResourceState(
                f"The budget '{name}' stands in the configuration: change it there.", kind=_KIND, name=name
            )
        budget = await _created(records, owner, name)
        _require_owner(actor, budget)
        return budget

    async def _lines(self, budgets: Sequence[Budget]) -> list[BudgetLine]:
        limits = [self._book.limit_of(budget) for budget in budgets]
        now, known = self._now(), await self._parts.standings.standings(limits)
        by_id = {one.limit.budget: standing_of(one, now) for one in known}
        return [BudgetLine(budget, by_id.get(budget.id)) for budget in budgets]

    def _check(self, actor: Actor, owner: str, wanted: Budget) -> None:
        if not _NAME.fullmatch(wanted.name):
            raise InvalidRequest("budget.name must have 1 to 64 characters of A-Z a-z 0-9 . _ -", field="budget.name")
        if not 0 <= wanted.amount <= MAX_NANO_USD:
            raise InvalidRequest(
                f"budget.amount_nano_usd must be from 0 to {MAX_NANO_USD}.", field="budget.amount_nano_usd"
            )
        _check_scope(wanted.scope)
        if wanted.period not in PERIODS:
            raise InvalidRequest("budget.period must be a day, a week, a month or total.", field="budget.period")
        percents = wanted.alerts.percents
        if len(percents) > MAX_PERCENTS or not all(1 <= percent <= MAX_PERCENT for percent in percents):
            raise InvalidRequest(
                f"budget.alert_percents may hold at most {MAX_PERCENTS}, from 1 to {MAX_PERCENT}.",
                field="budget.alert_percents",
            )
        self._check_webhook(actor, owner, wanted.alerts.webhook)

    def _check_webhook(self, actor: Actor, owner: str, name: str) -> None:
        mine = {one.name for one in self._parts.endpoints().values() if actor.is_operator or owner in one.tenants}
        if name and name not in mine:
            known = f"; there are {', '.join(sorted(mine))}" if mine else "; there is none that you may name"
            message = f"budget.webhook must be one that is configured, not '{name[:64]}'{known}."
            raise InvalidRequest(message, field="budget.webhook")


def no_budget(name: str) -> ResourceNotFound:
    """Return the error that says so."""
    return ResourceNotFound(f"There is no budget '{name[:64]}'.", kind=_KIND, name=name[:64])


async def _created(records: Records, owner: str, name: str) -> Budget:
    budget = await records.budgets.budget(owner, name) if _NAME.fullmatch(name) else None
    if budget is None:
        raise no_budget(name)
    return budget


def _require_owner(actor: Actor, budget: Budget) -> None:
    if budget.is_operators and not actor.is_operator:
        raise ScopeMissing(
            f"The budget '{budget.name}' is an operator's: an operator alone changes it.", scope=KeyScope.OPERATOR
        )


def _check_of_whole_tenant(actor: Actor) -> None:
    if actor.team:
        raise RightsExceeded(
            f"Your API key is of the team '{actor.team}'; budgets are made and changed with one that is of none.",
            bound="team",
        )


def _is_seen(actor: Actor, budget: Budget) -> bool:
    return not actor.team or budget.scope == Scope(ScopeKind.TEAM, actor.team)


def _check_scope(scope: Scope) -> None:
    if (scope.kind is ScopeKind.TENANT) is bool(scope.name):
        raise InvalidRequest(
            "budget.scope_name must say whose the budget is, and be empty for the tenant's own.",
            field="budget.scope_name",
        )
    bounds.readable("budget.scope_name", scope.name, 0, _MAX_SCOPE)
    if counts_nobody(scope):
        raise InvalidRequest(f"budget.scope_name: {NO_USER}.", field="budget.scope_name")


def _checked(grace: Grace, now: datetime) -> Grace:
    if not 0 < grace.amount <= MAX_NANO_USD:
        raise InvalidRequest("amount_nano_usd must be above 0.", field="amount_nano_usd")
    if not now < grace.until <= now + MAX_GRACE:
        raise InvalidRequest("until must be a time from now to a year from now.", field="until")
    bounds.readable("reason", grace.reason, 1, _MAX_REASON)
    return grace


def _with(before: Budget, wanted: Budget, fields: Collection[str]) -> Budget:
    alerts = {
        "alert_percents": ("percents", wanted.alerts.percents),
        "alerts_projected": ("projected", wanted.alerts.projected),
        "webhook": ("webhook", wanted.alerts.webhook),
    }
    own = {
        "amount_nano_usd": ("amount", wanted.amount),
        "period": ("period", wanted.period),
        "kind": ("kind", wanted.kind),
    }
    rule = msgspec.structs.replace(before.alerts, **dict(alerts[field] for field in fields if field in alerts))
    return msgspec.structs.replace(before, alerts=rule, **dict(own[field] for field in fields if field in own))


def _place(budget: Budget) -> str:
    # No name of a tenant or a budget holds it.
    return f"{budget.tenant}/{budget.name}"


def _is_over(line: BudgetLine, percent: int) -> bool:
    standing = line.standing
    return not percent or (standing is not None and standing.spent * 100 >= standing.limit * percent)
