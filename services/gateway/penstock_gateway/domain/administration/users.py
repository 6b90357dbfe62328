"""Making users of a tenant, and saying what they may do in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from penstock_common.errors import InvalidRequest, ResourceNotFound
from penstock_gateway.domain.access.identity import TENANT_SCOPES, UserKind, UserRecord, UserRole, new_id
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed, Now, utc_now
from penstock_gateway.domain.administration.paging import Listing, Page, end_by_age, listing
from penstock_gateway.domain.administration.reach import check_revival
from penstock_gateway.domain.administration.registry import KeyFilter, Records, Registry
from penstock_gateway.domain.administration.teams import check_team
from penstock_gateway.domain.administration.tenants import existing_tenant

_KIND = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """Who shall be a user. An empty ``tenant`` or ``team`` is the actor's own."""

    name: str
    role: UserRole
    tenant: str = ""
    team: str = ""
    kind: UserKind = UserKind.PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChanges:
    """What is to be said anew of a user; None stays as it is, and an empty ``team`` is none."""

    role: UserRole | None = None
    team: str | None = None


class UserAdministration:
    """Keeps users. An id of another tenant's is, for a tenant's own key, one that does not exist."""

    def __init__(self, directory: TenantDirectory, registry: Registry, now: Now = utc_now) -> None:
        self._directory = directory
        self._registry = registry
        self._now = now
        self._audit = AuditLog(registry, now)

    async def create(self, actor: Actor, wanted: NewUser) -> UserRecord:
        """Return the new user.

        Raises:
            ResourceExists: if the tenant has one of this name.
            ResourceNotFound: if there is no such tenant or team.
            RightsExceeded: if the actor's key is of another team.
        """
        meant, team = wanted.tenant or actor.tenant, wanted.team or actor.team
        details = {"role": wanted.role, "team": team, "kind": wanted.kind}
        async with self._audit.changing(Deed(actor, "user.create", meant, wanted.name, details)) as records:
            if not actor.meant(meant):
                raise InvalidRequest("tenant must say whose user it is.", field="tenant")
            name, now = bounds.user_name(wanted.name), self._now()
            record = UserRecord(new_id(), meant, name, wanted.role, now, team=team, kind=wanted.kind)
            await existing_tenant(self._directory, records, meant)
            await check_team(actor, records, meant, team)
            await records.add_user(record)
        return record

    async def list(self, actor: Actor, tenant: str, page: Page) -> Listing[UserRecord]:
        """Return users of the tenant, oldest first; of every tenant for an operator who names none."""
        meant = bounds.named_tenant(actor.meant(tenant))
        async with self._registry.begin() as records:
            found = await records.users(meant or None, page.place(), page.size + 1)
        return listing(found, page, lambda user: end_by_age(user.created_at, user.id))

    async def update(self, actor: Actor, user_id: str, wanted: UserChanges) -> UserRecord:
        """Return the changed user. Keys keep of their scopes what the role permits, and the team that they were made in.

        Raises:
            ModelNotPermitted, RightsExceeded: if a key that gains by it is wider than the actor's own.
        """
        given = {"role": wanted.role, "team": wanted.team}
        changes = {field: value for field, value in given.items() if value is not None}
        async with self._audit.changing(await self._deed(actor, "user.update", user_id, changes)) as records:
            record = await visible_user(actor, records, user_id)
            if wanted.role is not None:
                gained = wanted.role.permits - record.role.permits
                await check_revival(actor, records, KeyFilter(record.tenant, record.id), gained, self._now())
            if wanted.team is not None:
                await check_team(actor, records, record.tenant, wanted.team)
            await records.change_user(user_id, changes)
        return replace(record, role=wanted.role or record.role, team=changes.get("team", record.team))

    async def disable(self, actor: Actor, user_id: str) -> UserRecord:
        """Return the user, whose keys are refused from now on."""
        async with self._audit.changing(await self._deed(actor, "user.disable", user_id)) as records:
            record = await visible_user(actor, records, user_id)
            if record.disabled_at is None:
                record = replace(record, disabled_at=self._now())
                await records.change_user(user_id, {"disabled_at": record.disabled_at})
        return record

    async def enable(self, actor: Actor, user_id: str) -> UserRecord:
        """Return the user, whose keys are accepted again.

        Raises:
            ModelNotPermitted, RightsExceeded: if one of them is wider than the actor's own.
        """
        async with self._audit.changing(await self._deed(actor, "user.enable", user_id)) as records:
            record = await visible_user(actor, records, user_id)
            await check_revival(actor, records, KeyFilter(record.tenant, record.id), TENANT_SCOPES, self._now())
            await records.change_user(user_id, {"disabled_at": None})
        return replace(record, disabled_at=None)

    async def _deed(self, actor: Actor, action: str, user_id: str, details: dict[str, str] | None = None) -> Deed:
        """Return the deed, about the tenant that the user is of as far as the actor may know."""
        async with self._registry.begin() as records:
            user = await _user(records, user_id)
        tenant = user.tenant if user is not None and actor.may_touch(user.tenant) else actor.tenant
        return Deed(actor, action, tenant, user_id, details or {})


async def _user(records: Records, user_id: str) -> UserRecord | None:
    return await records.user(user_id) if bounds.may_be_id(user_id) else None


async def visible_user(actor: Actor, records: Records, user_id: str) -> UserRecord:
    """Return a user that the actor may touch.

    Raises:
        ResourceNotFound: if there is none.
    """
    record = await _user(records, user_id)
    if record is None or not actor.may_touch(record.tenant):
        raise ResourceNotFound(f"There is no user '{user_id[:64]}'.", kind=_KIND, name=user_id)
    return record
