"""`penstock tenants` and `penstock users`: the gateway's administration, on the database of a stack."""

from __future__ import annotations

from collections.abc import Collection

from penstock_gateway.domain.access.identity import UserRecord, UserRole
from penstock_gateway.domain.administration.tenants import TenantTerms, TenantView
from penstock_suite.app.administration import administration, everything, operator
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import Selection, TenantRequest
from penstock_suite.domain.tenants import StoredTenant, StoredUser


async def create_tenant(selection: Selection, request: TenantRequest) -> StoredTenant:
    """Return the new tenant."""
    async with administration(selection) as opened:
        return _tenant(await opened.tenants.create(operator(), request.name, _terms(request)))


async def list_tenants(selection: Selection) -> list[StoredTenant]:
    """Return every tenant, of the configuration and created, by name."""
    async with administration(selection) as opened:
        return [_tenant(tenant) for tenant in await everything(lambda page: opened.tenants.list(operator(), page))]


async def update_tenant(selection: Selection, request: TenantRequest, fields: Collection[str]) -> StoredTenant:
    """Return the tenant with ``fields`` changed."""
    async with administration(selection) as opened:
        return _tenant(await opened.tenants.update(operator(), request.name, _terms(request), fields))


async def switch_tenant(selection: Selection, name: str, *, enabled: bool) -> StoredTenant:
    """Return the tenant, whose keys are accepted or refused from now on; a running stack knows within 5 s."""
    async with administration(selection) as opened:
        switch = opened.tenants.enable if enabled else opened.tenants.disable
        return _tenant(await switch(operator(), name))


async def create_user(selection: Selection, tenant: str, name: str, role: str) -> StoredUser:
    """Return the new user."""
    async with administration(selection) as opened:
        return _user(await opened.users.create(operator(), tenant, name, _role(role)))


async def list_users(selection: Selection, tenant: str) -> list[StoredUser]:
    """Return the users of the tenant, or of all, oldest first."""
    async with administration(selection) as opened:
        return [_user(user) for user in await everything(lambda page: opened.users.list(operator(), tenant, page))]


async def change_user(selection: Selection, user_id: str, role: str) -> StoredUser:
    """Return the user with another role."""
    async with administration(selection) as opened:
        return _user(await opened.users.change_role(operator(), user_id, _role(role)))


async def switch_user(selection: Selection, user_id: str, *, enabled: bool) -> StoredUser:
    """Return the user, whose keys are accepted or refused from now on; a running stack knows within 5 s."""
    async with administration(selection) as opened:
        switch = opened.users.enable if enabled else opened.users.disable
        return _user(await switch(operator(), user_id))


def _terms(request: TenantRequest) -> TenantTerms:
    return TenantTerms(tier=request.tier, models=request.models, regions=request.regions)


def _role(text: str) -> UserRole:
    if text not in set(UserRole):
        raise Misconfigured(f"unknown role '{text}'; known are {', '.join(UserRole)}")
    return UserRole(text)


def _tenant(tenant: TenantView) -> StoredTenant:
    return StoredTenant(
        name=tenant.name,
        tier=tenant.tier,
        models=tuple(sorted(tenant.models)),
        regions=tenant.regions,
        is_configured=tenant.is_configured,
        created_at=tenant.created_at,
        disabled_at=tenant.disabled_at,
    )


def _user(user: UserRecord) -> StoredUser:
    return StoredUser(
        id=user.id,
        tenant=user.tenant,
        name=user.name,
        role=user.role,
        created_at=user.created_at,
        disabled_at=user.disabled_at,
    )
