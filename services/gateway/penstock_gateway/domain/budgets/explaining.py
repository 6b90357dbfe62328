"""Which limits would bind a request, where each of them stands, and which binds first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from penstock_common.errors import InvalidRequest, ResourceNotFound, ScopeMissing
from penstock_gateway.domain.access.identity import Caller, KeyRecord, KeyScope, TenantRecord
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import Now, utc_now
from penstock_gateway.domain.administration.registry import Records, Registry
from penstock_gateway.domain.budgets.ports import Standings
from penstock_gateway.domain.budgets.standing import resets_at
from penstock_gateway.domain.limits.admission import Standing
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.domain.limits.limit import Limit, Measure

_MAX_NAME = 256


class Asked(NamedTuple):
    """Whose request it would be, and for what: a key, or else a tenant with a team and a user; a key has its own of both."""

    key_id: str = ""
    tenant: str = ""
    team: str = ""
    user_id: str = ""
    model: str = ""
    feature: str = ""


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that would bind it; ``used``, ``reserved`` and ``remaining`` in its own units, None where nobody knows."""

    limit: Limit
    source: str
    used: int | None = None
    reserved: int | None = None
    remaining: int | None = None
    resets_at: datetime | None = None
    binds_first: bool = False

    @property
    def left(self) -> float:
        """The share that is left, for what is known and refuses; all else comes after those."""
        if self.remaining is None:
            return 2.0
        share = self.remaining / self.limit.allowance.amount if self.limit.allowance.amount else 0.0
        return share + 3.0 if self.limit.shadow else share


class Explained(NamedTuple):
    """Whose request was looked at, and its limits: that which binds first comes first."""

    caller: Caller
    bindings: Sequence[Binding]


class LimitExplainer:
    """Explains limits. A key or a tenant of others' is, for a tenant's own key, one that does not exist."""

    def __init__(
        self, directory: TenantDirectory, registry: Registry, book: LimitBook, standings: Standings, now: Now = utc_now
    ) -> None:
        self._directory = directory
        self._registry = registry
        self._book = book
        self._standings = standings
        self._now = now

    async def explain(self, actor: Actor, asked: Asked) -> Explained:
        """Return what would bind a request.

        Raises:
            InvalidRequest: if nobody says whose it is, or no model is named.
            ResourceNotFound: if there is no such key or tenant.
            ScopeMissing: if the actor's key is of another tenant or team.
        """
        for field in ("team", "user_id", "feature"):
            bounds.readable(field, getattr(asked, field), 0, _MAX_NAME)
        if not bounds.model(asked.model):
            raise InvalidRequest("model must say which public model is asked.", field="model")
        async with self._registry.begin() as records:
            caller = await self._caller(actor, records, asked)
        limits = self._book.limits_of(caller, asked.model, asked.feature)
        known = {one.limit.counter: one for one in await self._standings.standings(limits)}
        now = self._now()
        found = [_binding(limit, known.get(limit.counter), caller, now) for limit in limits]
        found.sort(key=lambda one: one.left)
        if found and found[0].left < 1.0 + 1e-9:
            found[0] = msgspec.structs.replace(found[0], binds_first=True)
        return Explained(caller, found)

    async def _caller(self, actor: Actor, records: Records, asked: Asked) -> Caller:
        key = await records.key(asked.key_id) if bounds.may_be_id(asked.key_id) else None
        name = key.tenant if key is not None else asked.tenant or actor.tenant
        if asked.key_id and key is None and not asked.key_id.startswith(f"config-{name}-"):
            raise _no_key(asked.key_id)
        if key is not None and not actor.may_touch(key.tenant):
            raise _no_key(asked.key_id)
        owner = bounds.required_tenant(actor.meant(name))
        tenant = self._directory.tenant(owner, await self._created(records, owner))
        if tenant is None:
            raise ResourceNotFound(f"There is no tenant '{owner}'.", kind="tenant", name=owner)
        team = await _team(actor, records, asked, key)
        user_id = asked.user_id if key is None else key.user_id
        first_key_id = "" if key is None else key.first_id
        return Caller(tenant, asked.key_id, frozenset(), user_id=user_id, team=team, first_key_id=first_key_id)

    async def _created(self, records: Records, name: str) -> TenantRecord | None:
        return None if name in self._directory.configured else await records.tenant(name)


async def _team(actor: Actor, records: Records, asked: Asked, key: KeyRecord | None) -> str:
    """Return the team that a request would be of."""
    if key is not None:
        team, is_own = key.team, key.team == actor.team
    else:
        team = asked.team or actor.team
        # Keys of the configuration are of no team.
        is_own = team == actor.team and not asked.key_id and await _is_own_user(actor, records, asked.user_id)
    if actor.team and not is_own:
        raise ScopeMissing(f"The API key sees the limits of the team '{actor.team}' alone.", scope=KeyScope.ADMIN)
    return team


async def _is_own_user(actor: Actor, records: Records, user_id: str) -> bool:
    if not user_id or not actor.team:
        return True
    user = await records.user(user_id) if bounds.may_be_id(user_id) else None
    return user is not None and (user.tenant, user.team) == (actor.tenant, actor.team)


def _no_key(key_id: str) -> ResourceNotFound:
    return ResourceNotFound(f"There is no key '{key_id[:64]}'.", kind="key", name=key_id[:64])


def _binding(limit: Limit, standing: Standing | None, caller: Caller, now: datetime) -> Binding:
    source = f"budget {limit.name}" if limit.budget else f"tier {caller.tenant.tier.name}"
    if standing is None:
        return Binding(limit=limit, source=source)
    is_money = limit.allowance.measure is Measure.SPEND
    reserved = standing.reserved if is_money else 0
    used = standing.spent if is_money else max(0, limit.allowance.capacity - standing.remaining)
    return Binding(
        limit=limit,
        source=source,
        used=used,
        reserved=reserved,
        remaining=standing.remaining,
        resets_at=resets_at(limit, standing.reset, now),
    )
