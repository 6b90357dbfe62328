"""Lists in pages hold every item once, in one order, whatever language the database speaks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from penstock_common.sql.database import open_database
from penstock_common.sql.schema import upgrade
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.domain.access.identity import KeyRecord, KeyScope, Tenant, Tier, UserRecord, UserRole
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.administration import Administration, CachePorts
from penstock_gateway.domain.administration.keys import Keyring
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.administration.registry import KeyFilter
from penstock_gateway.domain.administration.tenants import TenantTerms
from penstock_gateway.domain.administration.upstreams import NoUpstreams

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPERATOR = Actor(key_id="k", is_operator=True)
FREE = Tier("free")
# Languages put capitals beside small letters, and pass over what is no letter; bytes do neither.
CREATED = ["a", "B", "_", "-z", "z-1", "z1", "Z", "z.", "A", "b", "10", "9", "a-b", "aB", "a_c", "AB"]
CONFIGURED = ["M", "m", "_m", "a-a", "ZZ"]


@pytest.fixture(params=["sqlite", "postgresql", "postgresql in en-US"])
async def database(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'penstock.db'}"
    else:
        english = ("--template=template0", "--locale-provider=icu", "--icu-locale=en-US")
        url = request.getfixturevalue("postgres").create_database(*(english if "en-US" in request.param else ()))
    async with open_database(url) as engine:
        await upgrade(engine, GATEWAY)
        yield engine


@pytest.fixture
def opened(database):
    directory = TenantDirectory({name: Tenant(name, FREE) for name in CONFIGURED}, {"free": FREE})
    return Administration.over(Keyring(b"p" * 32, directory), SqlRegistry(database), CachePorts(), NoUpstreams())


async def all_pages(fetch, size):
    """Return the items of every page, one behind the other."""
    items, token = [], ""
    while True:
        page = await fetch(Page.of(size, token))
        assert len(page.items) <= size
        items += page.items
        token = page.next_token
        if not token:
            return items


@pytest.mark.parametrize("size", [1, 2, 3, 500])
async def test_every_tenant_is_listed_once_by_the_bytes_of_its_name(opened, size):
    for name in CREATED:
        await opened.tenants.create(OPERATOR, name, TenantTerms())
    listed = await all_pages(lambda page: opened.tenants.list(OPERATOR, page), size)
    assert [tenant.name for tenant in listed] == sorted([*CREATED, *CONFIGURED], key=str.encode)


@pytest.mark.parametrize("size", [1, 3])
async def test_keys_and_users_of_one_moment_are_listed_once(database, opened, size):
    async with SqlRegistry(database).begin() as records:
        for name in CREATED:
            await records.add_user(UserRecord(name, "acme", f"user {name}", UserRole.MEMBER, NOW))
            scopes = frozenset({KeyScope.INFERENCE})
            await records.add_key(KeyRecord(name, "acme", name.encode().ljust(32), scopes, created_at=NOW))
    keys = await all_pages(lambda page: opened.keys.list(OPERATOR, KeyFilter(), page), size)
    users = await all_pages(lambda page: opened.users.list(OPERATOR, "", page), size)
    assert [key.id for key in keys] == [user.id for user in users] == sorted(CREATED, key=str.encode)
