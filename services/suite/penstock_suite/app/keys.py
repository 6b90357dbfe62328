"""`penstock keys`: the gateway's key administration, on the database of a stack."""

from __future__ import annotations

from datetime import timedelta

from penstock_gateway.domain.access.identity import KeyRecord, KeyScope
from penstock_gateway.domain.administration.keys import NewKey
from penstock_gateway.domain.administration.registry import KeyFilter
from penstock_suite.app.administration import administration, everything, operator
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.keys import StoredKey
from penstock_suite.domain.requests import KeyRequest, Selection


async def create_key(selection: Selection, request: KeyRequest) -> tuple[str, StoredKey]:
    """Return the new key, which nothing shows again, and its record.

    Raises:
        Misconfigured: if a scope is unknown, or the tenant may not have such a key.
    """
    unknown = request.scopes - set(KeyScope)
    if unknown:
        raise Misconfigured(f"unknown scope '{min(unknown)}'; known are {', '.join(sorted(KeyScope))}")
    wanted = NewKey(
        tenant=request.tenant,
        user_id=request.user_id,
        label=request.label,
        scopes=frozenset(KeyScope(scope) for scope in request.scopes),
        models=request.models,
        networks=request.networks,
        lifetime=request.lifetime,
    )
    async with administration(selection) as opened:
        issued = await opened.keys.create(operator(), wanted)
    return issued.secret, stored(issued.record)


async def list_keys(selection: Selection, tenant: str) -> list[StoredKey]:
    """Return every created key of the tenant, or of all, oldest first; those of the configuration are not among them."""
    async with administration(selection) as opened:
        wanted = KeyFilter(tenant or None)
        return [stored(record) for record in await everything(lambda page: opened.keys.list(operator(), wanted, page))]


async def rotate_key(
    selection: Selection, key_id: str, overlap: timedelta | None, lifetime: timedelta | None
) -> tuple[str, StoredKey, StoredKey]:
    """Return the new key, its record, and the older one's, which ends with the overlap."""
    async with administration(selection) as opened:
        rotated = await opened.keys.rotate(operator(), key_id, overlap, lifetime)
    return rotated.secret, stored(rotated.record), stored(rotated.previous)


async def revoke_key(selection: Selection, key_id: str) -> StoredKey:
    """Return the revoked key; a running stack refuses it within 5 s.

    Raises:
        SuiteFailure: if there is no key with this id.
    """
    async with administration(selection) as opened:
        return stored(await opened.keys.revoke(operator(), key_id))


def stored(record: KeyRecord) -> StoredKey:
    """Return the key as people see it."""
    return StoredKey(
        id=record.id,
        tenant=record.tenant,
        user_id=record.user_id,
        label=record.label,
        scopes=tuple(sorted(record.scopes)),
        models=tuple(sorted(record.models)),
        networks=tuple(str(network) for network in record.networks),
        created_at=record.created_at,
        expires_at=record.expires_at,
        revoked_at=record.revoked_at,
        replaced_by=record.replaced_by,
    )
