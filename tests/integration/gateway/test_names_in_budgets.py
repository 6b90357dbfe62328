"""Names in budgets and limits that nobody has are told when a gateway starts, which knows whom the database has."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from penstock_common.configuration import Configuration
from penstock_gateway.adapters.sql.names import SqlNames
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.app.budgets import named_by
from penstock_gateway.domain.access.identity import KeyRecord, KeyScope, TeamRecord, TenantRecord, UserRecord, UserRole
from penstock_gateway.domain.budgets.names import tell_unknown
from penstock_gateway.settings import Settings

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
DOCUMENT = {
    "models": [{"name": "fast"}],
    "tenants": [{"name": "acme", "tier": "gold", "keys": ["acme-key-acme-key-acme"]}],
    "tiers": {"gold": {"teams": {"serach": {"requests_per_minute": 1}, "search": {}}, "features": {"any": {}}}},
}


def budgets(*scopes):
    named = [
        {"name": f"b{at}", "tenant": tenant, "scope": scope, "amount": 1} for at, (tenant, scope) in enumerate(scopes)
    ]
    return {**DOCUMENT, "budgets": named}


@pytest.fixture
async def created(database):
    """A database with a tenant, teams, a user and a key that were created."""
    async with SqlRegistry(database).begin() as records:
        await records.add_tenant(TenantRecord("made", "free", frozenset(), (), NOW))
        for tenant in ("acme", "made"):
            await records.add_team(TeamRecord(tenant, "search" if tenant == "acme" else "sales", NOW))
        await records.add_user(UserRecord("u1u1u1u1u1u1", "acme", "Ada", UserRole.MEMBER, NOW))
        await records.add_key(KeyRecord("k1", "acme", b"d" * 32, frozenset({KeyScope.INFERENCE}), created_at=NOW))
    return database


async def told(database, document):
    with capture_logs() as logs:
        await tell_unknown(named_by(Configuration(document).settings(Settings)), SqlNames(database))
    return {one["of"]: one["text"].partition("names ")[2] for one in logs if one["event"] == "limit_of_nobody"}


async def test_whom_the_configuration_or_the_database_has_is_known(created):
    known = [("made", "tenant"), ("acme", "team/search"), ("acme", "user/u1u1u1u1u1u1"), ("acme", "key/k1")]
    more = [("made", "team/sales"), ("acme", "key/config-acme-1"), ("acme", "model/fast"), ("acme", "feature/any")]
    assert set(await told(created, budgets(*known, *more))) == {"tier gold"}


async def test_whom_nobody_has_is_told_with_the_nearest(created):
    document = budgets(
        ("maed", "tenant"),
        ("acme", "team/sales"),
        ("acme", "user/u2u2u2u2u2u2"),
        ("acme", "key/config-acme-2"),
        ("acme", "model/fsat"),
    )
    assert await told(created, document) == {
        "budget b0": "the tenant 'maed', which is not there, and binds nobody; did you mean 'made'?",
        "budget b1": "the team 'sales', which is not there, and binds nobody.",
        "budget b2": "the user 'u2u2u2u2u2u2', which is not there, and binds nobody.",
        "budget b3": "the key 'config-acme-2', which is not there, and binds nobody; did you mean 'config-acme-1'?",
        "budget b4": "the model 'fsat', which is not there, and binds nobody; did you mean 'fast'?",
        "tier gold": "the team 'serach', which is not there, and binds nobody; did you mean 'search'?",
    }


async def test_who_comes_by_a_token_is_nowhere_written_down(created):
    issuer = {"issuer": "https://id.example.com", "audience": ["p"], "tenant": "acme"}
    document = {**budgets(("acme", "user/oidc-0b6f"), ("acme", "team/any")), "oidc": [issuer]}
    assert await told(created, document) == {}


async def test_a_gateway_that_starts_tells_it(serve, document):
    document["budgets"] = [{"name": "b", "tenant": "demo", "scope": "model/fsat", "amount": 1}]
    with capture_logs() as logs:
        await serve()
    assert [(one["of"], one["scope"]) for one in logs if one["event"] == "limit_of_nobody"] == [
        ("budget b", "model/fsat")
    ]
