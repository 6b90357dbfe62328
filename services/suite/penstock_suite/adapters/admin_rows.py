"""What AdminService returns, as people see it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.protobuf import timestamp_pb2

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock_suite.domain.administration import StoredEntry, StoredKey, StoredTenant, StoredUser
from penstock_suite.domain.failure import Misconfigured

SCOPES: dict[str, Any] = {
    "admin": pb.KEY_SCOPE_ADMIN,
    "inference": pb.KEY_SCOPE_INFERENCE,
    "operator": pb.KEY_SCOPE_OPERATOR,
    "read": pb.KEY_SCOPE_READ,
    "review": pb.KEY_SCOPE_REVIEW,
}
ROLES: dict[str, Any] = {
    "viewer": pb.USER_ROLE_VIEWER,
    "member": pb.USER_ROLE_MEMBER,
    "admin": pb.USER_ROLE_ADMIN,
    "reviewer": pb.USER_ROLE_REVIEWER,
}
_USER_KINDS: dict[str, Any] = {"person": pb.USER_KIND_PERSON, "service account": pb.USER_KIND_SERVICE_ACCOUNT}
_KEY_KINDS: dict[str, Any] = {
    "inference": pb.KEY_KIND_INFERENCE,
    "administrative": pb.KEY_KIND_ADMINISTRATIVE,
    "service account": pb.KEY_KIND_SERVICE_ACCOUNT,
}


def tenant_row(tenant: pb.Tenant) -> StoredTenant:
    """Return the tenant."""
    return StoredTenant(
        name=tenant.name,
        tier=tenant.tier,
        models=tuple(tenant.models),
        regions=tuple(tenant.regions),
        is_configured=tenant.is_configured,
        created_at=_moment(tenant, "created_at"),
        disabled_at=_moment(tenant, "disabled_at"),
        time_zone=tenant.time_zone,
    )


def user_row(user: pb.User) -> StoredUser:
    """Return the user."""
    return StoredUser(
        id=user.id,
        tenant=user.tenant,
        name=user.name,
        role=_word(ROLES, user.role),
        team=user.team,
        kind=_word(_USER_KINDS, user.kind),
        created_at=user.created_at.ToDatetime(tzinfo=UTC),
        disabled_at=_moment(user, "disabled_at"),
    )


def key_row(key: pb.Key) -> StoredKey:
    """Return the key, without itself."""
    return StoredKey(
        id=key.id,
        tenant=key.tenant,
        user_id=key.user_id,
        label=key.label,
        scopes=tuple(sorted(_word(SCOPES, scope) for scope in key.scopes)),
        models=tuple(key.models),
        networks=tuple(key.allowed_networks),
        labels=tuple(key.labels),
        created_at=_moment(key, "created_at"),
        expires_at=_moment(key, "expires_at"),
        revoked_at=_moment(key, "revoked_at"),
        replaced_by=key.replaced_by,
        team=key.team,
        kind=_word(_KEY_KINDS, key.kind),
    )


def entry_row(entry: pb.AuditEntry) -> StoredEntry:
    """Return the audit entry."""
    return StoredEntry(
        id=entry.id,
        occurred_at=entry.occurred_at.ToDatetime(tzinfo=UTC),
        actor_key_id=entry.actor_key_id,
        actor_user_id=entry.actor_user_id,
        actor_tenant=entry.actor_tenant,
        action=entry.action,
        tenant=entry.tenant,
        target=entry.target,
        client_address=entry.client_address,
        request_id=entry.request_id,
        outcome=entry.outcome,
        details=dict(entry.details),
    )


def _moment(message: Any, field: str) -> datetime | None:
    if not message.HasField(field):
        return None
    stamp: timestamp_pb2.Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=UTC)


def number_of(words: dict[str, Any], word: str, what: str) -> Any:
    """Return the number that the contract has for a word."""
    if word not in words:
        raise Misconfigured(f"unknown {what} '{word}'; known are {', '.join(words)}")
    return words[word]


def _word(words: dict[str, Any], number: Any) -> str:
    """Return the word; the number itself where a later gateway has one more."""
    return next((word for word, value in words.items() if value == number), str(number))
