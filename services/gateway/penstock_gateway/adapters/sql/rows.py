"""Rows of administration as records, and records as rows."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from penstock_gateway.domain.access.identity import (
    KeyKind,
    KeyRecord,
    KeyScope,
    RevokedSubject,
    TeamRecord,
    TenantRecord,
    UserKind,
    UserRecord,
    UserRole,
)
from penstock_gateway.domain.administration.registry import AuditEntry

_KNOWN_SCOPES = frozenset(KeyScope)


def key_record(row: Any) -> KeyRecord:
    """Return the key of a row of ``api_keys``; a scope of a newer version gives nothing here."""
    return KeyRecord(
        id=row.id,
        tenant=row.tenant,
        digest=row.digest,
        scopes=frozenset(KeyScope(scope) for scope in row.scopes if scope in _KNOWN_SCOPES),
        models=frozenset(row.models),
        networks=tuple(ip_network(text) for text in row.networks or ()),
        labels=frozenset(row.labels or ()),
        user_id=row.user_id or "",
        label=row.label,
        created_at=aware(row.created_at),
        expires_at=aware(row.expires_at),
        revoked_at=aware(row.revoked_at),
        replaced_by=row.replaced_by or "",
        team=row.team or "",
        kind=KeyKind(row.kind or KeyKind.INFERENCE),
        first_id=row.first_id or "",
    )


def key_values(record: KeyRecord) -> dict[str, Any]:
    """Return the columns of ``api_keys``."""
    return {
        "id": record.id,
        "tenant": record.tenant,
        "digest": record.digest,
        "label": record.label,
        "scopes": sorted(record.scopes),
        "models": sorted(record.models),
        "networks": [str(network) for network in record.networks],
        "labels": sorted(record.labels),
        "user_id": record.user_id or None,
        "created_at": record.created_at or datetime.now(UTC),
        "expires_at": record.expires_at,
        "revoked_at": record.revoked_at,
        "replaced_by": record.replaced_by or None,
        "team": record.team or None,
        "kind": record.kind,
        "first_id": record.first_id or None,
    }


def tenant_record(row: Any) -> TenantRecord:
    """Return the tenant of a row of ``tenants``."""
    return TenantRecord(
        name=row.name,
        tier=row.tier,
        models=frozenset(row.models),
        regions=tuple(row.regions),
        created_at=present(row.created_at),
        disabled_at=aware(row.disabled_at),
        time_zone=row.time_zone or "UTC",
    )


def tenant_values(record: TenantRecord) -> dict[str, Any]:
    """Return the columns of ``tenants``."""
    return {**asdict(record), "models": sorted(record.models), "regions": list(record.regions)}


def user_record(row: Any) -> UserRecord:
    """Return the user of a row of ``users``."""
    return UserRecord(
        id=row.id,
        tenant=row.tenant,
        name=row.name,
        role=UserRole(row.role),
        created_at=present(row.created_at),
        disabled_at=aware(row.disabled_at),
        team=row.team or "",
        kind=UserKind(row.kind or UserKind.PERSON),
    )


def team_record(row: Any) -> TeamRecord:
    """Return the team of a row of ``teams``."""
    return TeamRecord(row.tenant, row.name, present(row.created_at), aware(row.archived_at))


def revoked_subject(row: Any) -> RevokedSubject:
    """Return who is in a row of ``revoked_subjects``."""
    return RevokedSubject(row.tenant, row.issuer, row.subject, present(row.revoked_at))


def audit_entry(row: Any) -> AuditEntry:
    """Return the entry of a row of ``audit_log``."""
    values: dict[str, Any] = {**row._asdict(), "occurred_at": present(row.occurred_at)}
    del values["exported_at"]
    return AuditEntry(**values)


def audit_values(entry: AuditEntry) -> dict[str, Any]:
    """Return the columns of ``audit_log``; the database numbers the row."""
    return {name: value for name, value in asdict(entry).items() if name != "id"}


def aware(moment: datetime | None) -> datetime | None:
    """Return the moment in UTC; SQLite keeps no time zone, and everything is written in UTC."""
    return None if moment is None else present(moment)


def present(moment: datetime) -> datetime:
    """Return a moment that is always there, in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
