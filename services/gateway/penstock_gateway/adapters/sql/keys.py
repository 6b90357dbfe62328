"""Looking created keys up, by the digest of the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, and_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_gateway.adapters.sql.rows import aware, key_record
from penstock_gateway.adapters.sql.tables import api_keys, teams, tenants, users
from penstock_gateway.domain.access.identity import DIGEST_BYTES, TenantRecord, UserKind, UserRecord, UserRole
from penstock_gateway.domain.access.look_ups import FoundKey, KeyStoreUnavailable

# One query for everything that a key's rights depend on.
_FIND = (
    select(
        api_keys,
        tenants.c.tier.label("tenant_tier"),
        tenants.c.models.label("tenant_models"),
        tenants.c.regions.label("tenant_regions"),
        tenants.c.created_at.label("tenant_created_at"),
        tenants.c.disabled_at.label("tenant_disabled_at"),
        tenants.c.time_zone.label("tenant_time_zone"),
        users.c.name.label("user_name"),
        users.c.role.label("user_role"),
        users.c.created_at.label("user_created_at"),
        users.c.disabled_at.label("user_disabled_at"),
        users.c.team.label("user_team"),
        users.c.kind.label("user_kind"),
        teams.c.archived_at.label("team_archived_at"),
    )
    .outerjoin(tenants, tenants.c.name == api_keys.c.tenant)
    .outerjoin(users, and_(users.c.id == api_keys.c.user_id, users.c.tenant == api_keys.c.tenant))
    .outerjoin(teams, and_(teams.c.tenant == api_keys.c.tenant, teams.c.name == api_keys.c.team))
)


class SqlKeyStore:
    """Implements ``look_ups.KeyStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def answers(self) -> bool:
        """Return whether keys can be looked up just now."""
        try:
            await self.find(bytes(DIGEST_BYTES))
        except KeyStoreUnavailable:
            return False
        return True

    async def find(self, digest: bytes) -> FoundKey | None:
        """Return the key with this digest, live or not; raises what ``find_many`` raises."""
        return (await self.find_many((digest,))).get(digest)

    async def find_many(self, digests: Sequence[bytes]) -> Mapping[bytes, FoundKey]:
        """Return the keys with these digests, as ``KeyStore`` says."""
        try:
            async with self._engine.connect() as connection:
                rows = (await connection.execute(_FIND.where(api_keys.c.digest.in_(digests)))).all()
        except (SQLAlchemyError, OSError) as error:
            raise KeyStoreUnavailable from error
        return {bytes(row.digest): _found(row) for row in rows}

    async def find_id(self, tenant: str, key_id: str) -> FoundKey | None:
        """Return a tenant's key, live or not, as ``KeysById`` says."""
        try:
            async with self._engine.connect() as connection:
                of_id = _FIND.where(api_keys.c.id == key_id, api_keys.c.tenant == tenant)
                row = (await connection.execute(of_id)).first()
        except (SQLAlchemyError, OSError) as error:
            raise KeyStoreUnavailable from error
        return None if row is None else _found(row)


def _found(row: Row[Any]) -> FoundKey:
    return FoundKey(key_record(row), _tenant(row), _user(row), row.team_archived_at is not None)


def _tenant(row: Row[Any]) -> TenantRecord | None:
    created_at = aware(row.tenant_created_at)
    if created_at is None:
        return None
    models, regions = frozenset(row.tenant_models), tuple(row.tenant_regions)
    disabled_at, time_zone = aware(row.tenant_disabled_at), row.tenant_time_zone or "UTC"
    return TenantRecord(row.tenant, row.tenant_tier, models, regions, created_at, disabled_at, time_zone)


def _user(row: Row[Any]) -> UserRecord | None:
    created_at = aware(row.user_created_at)
    if created_at is None:
        return None
    role, kind, disabled_at = (
        UserRole(row.user_role),
        UserKind(row.user_kind or UserKind.PERSON),
        aware(row.user_disabled_at),
    )
    return UserRecord(row.user_id, row.tenant, row.user_name, role, created_at, disabled_at, row.user_team or "", kind)
