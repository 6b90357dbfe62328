"""AdminService: convert, administer, convert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import unquote

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock_common.contract.inference import MAX_EJECTION
from penstock_common.errors import InvalidRequest
from penstock_common.rpc.durations import duration_from
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.administration import Administration
from penstock_gateway.domain.administration.bounds import MAX_LIFETIME, MAX_OVERLAP
from penstock_gateway.domain.administration.keys import NewKey
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.administration.registry import KeyFilter
from penstock_gateway.domain.administration.tenants import TenantTerms
from penstock_gateway.domain.administration.upstreams import EjectionTerms
from penstock_gateway.domain.administration.users import NewUser, UserChanges
from penstock_gateway.surfaces.arrival import Reception
from penstock_gateway.surfaces.client_address import ADDRESS_HEADER
from penstock_gateway.surfaces.grpc.admin_messages import (
    entry_message,
    key_message,
    role_from,
    scopes_from,
    tenant_message,
    user_kind_from,
    user_message,
)
from penstock_gateway.surfaces.grpc.arrival import admitted
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf, CacheAdminMethods
from penstock_gateway.surfaces.grpc.team_admin import TeamAdminMethods
from penstock_gateway.surfaces.grpc.upstream_messages import place_messages

# Of the penstock command: who typed it, for the audit log.
TYPED_BY_HEADER = "x-penstock-typed-by"
_OWN_SOCKET = "unix:"


class AdminServicer(CacheAdminMethods, TeamAdminMethods):
    """Serves administration; calls come authorised or not at all, and the domain keeps the walls between tenants."""

    def __init__(self, administration: Administration, actor_of: ActorOf) -> None:
        CacheAdminMethods.__init__(self, administration, actor_of)
        TeamAdminMethods.__init__(self, administration, actor_of)
        self._tenants = administration.tenants
        self._users = administration.users
        self._keys = administration.keys
        self._audit = administration.audit
        self._upstreams = administration.upstreams

    async def CreateTenant(self, request: pb.CreateTenantRequest, call: ServerCall) -> pb.CreateTenantResponse:
        """Return a new tenant."""
        terms = _terms(request)
        tenant = await self._tenants.create(self._actor(call), request.name, terms)
        return pb.CreateTenantResponse(tenant=tenant_message(tenant))

    async def GetTenant(self, request: pb.GetTenantRequest, call: ServerCall) -> pb.GetTenantResponse:
        """Return a tenant."""
        return pb.GetTenantResponse(tenant=tenant_message(await self._tenants.get(self._actor(call), request.name)))

    async def ListTenants(self, request: pb.ListTenantsRequest, call: ServerCall) -> pb.ListTenantsResponse:
        """Return tenants by name."""
        listed = await self._tenants.list(self._actor(call), Page.of(request.page_size, request.page_token))
        tenants = [tenant_message(tenant) for tenant in listed.items]
        return pb.ListTenantsResponse(tenants=tenants, next_page_token=listed.next_token)

    async def UpdateTenant(self, request: pb.UpdateTenantRequest, call: ServerCall) -> pb.UpdateTenantResponse:
        """Return a changed tenant."""
        wanted = request.tenant
        given = [field for field in ("tier", "models", "regions", "time_zone") if getattr(wanted, field)]
        fields = request.update_mask.paths or given
        tenant = await self._tenants.update(self._actor(call), wanted.name, _terms(wanted), fields)
        return pb.UpdateTenantResponse(tenant=tenant_message(tenant))

    async def DisableTenant(self, request: pb.DisableTenantRequest, call: ServerCall) -> pb.DisableTenantResponse:
        """Return a tenant whose keys are refused."""
        tenant = await self._tenants.disable(self._actor(call), request.name)
        return pb.DisableTenantResponse(tenant=tenant_message(tenant))

    async def EnableTenant(self, request: pb.EnableTenantRequest, call: ServerCall) -> pb.EnableTenantResponse:
        """Return a tenant whose keys are accepted again."""
        tenant = await self._tenants.enable(self._actor(call), request.name)
        return pb.EnableTenantResponse(tenant=tenant_message(tenant))

    async def CreateKey(self, request: pb.CreateKeyRequest, call: ServerCall) -> pb.CreateKeyResponse:
        """Return a new key."""
        issued = await self._keys.create(self._actor(call), _new_key(request))
        return pb.CreateKeyResponse(key=key_message(issued.record), secret=issued.secret)

    async def ListKeys(self, request: pb.ListKeysRequest, call: ServerCall) -> pb.ListKeysResponse:
        """Return keys, oldest first."""
        wanted = KeyFilter(request.tenant or None, request.user_id, request.team)
        listed = await self._keys.list(self._actor(call), wanted, Page.of(request.page_size, request.page_token))
        keys = [key_message(record) for record in listed.items]
        return pb.ListKeysResponse(keys=keys, next_page_token=listed.next_token)

    async def RotateKey(self, request: pb.RotateKeyRequest, call: ServerCall) -> pb.RotateKeyResponse:
        """Return a key that takes another's place."""
        overlap, lifetime = duration_from(request, "overlap", MAX_OVERLAP), _lifetime(request)
        rotated = await self._keys.rotate(self._actor(call), request.id, overlap, lifetime)
        return pb.RotateKeyResponse(
            key=key_message(rotated.record), secret=rotated.secret, previous_key=key_message(rotated.previous)
        )

    async def RevokeKey(self, request: pb.RevokeKeyRequest, call: ServerCall) -> pb.RevokeKeyResponse:
        """Return a revoked key."""
        return pb.RevokeKeyResponse(key=key_message(await self._keys.revoke(self._actor(call), request.id)))

    async def CreateUser(self, request: pb.CreateUserRequest, call: ServerCall) -> pb.CreateUserResponse:
        """Return a new user."""
        wanted = NewUser(
            name=request.name,
            role=role_from(request.role, "role"),
            tenant=request.tenant,
            team=request.team,
            kind=user_kind_from(request.kind),
        )
        user = await self._users.create(self._actor(call), wanted)
        return pb.CreateUserResponse(user=user_message(user))

    async def ListUsers(self, request: pb.ListUsersRequest, call: ServerCall) -> pb.ListUsersResponse:
        """Return users, oldest first."""
        page = Page.of(request.page_size, request.page_token)
        listed = await self._users.list(self._actor(call), request.tenant, page)
        users = [user_message(user) for user in listed.items]
        return pb.ListUsersResponse(users=users, next_page_token=listed.next_token)

    async def UpdateUser(self, request: pb.UpdateUserRequest, call: ServerCall) -> pb.UpdateUserResponse:
        """Return a user with another role, or of another team."""
        user = await self._users.update(self._actor(call), request.user.id, _user_changes(request))
        return pb.UpdateUserResponse(user=user_message(user))

    async def DisableUser(self, request: pb.DisableUserRequest, call: ServerCall) -> pb.DisableUserResponse:
        """Return a user whose keys are refused."""
        return pb.DisableUserResponse(user=user_message(await self._users.disable(self._actor(call), request.id)))

    async def EnableUser(self, request: pb.EnableUserRequest, call: ServerCall) -> pb.EnableUserResponse:
        """Return a user whose keys are accepted again."""
        return pb.EnableUserResponse(user=user_message(await self._users.enable(self._actor(call), request.id)))

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, call: ServerCall
    ) -> pb.ListAuditEntriesResponse:
        """Return who changed what, the newest first."""
        page = Page.of(request.page_size, request.page_token)
        listed = await self._audit.list(self._actor(call), request.tenant, page)
        entries = [entry_message(entry) for entry in listed.items]
        return pb.ListAuditEntriesResponse(entries=entries, next_page_token=listed.next_token)

    async def ListUpstreams(self, request: pb.ListUpstreamsRequest, call: ServerCall) -> pb.ListUpstreamsResponse:
        """Return how every upstream's models are."""
        return pb.ListUpstreamsResponse(places=place_messages(await self._upstreams.list()))

    async def ProbeUpstream(self, request: pb.ProbeUpstreamRequest, call: ServerCall) -> pb.ProbeUpstreamResponse:
        """Return what is about to be probed."""
        places = await self._upstreams.probe(self._actor(call), request.upstream, request.model)
        return pb.ProbeUpstreamResponse(places=place_messages(places))

    async def EjectUpstream(self, request: pb.EjectUpstreamRequest, call: ServerCall) -> pb.EjectUpstreamResponse:
        """Return what is left out."""
        terms = EjectionTerms(duration_from(request, "duration", MAX_EJECTION), request.reason, request.force)
        places = await self._upstreams.eject(self._actor(call), request.upstream, request.model, terms)
        return pb.EjectUpstreamResponse(places=place_messages(places))

    async def RestoreUpstream(self, request: pb.RestoreUpstreamRequest, call: ServerCall) -> pb.RestoreUpstreamResponse:
        """Return what is asked again."""
        places = await self._upstreams.restore(self._actor(call), request.upstream, request.model)
        return pb.RestoreUpstreamResponse(places=place_messages(places))


def actors_of(reception: Reception) -> ActorOf:
    """Return what finds the actor of a call that the guard has let in."""

    def actor_of(call: ServerCall) -> Actor:
        caller, arrival = admitted(call).caller, admitted(call).arrival
        actor = Actor.of(caller, reception.address_of(arrival), arrival.request_id)
        typed_by = arrival.headers.get(TYPED_BY_HEADER)
        if typed_by is None or not actor.is_operator or not _by_the_owner(call, arrival.headers):
            return actor
        return replace(Actor.at_the_command_line(unquote(typed_by)), request_id=arrival.request_id)

    return actor_of


def _by_the_owner(call: ServerCall, headers: Mapping[str, str]) -> bool:
    """Return whether the call came by the socket that only the stack's owner reaches, and not through the edge."""
    return ADDRESS_HEADER not in headers and str(call.context.peer() or "").startswith(_OWN_SOCKET)


def _lifetime(request: pb.CreateKeyRequest | pb.RotateKeyRequest) -> timedelta | None:
    return duration_from(request, "lifetime", MAX_LIFETIME)


def _terms(message: pb.CreateTenantRequest | pb.Tenant) -> TenantTerms:
    return TenantTerms(tier=message.tier, models=message.models, regions=message.regions, time_zone=message.time_zone)


def _user_changes(request: pb.UpdateUserRequest) -> UserChanges:
    # Without a role and a team, it is the role that is missing.
    given = {field for field in ("role", "team") if getattr(request.user, field)} or {"role"}
    fields = set(request.update_mask.paths) or given
    if fields - {"role", "team"}:
        raise InvalidRequest("update_mask may name role and team only.", field="update_mask")
    return UserChanges(
        role=role_from(request.user.role, "user.role") if "role" in fields else None,
        team=request.user.team if "team" in fields else None,
    )


def _new_key(request: pb.CreateKeyRequest) -> NewKey:
    return NewKey(
        tenant=request.tenant,
        user_id=request.user_id,
        team=request.team,
        label=request.label,
        scopes=scopes_from(request.scopes),
        models=request.models,
        networks=request.allowed_networks,
        labels=request.labels,
        lifetime=_lifetime(request),
    )
