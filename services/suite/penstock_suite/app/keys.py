"""`penstock keys`: the gateway's key administration, on the database of a stack."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from penstock_common.configuration import ConfigurationError
from penstock_gateway.app import open_keys
from penstock_gateway.domain.identity import KeyRecord, KeyScope
from penstock_gateway.domain.key_administration import KeyAdministration, NewKey, UnknownTenantError
from penstock_gateway.settings import Settings
from penstock_suite.adapters.key_files import ensure_key_file, random_secret
from penstock_suite.adapters.state_files import open_state_folder, read_run_record
from penstock_suite.app.plan import make_plan, state_root
from penstock_suite.domain.failure import Misconfigured, SuiteFailure
from penstock_suite.domain.keys import StoredKey
from penstock_suite.domain.requests import KeyRequest, Selection


async def create_key(selection: Selection, request: KeyRequest) -> tuple[str, StoredKey]:
    """Return the new key, which nothing shows again, and its record.

    Raises:
        Misconfigured: if the tenant or a scope is unknown.
    """
    unknown = request.scopes - set(KeyScope)
    if unknown:
        raise Misconfigured(f"unknown scope '{min(unknown)}'; known are {', '.join(sorted(KeyScope))}")
    wanted = NewKey(
        tenant=request.tenant,
        label=request.label,
        scopes=frozenset(KeyScope(scope) for scope in request.scopes),
        models=request.models,
        lifetime=request.lifetime,
    )
    async with _administration(selection) as keys:
        try:
            key, record = await keys.create(wanted)
        except UnknownTenantError as error:
            raise Misconfigured(str(error)) from None
    return key, _stored(record)


async def list_keys(selection: Selection) -> list[StoredKey]:
    """Return every created key, oldest first; keys of the configuration file are not among them."""
    async with _administration(selection) as keys:
        return [_stored(record) for record in await keys.list()]


async def revoke_key(selection: Selection, key_id: str) -> None:
    """Revoke the key; a running stack forgets it within 30 s.

    Raises:
        SuiteFailure: if there is no live key with this id.
    """
    async with _administration(selection) as keys:
        if not await keys.revoke(key_id):
            raise SuiteFailure(f"there is no live key with the id '{key_id}': see 'penstock keys list'")


@asynccontextmanager
async def _administration(selection: Selection) -> AsyncGenerator[KeyAdministration]:
    plan = make_plan(as_running(selection))
    open_state_folder(plan.state.root)
    ensure_key_file(plan.state.key_pepper, random_secret)
    try:
        async with open_keys(plan.configuration().settings(Settings)) as keys:
            yield keys
    except (OSError, ConfigurationError) as error:
        raise SuiteFailure(str(error)) from None


def as_running(selection: Selection) -> Selection:
    """Return the selection; without a configuration named, with that of the stack that runs on the folder."""
    if selection.config is not None:
        return selection
    record = read_run_record(open_state_folder(state_root(selection.state)))
    if record is None:
        return selection
    config = Path(record.config) if record.config else None
    return replace(selection, config=config, without_triton=record.without_triton)


def _stored(record: KeyRecord) -> StoredKey:
    return StoredKey(
        id=record.id,
        tenant=record.tenant,
        label=record.label,
        scopes=tuple(sorted(record.scopes)),
        models=tuple(sorted(record.models)),
        created_at=record.created_at,
        expires_at=record.expires_at,
        revoked_at=record.revoked_at,
    )
