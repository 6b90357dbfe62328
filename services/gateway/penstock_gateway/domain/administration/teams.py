"""Making and archiving teams: those of a tenant whose limits and spend are counted together."""

from __future__ import annotations

from dataclasses import replace

from penstock_common.errors import InvalidRequest, ResourceNotFound, ResourceState, RightsExceeded
from penstock_gateway.domain.access.identity import TENANT_SCOPES, TeamRecord
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed, Now, utc_now
from penstock_gateway.domain.administration.paging import Listing, Page, listing
from penstock_gateway.domain.administration.reach import check_revival
from penstock_gateway.domain.administration.registry import KeyFilter, Records, Registry
from penstock_gateway.domain.administration.tenants import existing_tenant

_KIND = "team"
_SEPARATOR = "|"


class TeamAdministration:
    """Keeps teams. A name is a team's for good: what was spent under it stays with it."""

    def __init__(self, directory: TenantDirectory, registry: Registry, now: Now = utc_now) -> None:
        self._directory = directory
        self._registry = registry
        self._now = now
        self._audit = AuditLog(registry, now)

    async def create(self, actor: Actor, tenant: str, name: str) -> TeamRecord:
        """Return the new team.

        Raises:
            ResourceExists: if the tenant has one of this name, archived or not.
            RightsExceeded: if the actor's key is of a team.
        """
        meant = tenant or actor.tenant
        async with self._audit.changing(Deed(actor, "team.create", meant, name)) as records:
            if not actor.meant(meant):
                raise InvalidRequest("tenant must say whose team it is.", field="tenant")
            _check_of_whole_tenant(actor)
            record = TeamRecord(meant, bounds.team_name(name, "name"), self._now())
            await existing_tenant(self._directory, records, meant)
            await records.add_team(record)
        return record

    async def list(self, actor: Actor, tenant: str, page: Page) -> Listing[TeamRecord]:
        """Return teams of the tenant by name; of every tenant for an operator who names none."""
        meant = bounds.named_tenant(actor.meant(tenant))
        of_tenant, _, name = page.after.partition(_SEPARATOR)
        async with self._registry.begin() as records:
            found = await records.teams(meant or None, (of_tenant, name), page.size + 1)
        return listing(found, page, lambda team: f"{team.tenant}{_SEPARATOR}{team.name}")

    async def archive(self, actor: Actor, tenant: str, name: str) -> TeamRecord:
        """Return the team, which takes nobody in from now on, and whose keys are refused."""
        meant = tenant or actor.tenant
        async with self._audit.changing(Deed(actor, "team.archive", meant, name)) as records:
            _check_of_whole_tenant(actor)
            record = await _team(records, actor.meant(meant), name)
            if record.archived_at is None:
                record = replace(record, archived_at=self._now())
                await records.change_team(record.tenant, name, {"archived_at": record.archived_at})
        return record

    async def restore(self, actor: Actor, tenant: str, name: str) -> TeamRecord:
        """Return the team, whose keys are accepted again.

        Raises:
            ModelNotPermitted, RightsExceeded: if one of them is wider than the actor's own.
        """
        meant = tenant or actor.tenant
        async with self._audit.changing(Deed(actor, "team.restore", meant, name)) as records:
            _check_of_whole_tenant(actor)
            record = await _team(records, actor.meant(meant), name)
            await check_revival(actor, records, KeyFilter(record.tenant, team=name), TENANT_SCOPES, self._now())
            await records.change_team(record.tenant, name, {"archived_at": None})
        return replace(record, archived_at=None)


async def check_team(actor: Actor, records: Records, tenant: str, name: str) -> None:
    """Check that somebody, or a key, can be of the team; empty is none.

    Raises:
        ResourceNotFound: if the tenant has none of this name.
        ResourceState: if it is archived.
        RightsExceeded: if the actor's key is of another team.
    """
    if actor.team and name != actor.team:
        raise RightsExceeded(
            f"Your API key is of the team '{actor.team}', and may give nothing to others: name that team.", bound="team"
        )
    if name and (await _team(records, tenant, name)).archived_at is not None:
        raise ResourceState(f"The team '{name}' is archived.", kind=_KIND, name=name)


async def _team(records: Records, tenant: str, name: str) -> TeamRecord:
    record = await records.team(tenant, name) if tenant and bounds.may_be_tenant(name) else None
    if record is None:
        raise ResourceNotFound(f"The tenant has no team '{name[:64]}'.", kind=_KIND, name=name)
    return record


def _check_of_whole_tenant(actor: Actor) -> None:
    if actor.team:
        raise RightsExceeded(
            f"Your API key is of the team '{actor.team}'; teams are made and archived with one that is of none.",
            bound="team",
        )
