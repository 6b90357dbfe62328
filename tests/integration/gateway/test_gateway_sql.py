"""Keys in real databases, the same on both engines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from penstock_gateway.adapters.sql.keys import SqlKeyStore
from penstock_gateway.domain.authentication import KeyStoreUnavailable
from penstock_gateway.domain.identity import KeyRecord, KeyScope
from penstock_gateway.domain.key_administration import KeyAdministration, NewKey, UnknownTenantError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def key_record(key_id="k1", **fields):
    digest = key_id.encode().ljust(32)
    scopes = frozenset({KeyScope.INFERENCE, KeyScope.ADMIN})
    defaults = {"id": key_id, "tenant": "demo", "digest": digest, "scopes": scopes, "created_at": NOW}
    return KeyRecord(**{**defaults, **fields})


async def test_key_is_found_as_it_was_added(database):
    store = SqlKeyStore(database)
    record = key_record(models=frozenset({"a", "b"}), label="ops", expires_at=NOW + timedelta(days=1))
    await store.add(record)
    assert await store.find(record.digest) == record
    assert await store.find(b"x" * 32) is None


async def test_keys_are_listed_oldest_first(database):
    store = SqlKeyStore(database)
    for number in (2, 0, 1):
        await store.add(key_record(f"k{number}", created_at=NOW + timedelta(seconds=number)))
    assert [record.id for record in await store.all()] == ["k0", "k1", "k2"]


async def test_key_is_revoked_once(database):
    store = SqlKeyStore(database)
    record = key_record()
    await store.add(record)
    assert await store.revoke("k1", NOW) is True
    assert await store.revoke("k1", NOW + timedelta(days=1)) is False
    assert await store.revoke("unknown", NOW) is False
    assert (await store.find(record.digest)).revoked_at == NOW


async def test_store_that_is_away_says_so(engine):
    # No schema yet: the table is missing.
    with pytest.raises(KeyStoreUnavailable):
        await SqlKeyStore(engine).find(b"x" * 32)


async def test_created_key_is_kept_as_its_digest_only(database, tmp_path):
    keys = KeyAdministration(b"p" * 32, {"demo"}, SqlKeyStore(database))
    key, record = await keys.create(NewKey(tenant="demo", lifetime=timedelta(days=1)))
    assert record.expires_at - record.created_at == timedelta(days=1)
    assert key.split("_")[1] == record.id
    async with database.connect() as connection:
        stored = str((await connection.execute(sa.text("SELECT * FROM api_keys"))).all())
    assert key not in stored
    assert key.split("_")[2] not in stored
    assert [listed.id for listed in await keys.list()] == [record.id]
    assert await keys.revoke(record.id)


async def test_key_for_an_unknown_tenant_is_refused(database):
    keys = KeyAdministration(b"p" * 32, {"demo"}, SqlKeyStore(database))
    with pytest.raises(UnknownTenantError, match="demo"):
        await keys.create(NewKey(tenant="nobody"))
