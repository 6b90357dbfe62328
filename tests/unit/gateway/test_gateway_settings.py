"""What the gateway reads of the configuration, and what it refuses to start with."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_common.sql.address import DatabaseLimits
from penstock_gateway.domain.access.identity import KeyScope, digest_of
from penstock_gateway.domain.life.door import Capacity
from penstock_gateway.domain.life.ladder import Ladder, SmallerModel, StaleAnswer, Template
from penstock_gateway.settings import Settings
from penstock_gateway.surfaces.wire_formats.body_bounds import BodyBounds

KEY, OTHER_KEY = "sixteen-chars-00", "sixteen-chars-01"
PEPPER = b"p" * 32


def settings(text):
    return Configuration.parse(text, {}).settings(Settings)


def test_tiers_have_defaults_that_the_file_may_replace():
    read = settings("""
tenants:
  - {name: a, tier: free}
  - {name: b, tier: pro}
  - {name: c, tier: own-tier}
  - {name: d, tier: {concurrent_requests: 1}}
  - {name: e}
tiers: {pro: {requests_per_minute: 7}, own-tier: {}}
""")
    assert {name: told(tenant.tier) for name, tenant in read.tenants_by_name().items()} == {
        "a": ("free", {"requests_per_minute": 10, "concurrent_requests": 2}),
        "b": ("pro", {"requests_per_minute": 7}),
        "c": ("own-tier", {}),
        "d": ("own", {"concurrent_requests": 1}),
        "e": ("free", {"requests_per_minute": 10, "concurrent_requests": 2}),
    }


def told(tier):
    return tier.name, {named.name: named.allowance.amount for named in tier.rules.own}


def test_configured_keys_are_for_inference_and_known_by_their_digest():
    read = settings(f"tenants: [{{name: a, keys: [{KEY}, {OTHER_KEY}]}}]")
    keys = read.configured_keys(PEPPER)
    assert set(keys) == {digest_of(PEPPER, KEY), digest_of(PEPPER, OTHER_KEY)}
    record = keys[digest_of(PEPPER, OTHER_KEY)]
    assert (record.id, record.tenant, record.scopes) == ("config-a-2", "a", frozenset({KeyScope.INFERENCE}))


def test_operators_keys_belong_to_no_tenant_and_are_for_nothing_else():
    read = settings(f"operator: {{keys: [{KEY}]}}")
    (record,) = read.configured_keys(PEPPER).values()
    assert (record.id, record.tenant, record.scopes) == ("config-operator-1", "", frozenset({KeyScope.OPERATOR}))


def test_created_tenants_can_have_the_tiers_of_the_file_and_the_built_in_ones():
    read = settings("tiers: {pro: {requests_per_minute: 7}, gold: {}}")
    tiers = read.directory().tiers
    assert told(tiers["pro"]) == ("pro", {"requests_per_minute": 7})
    assert set(tiers) == {"free", "pro", "enterprise", "gold"}


def test_a_models_ladder_has_its_steps_in_their_order_and_others_have_none():
    steps = "[{stale_if_error: 2h}, {model: b}, {templates: {general: Sorry., faq: See there.}}]"
    text = f"models: [{{name: a, degradation: {steps}}}, {{name: b, candidates: [u/m]}}, {{name: c, degradation: []}}]"
    texts = {"general": "Sorry.", "faq": "See there."}
    assert Configuration.parse(text, {}).settings(Settings).ladders() == {
        "a": Ladder.of(
            StaleAnswer(timedelta(hours=2)), SmallerModel("b"), Template(texts), reserve=timedelta(milliseconds=250)
        )
    }


def test_gateway_has_the_designs_times():
    read = settings("").gateway
    assert (read.unary_timeout, read.stream_timeout) == (timedelta(seconds=60), timedelta(seconds=600))
    assert (read.hold_back, read.keep_alive) == (timedelta(seconds=10), timedelta(seconds=15))


@pytest.mark.parametrize("word", ["off", "'off'"])
def test_cache_may_be_off_as_yaml_reads_it(word):
    assert settings(f"cache: {{mode: {word}, max_temperature: 0.3}}").cache.mode == "off"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tenants: [{name: a}, {name: a}]", "the tenant 'a' is defined twice"),
        ("tenants: [{name: a, tier: gold}]", "known are enterprise, free, pro"),
        ("tenants: [{name: a, keys: [short]}]", "shorter than 16 characters"),
        ("tenants: [{name: 'a b'}]", "tenants"),
        ("tenants: [{name: a, teir: free}]", "did you mean 'tier'"),
        ("gateway: {max_in_flight: 0}", "gateway.max_in_flight"),
        ("gateway: {hold_back: 10}", "a duration"),
        ("tiers: {free: {requests_per_minute: -1}}", "requests_per_minute"),
        (f"tenants: [{{name: a, keys: [{KEY}]}}, {{name: b, keys: [{KEY}]}}]", "'b' has a key that 'a' has"),
        (f"tenants: [{{name: a, keys: [{KEY}, {KEY}]}}]", "'a' has a key that 'a' has"),
        (
            f"{{operator: {{keys: [{KEY}]}}, tenants: [{{name: a, keys: [{KEY}]}}]}}",
            "the operator has a key that 'a' has",
        ),
        ("operator: {keys: [short]}", "a key of the operator is shorter than 16"),
        ("gateway: {key_fresh: 6s}", "refused within that time"),
        ("gateway: {key_lookup_timeout: 0s}", "gateway.key_lookup_timeout"),
        ("gateway: {unary_timeout: 0s}", "gateway.unary_timeout"),
        ("gateway: {keep_alive: 0s}", "gateway.keep_alive"),
        ("gateway: {redis_timeout: 0ms}", "gateway.redis_timeout"),
        ("gateway: {tenant_share: 0}", "gateway.tenant_share"),
        ("gateway: {tenant_share: 1.1}", "gateway.tenant_share"),
        ("gateway: {key_share: 80}", "gateway.key_share"),
        ("gateway: {refusals_per_minute: 0}", "gateway.refusals_per_minute"),
        ("gateway: {max_body_elements: 0}", "gateway.max_body_elements"),
        ("gateway: {max_body_depth: 0}", "gateway.max_body_depth"),
        ("gateway: {max_held_body_bytes: 0}", "gateway.max_held_body_bytes"),
    ],
)
def test_configuration_that_cannot_be_meant_is_refused(text, message):
    with pytest.raises(ConfigurationError, match=message) as refused:
        settings(text)
    assert KEY not in str(refused.value)


def test_what_a_process_takes_in_has_numbers():
    read = settings("").gateway
    assert read.capacity == Capacity(requests=8192, body_bytes=96 * 1024 * 1024, tenant_ratio=0.8, key_ratio=0.7)
    assert (read.body_bounds, read.refusals_per_minute) == (BodyBounds(max_elements=100_000, max_depth=64), 600)
    read = settings("gateway: {max_in_flight: 9, max_held_body_bytes: 8, tenant_share: 1, key_share: 0.5}").gateway
    assert read.capacity == Capacity(requests=9, body_bytes=8, tenant_ratio=1, key_ratio=0.5)
    read = settings("gateway: {max_body_elements: 7, max_body_depth: 6, refusals_per_minute: 5}").gateway
    assert (read.body_bounds, read.refusals_per_minute) == (BodyBounds(max_elements=7, max_depth=6), 5)


def test_database_has_limits_with_numbers():
    read = settings("").gateway
    assert read.database_limits == DatabaseLimits(
        pool_size=5, connect_timeout=timedelta(seconds=3), statement_timeout=timedelta(seconds=5)
    )
    read = settings("gateway: {sql_pool_size: 9, sql_connect_timeout: 1s, sql_statement_timeout: 250ms}").gateway
    assert read.database_limits == DatabaseLimits(
        pool_size=9, connect_timeout=timedelta(seconds=1), statement_timeout=timedelta(milliseconds=250)
    )


@pytest.mark.parametrize("limit", ["sql_pool_size: 0", "sql_connect_timeout: 0s", "sql_statement_timeout: 0ms"])
def test_database_without_a_limit_is_refused(limit):
    with pytest.raises(ConfigurationError, match=limit.partition(":")[0]):
        settings(f"gateway: {{{limit}}}")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/penstock.db",
        "sqlite:///penstock.db?timeout=1",
        "postgresql://penstock@db/penstock",
        "postgresql://penstock:p%40ss%2Fword%23%3A%25@db.internal:5433/penstock?sslmode=verify-full",
        "postgresql://penstock@a:5432,b/penstock?target_session_attrs=primary",
        "postgresql://penstock@[::1]:5432/penstock",
        "postgresql://penstock@/penstock?host=/run/postgresql",
        "postgresql://penstock@db/?dbname=penstock",
    ],
)
def test_database_addresses_are_taken_as_they_are(url):
    assert settings(f"sql: {url}").sql == url


@pytest.mark.parametrize(
    "url",
    [
        "postgres:pa55word@db/penstock",
        "mysql://u:pa55word@db/penstock",
        "postgresql://u:pa55word/x@db/penstock",
        "postgresql://u:pa55word@x@db/penstock",
        "postgresql://u:pa55word#x@db/penstock",
        "postgresql://u:pa55word:x@db:pa55word/penstock",
        "postgresql://u:pa55word@db",
        "postgresql://u:pa55word@[db/penstock",
        "sqlite://pa55word",
        "sqlite:///",
        "sqlite:///:memory:",
    ],
)
def test_database_address_that_cannot_be_read_is_refused_without_being_quoted(url):
    with pytest.raises(ConfigurationError, match="'sql': it ") as refused:
        settings(f"sql: '{url}'")
    assert "pa55word" not in str(refused.value)
