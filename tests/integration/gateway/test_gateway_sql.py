"""Keys, tenants, users and the audit log in real databases, the same on both engines."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
import sqlalchemy as sa

from penstock_common.errors import (
    InvalidRequest,
    ModelNotFound,
    ModelNotPermitted,
    ResourceExists,
    ResourceNotFound,
    ServiceUnavailable,
)
from penstock_gateway.adapters.sql.keys import SqlKeyStore
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.standing import SqlStandingStore
from penstock_gateway.domain.access.identity import (
    KeyKind,
    KeyRecord,
    KeyScope,
    RevokedSubject,
    TeamRecord,
    TenantRecord,
    Tier,
    UserRecord,
    UserRole,
)
from penstock_gateway.domain.access.look_ups import FoundKey, KeyStoreUnavailable
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.access.tokens import Standing
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.administration import Administration, CachePorts
from penstock_gateway.domain.administration.keys import Keyring, NewKey
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.administration.registry import AuditEntry, KeyFilter, Place
from penstock_gateway.domain.administration.tenants import TenantTerms
from penstock_gateway.domain.administration.upstreams import NoUpstreams
from penstock_gateway.domain.administration.users import NewUser

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACME = TenantRecord("acme", "pro", frozenset({"fast"}), ("eu", "us"), NOW)
ADA = UserRecord("u1", "acme", "ada@example.com", UserRole.MEMBER, NOW)


def key_record(key_id="k1", **fields):
    digest = key_id.encode().ljust(32)
    scopes = frozenset({KeyScope.INFERENCE, KeyScope.ADMIN})
    defaults = {"id": key_id, "tenant": "acme", "digest": digest, "scopes": scopes, "created_at": NOW}
    return KeyRecord(**{**defaults, **fields})


def audit_entry(**fields):
    texts = dict.fromkeys(("actor_user_id", "actor_tenant", "target", "client_address", "request_id"), "")
    defaults = {**texts, "actor_key_id": "k", "action": "key.create", "tenant": "acme", "outcome": "ok"}
    return AuditEntry(**{**defaults, "occurred_at": NOW, **fields})


async def test_key_is_found_with_all_that_its_rights_depend_on(database):
    record = key_record(
        models=frozenset({"a", "b"}),
        networks=(ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")),
        user_id="u1",
        label="ops",
        expires_at=NOW + timedelta(days=1),
    )
    async with SqlRegistry(database).begin() as records:
        await records.add_tenant(ACME)
        await records.add_user(ADA)
        await records.add_key(record)
    store = SqlKeyStore(database)
    assert await store.find(record.digest) == FoundKey(record, ACME, ADA)
    assert await store.find(b"x" * 32) is None
    assert await store.answers()


async def test_key_of_a_configured_tenant_and_of_nobody_is_found_alone(database):
    async with SqlRegistry(database).begin() as records:
        await records.add_key(key_record())
    assert await SqlKeyStore(database).find(key_record().digest) == FoundKey(key_record())


async def test_user_of_another_tenant_is_not_the_keys(database):
    async with SqlRegistry(database).begin() as records:
        await records.add_user(ADA)
        await records.add_key(key_record(tenant="other", user_id="u1"))
    assert (await SqlKeyStore(database).find(key_record().digest)).user is None


async def test_key_of_a_team_is_found_with_whether_that_is_archived(database):
    registry, store = SqlRegistry(database), SqlKeyStore(database)
    record = key_record(team="search", kind=KeyKind.SERVICE_ACCOUNT)
    async with registry.begin() as records:
        for tenant, archived_at in (("acme", None), ("other", NOW)):
            await records.add_team(TeamRecord(tenant, "search", NOW, archived_at))
        await records.add_key(record)
    assert await store.find(record.digest) == FoundKey(record)
    async with registry.begin() as records:
        await records.change_team("acme", "search", {"archived_at": NOW})
    assert await store.find(record.digest) == FoundKey(record, team_is_archived=True)


async def test_standing_is_that_of_the_named_tenants_and_of_operators(database):
    async with SqlRegistry(database).begin() as records:
        await records.add_tenant(ACME)
        await records.add_tenant(replace(ACME, name="other"))
        for tenant in ("acme", "other"):
            await records.add_team(TeamRecord(tenant, "old", NOW, NOW))
            await records.add_team(TeamRecord(tenant, "new", NOW))
        for tenant in ("", "acme", "other"):
            await records.add_revoked_subject(RevokedSubject(tenant, "https://login.example.com", "ada", NOW))
    found = await SqlStandingStore(database).standing(["acme", "unknown"])
    assert found == Standing(
        {"acme": ACME},
        frozenset({("acme", "old")}),
        frozenset((tenant, "https://login.example.com", "ada") for tenant in ("", "acme")),
    )


async def test_standing_that_cannot_be_asked_for_says_so(engine):
    # No schema yet: the tables are missing.
    with pytest.raises(KeyStoreUnavailable):
        await SqlStandingStore(engine).standing(["acme"])


async def test_key_that_an_older_version_wrote_is_read(database):
    async with database.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO api_keys (id, tenant, digest, label, scopes, models, created_at)"
                " VALUES ('k1', 'acme', :digest, '', '[\"inference\", \"of-tomorrow\"]', '[]', :now)"
            ).bindparams(sa.bindparam("now", type_=sa.DateTime(timezone=True))),
            {"digest": key_record().digest, "now": NOW},
        )
    found = await SqlKeyStore(database).find(key_record().digest)
    assert found.record == key_record(scopes=frozenset({KeyScope.INFERENCE}))


async def test_store_that_is_away_says_so(engine):
    # No schema yet: the tables are missing.
    with pytest.raises(KeyStoreUnavailable):
        await SqlKeyStore(engine).find(b"x" * 32)
    assert not await SqlKeyStore(engine).answers()
    with pytest.raises(ServiceUnavailable):
        async with SqlRegistry(engine).begin() as records:
            await records.tenant("acme")


async def test_keys_are_listed_oldest_first_in_pages(database):
    async with SqlRegistry(database).begin() as records:
        for number in (2, 0, 3, 1):
            await records.add_key(key_record(f"k{number}", created_at=NOW + timedelta(seconds=number // 2)))
        await records.add_key(key_record("other", tenant="other", user_id="u1"))

        async def ids(after, limit, **wanted):
            return [record.id for record in await records.keys(KeyFilter(**wanted), after, limit)]

        assert await ids(None, 9, tenant="acme") == ["k0", "k1", "k2", "k3"]
        assert await ids(Place(NOW, "k0"), 2, tenant="acme") == ["k1", "k2"]
        assert await ids(Place(NOW + timedelta(seconds=1), "k3"), 2) == []
        assert await ids(None, 9, user_id="u1") == ["other"]


async def test_key_is_revoked_once(database):
    async with SqlRegistry(database).begin() as records:
        await records.add_key(key_record())
        assert await records.revoke_key("k1", NOW) is True
        assert await records.revoke_key("k1", NOW + timedelta(days=1)) is False
        assert await records.revoke_key("unknown", NOW) is False
        assert (await records.key("k1")).revoked_at == NOW


async def test_key_is_replaced_once_and_never_after_it_was_revoked(database):
    until = NOW + timedelta(hours=1)
    async with SqlRegistry(database).begin() as records:
        await records.add_key(key_record("k1"))
        await records.add_key(key_record("k2"))
        assert await records.replace_key("k1", "k3", until) is True
        assert await records.replace_key("k1", "k4", until) is False
        assert await records.revoke_key("k2", NOW) is True
        assert await records.replace_key("k2", "k5", until) is False
        replaced = await records.key("k1")
    assert (replaced.replaced_by, replaced.expires_at, replaced.revoked_at) == ("k3", until, None)


async def test_tenant_is_kept_changed_and_listed_by_name(database):
    async with SqlRegistry(database).begin() as records:
        await records.add_tenant(ACME)
        await records.add_tenant(TenantRecord("Zeta", "free", frozenset(), (), NOW))
        await records.change_tenant("acme", {"models": frozenset(), "regions": ("eu",), "disabled_at": NOW})
        assert await records.tenant("acme") == TenantRecord("acme", "pro", frozenset(), ("eu",), NOW, NOW)
        assert await records.tenant("ACME") is None
        assert {record.name for record in await records.tenants("", 9)} == {"acme", "Zeta"}
        assert len(await records.tenants("", 1)) == 1


async def test_taken_names_are_refused_and_nothing_of_the_transaction_stays(database):
    registry = SqlRegistry(database)
    async with registry.begin() as records:
        await records.add_tenant(ACME)
        await records.add_user(ADA)
    for add in (lambda records: records.add_tenant(ACME), lambda records: records.add_user(ADA)):
        with pytest.raises(ResourceExists):
            async with registry.begin() as records:
                await records.note(audit_entry())
                await add(records)
    async with registry.begin() as records:
        assert await records.entries(None, None, 9) == []


async def test_users_of_two_tenants_may_share_a_name(database):
    async with SqlRegistry(database).begin() as records:
        await records.add_user(ADA)
        await records.add_user(UserRecord("u2", "other", ADA.name, UserRole.ADMIN, NOW))
        await records.change_user("u1", {"role": UserRole.VIEWER, "disabled_at": NOW})
        assert [user.id for user in await records.users(None, None, 9)] == ["u1", "u2"]
        (user,) = await records.users("acme", None, 9)
    assert (user.role, user.disabled_at) == (UserRole.VIEWER, NOW)


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "x" * 10_000, "' OR 1=1 --"])
async def test_text_that_no_database_can_hold_is_refused_before_it_gets_there(database, text):
    keyring = Keyring(b"p" * 32, TenantDirectory({}, {"free": Tier("free")}))
    opened = Administration.over(keyring, SqlRegistry(database), CachePorts(), NoUpstreams())
    operator, page = Actor(key_id="k", is_operator=True), Page.of(0, "")
    refused = (InvalidRequest, ResourceNotFound)
    for asked in (
        lambda: opened.tenants.create(operator, text, TenantTerms()),
        lambda: opened.tenants.get(operator, text),
        lambda: opened.tenants.disable(operator, text),
        lambda: opened.users.create(operator, NewUser(tenant=text, name="ada", role=UserRole.ADMIN)),
        lambda: opened.users.disable(operator, text),
        lambda: opened.users.list(operator, text, page),
        lambda: opened.keys.create(operator, NewKey(tenant=text)),
        lambda: opened.keys.create(operator, NewKey(tenant="acme", user_id=text)),
        lambda: opened.keys.create(operator, NewKey(tenant="acme", label=text + "\x00")),
        lambda: opened.keys.list(operator, KeyFilter(text), page),
        lambda: opened.keys.revoke(operator, text),
        lambda: opened.keys.rotate(operator, text, None, None),
        lambda: opened.audit.list(operator, text, page),
    ):
        with pytest.raises(refused):
            await asked()
    assert (await opened.keys.list(operator, KeyFilter(user_id=text), page)).items == []
    # Every attempt at a change is in the log, as far as a text can be kept.
    assert len((await opened.audit.list(operator, "", page)).items) == 9


async def test_what_names_a_model_that_there_is_not_is_refused(database):
    known = frozenset({"fast", "all-MiniLM-L6-v2"})
    keyring = Keyring(b"p" * 32, TenantDirectory({}, {"free": Tier("free")}, known))
    opened = Administration.over(keyring, SqlRegistry(database), CachePorts(), NoUpstreams())
    operator = Actor(key_id="k", is_operator=True)
    admin = Actor(key_id="a", tenant="acme")
    await opened.tenants.create(operator, "acme", TenantTerms(models=["fast"]))
    made = await opened.keys.create(operator, NewKey(tenant="acme", models=["fast", "all-MiniLM-L6-v2"]))
    assert made.record.models == known
    for asked in (
        lambda: opened.keys.create(operator, NewKey(tenant="acme", models=["fast", "fats"])),
        lambda: opened.tenants.create(operator, "other", TenantTerms(models=["fats"])),
        lambda: opened.tenants.update(operator, "acme", TenantTerms(models=["fats"]), ["models"]),
    ):
        with pytest.raises(ModelNotFound, match=r"There is no model 'fats'\. Did you mean 'fast'\?"):
            await asked()
    with pytest.raises(ModelNotFound) as told:
        await opened.keys.create(admin, NewKey(models=["fats"]))
    assert "fast" not in str(told.value), "only an operator sees every model"
    narrow = Actor(key_id="n", tenant="acme", models=frozenset({"fast"}))
    with pytest.raises(ModelNotPermitted):
        await opened.keys.create(narrow, NewKey(models=["fats"]))
    assert [tenant.models for tenant in (await opened.tenants.list(operator, Page.of(0, ""))).items] == [{"fast"}]


async def test_where_no_model_is_known_any_may_be_named(database):
    keyring = Keyring(b"p" * 32, TenantDirectory({}, {"free": Tier("free")}))
    opened = Administration.over(keyring, SqlRegistry(database), CachePorts(), NoUpstreams())
    made = await opened.tenants.create(Actor(key_id="k", is_operator=True), "acme", TenantTerms(models=["any"]))
    assert made.models == {"any"}


async def test_page_token_that_no_database_can_hold_is_refused():
    with pytest.raises(InvalidRequest):
        Page.of(0, base64.b64encode(b"a\x00b").decode())


async def test_audit_entries_are_listed_the_newest_first(database):
    async with SqlRegistry(database).begin() as records:
        for number in range(3):
            await records.note(audit_entry(target=f"k{number}", details={"ä": "\U0001f600"}))
        await records.note(audit_entry(tenant="other"))
        entries = await records.entries("acme", None, 2)
        assert [entry.target for entry in entries] == ["k2", "k1"]
        (last,) = await records.entries("acme", entries[-1].id, 2)
        assert (last.target, last.occurred_at, last.details) == ("k0", NOW, {"ä": "\U0001f600"})
        assert len(await records.entries(None, None, 9)) == 4
