"""Making, listing, rotating and revoking keys. What is kept is a key's digest, never the key."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from penstock_common.errors import InvalidRequest, ResourceNotFound, ResourceState, ScopeMissing
from penstock_gateway.domain.access.identity import (
    KeyKind,
    KeyRecord,
    KeyScope,
    UserKind,
    UserRecord,
    digest_of,
    new_id,
    new_key,
)
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed, Now, utc_now
from penstock_gateway.domain.administration.paging import Listing, Page, end_by_age, listing
from penstock_gateway.domain.administration.reach import check_within
from penstock_gateway.domain.administration.registry import KeyFilter, Records, Registry
from penstock_gateway.domain.administration.teams import check_team
from penstock_gateway.domain.administration.tenants import existing_tenant
from penstock_gateway.domain.administration.users import visible_user

_KIND = "key"
_OPERATOR = frozenset({KeyScope.OPERATOR})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What a new key shall prove. Empty ``models`` and ``networks`` mean all; no ``lifetime`` means for good."""

    tenant: str = ""
    user_id: str = ""
    team: str = ""
    """Empty for the user's, or the actor's own."""
    label: str = ""
    scopes: frozenset[KeyScope] = frozenset({KeyScope.INFERENCE})
    models: Collection[str] = ()
    networks: Sequence[str] = ()
    labels: Collection[str] = ()
    """Of documents that it may find, besides those that have none."""
    lifetime: timedelta | None = None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key, which nothing shows again, and its record."""

    secret: str
    record: KeyRecord


@dataclass(frozen=True, slots=True)
class RotatedKey:
    """A new key, its record, and the older one's, whose ``expires_at`` is the end of the overlap."""

    secret: str
    record: KeyRecord
    previous: KeyRecord


@dataclass(frozen=True, slots=True)
class Keyring:
    """What keys are made with."""

    pepper: bytes
    directory: TenantDirectory


class KeyAdministration:
    """Keeps keys. An id of another tenant's is, for a tenant's own key, one that does not exist."""

    def __init__(self, keyring: Keyring, registry: Registry, now: Now = utc_now) -> None:
        self._keyring = keyring
        self._registry = registry
        self._now = now
        self._audit = AuditLog(registry, now)

    async def create(self, actor: Actor, wanted: NewKey) -> IssuedKey:
        """Return the new key.

        Raises:
            ScopeMissing: if the actor may not give such a key.
            ModelNotPermitted, RightsExceeded: if it were wider than the actor's own.
            InvalidRequest: if the user's role does not permit the scopes.
            ModelNotFound: if it names a model that there is not.
            ResourceNotFound: if there is no such tenant, user or team.
        """
        tenant, key_id = wanted.tenant or actor.tenant, new_id()
        details = {
            "label": wanted.label,
            "scopes": " ".join(sorted(wanted.scopes)),
            "models": " ".join(sorted(wanted.models)),
            "networks": " ".join(wanted.networks),
            "labels": " ".join(sorted(wanted.labels)),
            "user_id": wanted.user_id,
            "team": wanted.team,
            "lifetime_seconds": str(int(wanted.lifetime.total_seconds())) if wanted.lifetime else "",
        }
        async with self._audit.changing(Deed(actor, "key.create", tenant, key_id, details)) as records:
            lifetime = bounds.lifetime(wanted.lifetime)
            now = self._now()
            record = KeyRecord(
                id=key_id,
                tenant=actor.meant(tenant),
                digest=b"",
                scopes=wanted.scopes,
                models=self._known_models(actor, wanted.models),
                networks=bounds.networks(wanted.networks),
                labels=bounds.labels(wanted.labels),
                user_id=wanted.user_id,
                label=bounds.label(wanted.label),
                created_at=now,
                expires_at=now + lifetime if lifetime is not None else None,
                team=wanted.team or actor.team,
            )
            user = await self._check_power(actor, records, record)
            if user is not None:
                kind = KeyKind.SERVICE_ACCOUNT if user.kind is UserKind.SERVICE_ACCOUNT else KeyKind.INFERENCE
                record = replace(record, team=wanted.team or user.team or actor.team, kind=kind)
            await check_team(actor, records, record.tenant, record.team)
            secret, record = self._sealed(record)
            await records.add_key(record)
        return IssuedKey(secret, record)

    async def list(self, actor: Actor, wanted: KeyFilter, page: Page) -> Listing[KeyRecord]:
        """Return keys of the tenant, oldest first; of every tenant for an operator who names none."""
        tenant = bounds.named_tenant(actor.meant(wanted.tenant or "")) or None
        if wanted.user_id and not bounds.may_be_id(wanted.user_id):
            return Listing([])
        async with self._registry.begin() as records:
            found = await records.keys(replace(wanted, tenant=tenant), page.place(), page.size + 1)
        return listing(found, page, _end)

    async def rotate(
        self, actor: Actor, key_id: str, overlap: timedelta | None, lifetime: timedelta | None
    ) -> RotatedKey:
        """Return a key that proves the same; the older one stays valid until the overlap is over.

        Without a ``lifetime`` it is accepted as long as the older one was made for, and no longer than the actor's.

        Raises:
            ResourceState: if it is not live, or was rotated before.
            ModelNotPermitted, RightsExceeded: if it were wider than the actor's own.
        """
        successor_id = new_id()
        details = {"replaced_by": successor_id}
        async with self._audit.changing(await self._deed(actor, "key.rotate", key_id, details)) as records:
            overlap, lifetime = bounds.overlap(overlap), bounds.lifetime(lifetime)
            previous = await _visible(actor, records, key_id)
            now = self._now()
            if not previous.is_live(now) or previous.replaced_by:
                raise _not_rotatable(previous)
            # The older one as well: who is handed its successor has its rights.
            await self._check_power(actor, records, previous)
            ends_at = now + overlap
            if previous.expires_at is not None:
                ends_at = min(ends_at, previous.expires_at)
            record = replace(
                previous,
                id=successor_id,
                first_id=previous.first_id or previous.id,
                created_at=now,
                expires_at=now + lifetime if lifetime is not None else _usual_end(actor, previous, now),
            )
            check_within(actor, record)
            if not await records.replace_key(key_id, successor_id, ends_at):
                raise _not_rotatable(previous)
            secret, record = self._sealed(record)
            await records.add_key(record)
        return RotatedKey(secret, record, replace(previous, expires_at=ends_at, replaced_by=successor_id))

    async def revoke(self, actor: Actor, key_id: str) -> KeyRecord:
        """Return the key, which is refused for good; revoking again changes nothing."""
        async with self._audit.changing(await self._deed(actor, "key.revoke", key_id)) as records:
            record = await _visible(actor, records, key_id)
            now = self._now()
            if record.revoked_at is None and await records.revoke_key(key_id, now):
                record = replace(record, revoked_at=now)
        return record

    async def _deed(self, actor: Actor, action: str, key_id: str, details: dict[str, str] | None = None) -> Deed:
        """Return the deed, about the tenant that the key is of as far as the actor may know."""
        async with self._registry.begin() as records:
            record = await _key(records, key_id)
        tenant = record.tenant if record is not None and actor.may_touch(record.tenant) else actor.tenant
        return Deed(actor, action, tenant, key_id, details or {})

    def _known_models(self, actor: Actor, names: Collection[str]) -> frozenset[str]:
        # Whose own key names models may give those alone, and learns of no other whether it exists.
        known = frozenset[str]() if actor.models else self._keyring.directory.models
        return bounds.known_models(names, known, may_see_all=actor.is_operator)

    def _sealed(self, record: KeyRecord) -> tuple[str, KeyRecord]:
        """Return a key that proves the record, and the record with its digest and kind."""
        kind = KeyKind.of(record.scopes, of_service_account=record.kind is KeyKind.SERVICE_ACCOUNT)
        secret, _ = new_key(kind, record.id)
        return secret, replace(record, digest=digest_of(self._keyring.pepper, secret), kind=kind)

    async def _check_power(self, actor: Actor, records: Records, record: KeyRecord) -> UserRecord | None:
        """Return the key's user; refuse a key that gives what the actor or the user has not."""
        if KeyScope.OPERATOR in record.scopes:
            _check_operators_key(actor, record)
            return None
        if not record.tenant:
            raise InvalidRequest("tenant must say whose key it is; only an operator's has none.", field="tenant")
        if not record.scopes:
            raise InvalidRequest("scopes must hold at least one scope.", field="scopes")
        if KeyScope.PASSTHROUGH in record.scopes and not actor.is_operator:
            # What passes as it is reaches the operator's account at a provider, past every guardrail.
            raise ScopeMissing("Only an operator gives the scope 'passthrough'.", scope=KeyScope.OPERATOR)
        check_within(actor, record)
        await existing_tenant(self._keyring.directory, records, record.tenant)
        return await _checked_user(actor, records, record) if record.user_id else None


def _check_operators_key(actor: Actor, record: KeyRecord) -> None:
    if not actor.is_operator:
        raise ScopeMissing("Only an operator gives operators' keys.", scope=KeyScope.OPERATOR)
    named = record.tenant or record.user_id or record.team or record.models or record.labels
    if named or record.scopes != _OPERATOR:
        raise InvalidRequest(
            "An operator's key has the scope 'operator' alone, and no tenant, user, team, models or labels.",
            field="scopes",
        )
    check_within(actor, record)


async def _checked_user(actor: Actor, records: Records, record: KeyRecord) -> UserRecord:
    user = await visible_user(actor, records, record.user_id)
    if user.tenant != record.tenant:
        raise ResourceNotFound(f"The tenant has no user '{user.id}'.", kind="user", name=user.id)
    beyond = record.scopes - user.role.permits
    if beyond:
        raise InvalidRequest(f"The role '{user.role}' does not permit the scope '{min(beyond)}'.", field="scopes")
    return user


async def _key(records: Records, key_id: str) -> KeyRecord | None:
    return await records.key(key_id) if bounds.may_be_id(key_id) else None


async def _visible(actor: Actor, records: Records, key_id: str) -> KeyRecord:
    record = await _key(records, key_id)
    # An operator's key has no tenant, so that only operators see it.
    if record is None or not actor.may_touch(record.tenant):
        raise ResourceNotFound(f"There is no key '{key_id[:64]}'.", kind=_KIND, name=key_id)
    return record


def _usual_end(actor: Actor, previous: KeyRecord, now: datetime) -> datetime | None:
    """Return when a key's successor ends of which nothing is said."""
    if previous.expires_at is None:
        return None
    end = now + (previous.expires_at - (previous.created_at or now))
    return end if actor.expires_at is None else min(end, actor.expires_at)


def _not_rotatable(record: KeyRecord) -> ResourceState:
    why = "was rotated before" if record.replaced_by else "is not live"
    return ResourceState(f"The key '{record.id}' {why}.", kind=_KIND, name=record.id)


def _end(record: KeyRecord) -> str:
    assert record.created_at is not None, "stored keys know when they were made"
    return end_by_age(record.created_at, record.id)
