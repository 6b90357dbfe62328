"""Administration as the contract's messages, and back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.access.identity import (
    KeyKind,
    KeyRecord,
    KeyScope,
    RevokedSubject,
    TeamRecord,
    UserKind,
    UserRecord,
    UserRole,
)
from penstock_gateway.domain.administration.registry import AuditEntry
from penstock_gateway.domain.administration.tenants import TenantView

_SCOPES: dict[int, KeyScope] = {pb.KeyScope.Value(f"KEY_SCOPE_{scope.name}"): scope for scope in KeyScope}
_SCOPE_NUMBERS: dict[KeyScope, Any] = {scope: number for number, scope in _SCOPES.items()}
_ROLES: dict[int, UserRole] = {pb.UserRole.Value(f"USER_ROLE_{role.name}"): role for role in UserRole}
_ROLE_NUMBERS: dict[UserRole, Any] = {role: number for number, role in _ROLES.items()}
_KIND_NUMBERS: dict[KeyKind, Any] = {kind: pb.KeyKind.Value(f"KEY_KIND_{kind.name}") for kind in KeyKind}
_USER_KINDS: dict[int, UserKind] = {pb.UserKind.Value(f"USER_KIND_{kind.name}"): kind for kind in UserKind}
_USER_KIND_NUMBERS: dict[UserKind, Any] = {kind: number for number, kind in _USER_KINDS.items()}


def scopes_from(numbers: Iterable[int]) -> frozenset[KeyScope]:
    """Return the scopes; inference where there are none.

    Raises:
        InvalidRequest: if one is unknown.
    """
    try:
        scopes = frozenset(_SCOPES[number] for number in numbers)
    except KeyError:
        raise InvalidRequest("scopes holds one that is not known.", field="scopes") from None
    return scopes or frozenset({KeyScope.INFERENCE})


def role_from(number: int, field: str) -> UserRole:
    """Return the role.

    Raises:
        InvalidRequest: if it is unknown or missing.
    """
    role = _ROLES.get(number)
    if role is None:
        raise InvalidRequest(f"{field} must be one of viewer, member and admin.", field=field)
    return role


def user_kind_from(number: int) -> UserKind:
    """Return the kind; a person where none is named.

    Raises:
        InvalidRequest: if it is unknown.
    """
    kind = _USER_KINDS.get(number) if number else UserKind.PERSON
    if kind is None:
        raise InvalidRequest("kind must be a person or a service account.", field="kind")
    return kind


def tenant_message(tenant: TenantView) -> pb.Tenant:
    """Return the tenant."""
    message = pb.Tenant(
        name=tenant.name,
        tier=tenant.tier,
        models=sorted(tenant.models),
        regions=tenant.regions,
        is_configured=tenant.is_configured,
        time_zone=tenant.time_zone,
    )
    _set(message.created_at, tenant.created_at)
    _set(message.disabled_at, tenant.disabled_at)
    return message


def team_message(team: TeamRecord) -> pb.Team:
    """Return the team."""
    message = pb.Team(tenant=team.tenant, name=team.name)
    _set(message.created_at, team.created_at)
    _set(message.archived_at, team.archived_at)
    return message


def subject_message(record: RevokedSubject) -> pb.RevokedSubject:
    """Return whose tokens are refused."""
    message = pb.RevokedSubject(tenant=record.tenant, issuer=record.issuer, subject=record.subject)
    _set(message.revoked_at, record.revoked_at)
    return message


def user_message(user: UserRecord) -> pb.User:
    """Return the user."""
    message = pb.User(
        id=user.id,
        tenant=user.tenant,
        name=user.name,
        role=_ROLE_NUMBERS[user.role],
        team=user.team,
        kind=_USER_KIND_NUMBERS[user.kind],
    )
    _set(message.created_at, user.created_at)
    _set(message.disabled_at, user.disabled_at)
    return message


def key_message(key: KeyRecord) -> pb.Key:
    """Return the key, without its digest."""
    message = pb.Key(
        id=key.id,
        tenant=key.tenant,
        user_id=key.user_id,
        label=key.label,
        scopes=sorted(_SCOPE_NUMBERS[scope] for scope in key.scopes),
        models=sorted(key.models),
        allowed_networks=[str(network) for network in key.networks],
        labels=sorted(key.labels),
        replaced_by=key.replaced_by,
        team=key.team,
        kind=_KIND_NUMBERS[key.kind],
    )
    _set(message.created_at, key.created_at)
    _set(message.expires_at, key.expires_at)
    _set(message.revoked_at, key.revoked_at)
    return message


def entry_message(entry: AuditEntry) -> pb.AuditEntry:
    """Return the audit entry."""
    message = pb.AuditEntry(
        id=entry.id,
        actor_key_id=entry.actor_key_id,
        actor_user_id=entry.actor_user_id,
        actor_tenant=entry.actor_tenant,
        action=entry.action,
        tenant=entry.tenant,
        target=entry.target,
        client_address=entry.client_address,
        request_id=entry.request_id,
        outcome=entry.outcome,
        details=entry.details,
    )
    _set(message.occurred_at, entry.occurred_at)
    return message


def _set(field: Any, moment: datetime | None) -> None:
    if moment is not None:
        field.FromDatetime(moment)
