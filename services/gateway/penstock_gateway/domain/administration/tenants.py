"""Making, changing and disabling tenants beside those of the configuration."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from penstock_common.errors import InvalidRequest, ResourceExists, ResourceNotFound, ResourceState
from penstock_gateway.domain.access.identity import TENANT_SCOPES, Tenant, TenantRecord
from penstock_gateway.domain.access.tenancy import DEFAULT_TIER, TenantDirectory
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed, Now, utc_now
from penstock_gateway.domain.administration.paging import Listing, Page, listing
from penstock_gateway.domain.administration.reach import check_revival
from penstock_gateway.domain.administration.registry import KeyFilter, Records, Registry

_KIND = "tenant"
_CHANGEABLE = ("tier", "models", "regions", "time_zone")


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantTerms:
    """What can be said of a tenant. An empty tier means free, empty models and regions mean all, no time zone UTC."""

    tier: str = ""
    models: Collection[str] = ()
    regions: Collection[str] = ()
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class TenantView:
    """A tenant as people see it; ``created_at`` is None for one of the configuration."""

    name: str
    tier: str
    models: frozenset[str]
    regions: tuple[str, ...]
    created_at: datetime | None = None
    disabled_at: datetime | None = None
    time_zone: str = "UTC"

    @property
    def is_configured(self) -> bool:
        """Whether it stands in the configuration."""
        return self.created_at is None


class TenantAdministration:
    """Keeps tenants. Only operators change them; a tenant's own key may look at its own."""

    def __init__(self, directory: TenantDirectory, registry: Registry, now: Now = utc_now) -> None:
        self._directory = directory
        self._registry = registry
        self._now = now
        self._audit = AuditLog(registry, now)

    async def create(self, actor: Actor, name: str, terms: TenantTerms) -> TenantView:
        """Return the new tenant.

        Raises:
            ResourceExists: if there is one of this name, in the configuration or not.
        """
        async with self._audit.changing(Deed(actor, "tenant.create", name, name, _details(terms))) as records:
            actor.meant(bounds.tenant_name(name))
            if name in self._directory.configured:
                raise ResourceExists(f"The tenant '{name}' stands in the configuration.", kind=_KIND, name=name)
            record = TenantRecord(
                name,
                self._tier(terms.tier),
                self._models(terms),
                bounds.regions(terms.regions),
                self._now(),
                time_zone=bounds.time_zone(terms.time_zone),
            )
            await records.add_tenant(record)
        return _of_record(record)

    async def get(self, actor: Actor, name: str) -> TenantView:
        """Return a tenant.

        Raises:
            ResourceNotFound: if there is none of this name.
        """
        meant = actor.meant(name)
        configured = self._directory.configured.get(meant)
        if configured is not None:
            return _of_configured(configured)
        async with self._registry.begin() as records:
            return _of_record(await _created(records, meant))

    async def list(self, actor: Actor, page: Page) -> Listing[TenantView]:
        """Return the tenants that the actor may look at, by name."""
        if not actor.is_operator:
            return Listing([await self.get(actor, actor.tenant)])
        configured = self._directory.configured
        found = [_of_configured(tenant) for name, tenant in configured.items() if name > page.after]
        async with self._registry.begin() as records:
            # Configured tenants hide created ones of the same name, so a few more are asked for.
            created = await records.tenants(page.after, page.size + 1 + len(configured))
        found += [_of_record(record) for record in created if record.name not in configured]
        found.sort(key=lambda tenant: tenant.name)
        return listing(found, page, lambda tenant: tenant.name)

    async def update(self, actor: Actor, name: str, terms: TenantTerms, fields: Collection[str]) -> TenantView:
        """Return the tenant with ``fields`` (tier, models, regions, time_zone) as ``terms`` says.

        Raises:
            ResourceState: if it stands in the configuration.
        """
        details = {**_details(terms), "fields": " ".join(sorted(fields))}
        async with self._audit.changing(Deed(actor, "tenant.update", name, name, details)) as records:
            unknown = set(fields) - set(_CHANGEABLE)
            if unknown:
                raise InvalidRequest(
                    f"update_mask may name {', '.join(_CHANGEABLE)}, not {min(unknown)[:64]}.", field="update_mask"
                )
            record = await self._changeable(actor, records, name)
            wanted = {
                "tier": self._tier(terms.tier),
                "models": self._models(terms),
                "regions": bounds.regions(terms.regions),
                "time_zone": bounds.time_zone(terms.time_zone),
            }
            changes = {field: wanted[field] for field in fields}
            await records.change_tenant(name, changes)
        return _of_record(replace(record, **changes))

    async def disable(self, actor: Actor, name: str) -> TenantView:
        """Return the tenant, whose keys are refused from now on."""
        async with self._audit.changing(Deed(actor, "tenant.disable", name, name)) as records:
            record = await self._changeable(actor, records, name)
            if record.disabled_at is None:
                record = replace(record, disabled_at=self._now())
                await records.change_tenant(name, {"disabled_at": record.disabled_at})
        return _of_record(record)

    async def enable(self, actor: Actor, name: str) -> TenantView:
        """Return the tenant, whose keys are accepted again.

        Raises:
            RightsExceeded: if one of them is wider than the actor's own.
        """
        async with self._audit.changing(Deed(actor, "tenant.enable", name, name)) as records:
            record = await self._changeable(actor, records, name)
            await check_revival(actor, records, KeyFilter(name), TENANT_SCOPES, self._now())
            await records.change_tenant(name, {"disabled_at": None})
        return _of_record(replace(record, disabled_at=None))

    def _models(self, terms: TenantTerms) -> frozenset[str]:
        # Only operators change tenants, and they may see every model.
        return bounds.known_models(terms.models, self._directory.models, may_see_all=True)

    def _tier(self, name: str) -> str:
        name = name or DEFAULT_TIER
        if name not in self._directory.tiers:
            known = ", ".join(sorted(self._directory.tiers))
            raise InvalidRequest(f"There is no tier '{name[:64]}'; there are {known}.", field="tier")
        return name

    async def _changeable(self, actor: Actor, records: Records, name: str) -> TenantRecord:
        if actor.meant(name) in self._directory.configured:
            raise ResourceState(
                f"The tenant '{name}' stands in the configuration: change it there.", kind=_KIND, name=name
            )
        return await _created(records, name)


async def existing_tenant(directory: TenantDirectory, records: Records, name: str) -> None:
    """Check that there is such a tenant, enabled or not.

    Raises:
        ResourceNotFound: if there is none.
    """
    if name not in directory.configured:
        await _created(records, name)


async def _created(records: Records, name: str) -> TenantRecord:
    record = await records.tenant(name) if bounds.may_be_tenant(name) else None
    if record is None:
        raise ResourceNotFound(f"There is no tenant '{name[:128]}'.", kind=_KIND, name=name)
    return record


def _details(terms: TenantTerms) -> dict[str, str]:
    models, regions = " ".join(sorted(terms.models)), " ".join(terms.regions)
    return {"tier": terms.tier, "models": models, "regions": regions, "time_zone": terms.time_zone}


def _of_record(record: TenantRecord) -> TenantView:
    made, disabled, zone = record.created_at, record.disabled_at, record.time_zone
    return TenantView(record.name, record.tier, record.models, record.regions, made, disabled, zone)


def _of_configured(tenant: Tenant) -> TenantView:
    return TenantView(tenant.name, tenant.tier.name, tenant.models, tenant.regions, time_zone=tenant.time_zone)
