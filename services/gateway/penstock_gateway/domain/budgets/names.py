"""Whom budgets and limits of the configuration name, and who there is: what names nobody binds nobody, and is told."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol

import structlog

from penstock_gateway.domain.access.identity import Tier
from penstock_gateway.domain.access.tenancy import Terms
from penstock_gateway.domain.budgets.budget import Budget, scope_text
from penstock_gateway.domain.limits.limit import Scope, ScopeKind

_log = structlog.get_logger(__name__)


class Named(NamedTuple):
    """A scope that something of the configuration names; ``tenant`` None: of any tenant."""

    by: str
    scope: Scope
    tenant: str | None


class Kept(NamedTuple):
    """Who was created: tenants and teams by name, users and keys by id; teams of tenants as ``(tenant, name)``."""

    tenants: Collection[str]
    teams: Collection[tuple[str, str]]
    users: Collection[str]
    keys: Collection[str]


class KeptNames(Protocol):
    """Who knows who was created.

    Raises:
        ServiceUnavailable: if the store does not answer.
    """

    async def kept(self, user_ids: Collection[str], key_ids: Collection[str]) -> Kept:
        """Return the tenants and teams that there are, and of some ids of users and keys those that there are."""
        ...


class Configured(NamedTuple):
    """What the configuration says of names, ``keys`` by their ids.

    With ``accepts_tokens`` users, and with them teams, come by tokens, and are nowhere written down.
    """

    terms: Terms
    budgets: Collection[Budget]
    keys: Collection[str] = ()
    accepts_tokens: bool = False


def named_in(configured: Configured) -> list[Named]:
    """Return each scope with a name that a budget or a tenant's tier has."""
    budgets = [Named(f"budget {one.name}", one.scope, one.tenant) for one in configured.budgets]
    tiers: list[tuple[str, Tier, str | None]] = [
        (f"tier {name}", tier, None) for name, tier in configured.terms.tiers.items()
    ]
    own = [one for one in configured.terms.configured.values() if one.tier.name not in configured.terms.tiers]
    tiers += [(f"tier of {tenant.name}", tenant.tier, tenant.name) for tenant in own]
    limits = [Named(by, scope, tenant) for by, tier, tenant in tiers for scope in tier.rules.named]
    return [*budgets, *limits]


async def tell_unknown(configured: Configured, store: KeptNames) -> None:
    """Log each name that nobody has, with the nearest that somebody has."""
    named = named_in(configured)
    if not named:
        return
    ids = {kind: [one.scope.name for one in named if one.scope.kind is kind] for kind in ScopeKind}
    kept = await store.kept(ids[ScopeKind.USER], ids[ScopeKind.KEY])
    for one in named:
        for what, name, known in _unknown(one, configured, kept):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            text = f"The {one.by} names the {what} '{name}', which is not there, and binds nobody"
            text += f"; did you mean '{near[0]}'?" if near else "."
            _log.warning("limit_of_nobody", of=one.by, scope=scope_text(one.scope), text=text)


def _unknown(one: Named, configured: Configured, kept: Kept) -> Iterable[tuple[str, str, Collection[str]]]:
    """Yield what is not there: its kind, its name, and the names that are."""
    tenants = {*configured.terms.configured, *kept.tenants}
    if one.tenant is not None and one.tenant not in tenants:
        yield "tenant", one.tenant, tenants
        return
    kind, name = one.scope.kind, one.scope.name
    if kind is ScopeKind.TEAM:
        known = {team for tenant, team in kept.teams if one.tenant in (None, tenant)}
    elif kind is ScopeKind.USER:
        known = set(kept.users)
    elif kind is ScopeKind.KEY:
        known = {*kept.keys, *configured.keys}
    elif kind is ScopeKind.MODEL and configured.terms.models:
        known = set(configured.terms.models)
    else:
        return
    if name not in known and not (configured.accepts_tokens and kind in (ScopeKind.TEAM, ScopeKind.USER)):
        yield kind.value, name, known
