"""Tokens of issuers: what they say by the issuer's terms, and how long the standing of their holders is believed."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from pydantic import ValidationError

import penstock_gateway.settings
from penstock_common.configuration import Configuration, ConfigurationError
from penstock_common.errors import InvalidCredentials, InvalidRequest, RightsExceeded, ServiceUnavailable
from penstock_gateway.adapters.oidc.signing_keys import ALGORITHMS, JwkSigningKey, keys_in
from penstock_gateway.domain.access.authentication import Clock, KeyFreshness
from penstock_gateway.domain.access.identity import Caller, KeyScope, Tenant, Tier
from penstock_gateway.domain.access.look_ups import KeyStoreUnavailable
from penstock_gateway.domain.access.token_form import WrittenToken
from penstock_gateway.domain.access.token_terms import IssuerTerms, end_of, identity_in, is_for, user_id_of
from penstock_gateway.domain.access.tokens import Standing, StandingWatch

ISSUER = "https://login.example.com"
NOW = datetime(2026, 11, 30, tzinfo=UTC)
SECOND = int(NOW.timestamp())


def terms(**fields):
    usual = {
        "issuer": ISSUER,
        "audience": frozenset({"penstock"}),
        "algorithms": frozenset({"RS256"}),
        "tenant": "acme",
    }
    return IssuerTerms(**{**usual, **fields})


# What claims say


def test_user_is_the_same_for_good_and_another_for_another_issuer():

    ids = {user_id_of(issuer, subject) for issuer in (ISSUER, f"{ISSUER}/") for subject in ("ada", "Ada", "ada\n")}
    assert len(ids) == 6
    assert user_id_of(ISSUER, "ada") == user_id_of(ISSUER, "ada")
    assert {len(each) for each in ids} == {29}


@pytest.mark.parametrize(
    ("path", "claims", "teams"),
    [
        (("groups",), {"groups": ["a", "b", "x", 7]}, ("one", "two")),
        (("groups",), {"groups": "b"}, ("two",)),
        (("realm", "groups"), {"realm": {"groups": ["a"]}}, ("one",)),
        (("https://corp.example/teams",), {"https://corp.example/teams": ["a"]}, ("one",)),
    ],
)
def test_groups_are_found_by_their_path(path, claims, teams):
    found = identity_in(terms(team_claim=path, team_map={"a": "one", "b": "two"}), {"sub": "ada", **claims})
    assert found.teams == teams


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({}, "names no team"),
        ({"groups": {"a": 1}}, "names no team"),
        ({"groups": ["x"]}, "names no team"),
        ({"hasgroups": True}, "more groups"),
        ({"_claim_names": {"groups": "src1"}}, "more groups"),
    ],
)
def test_who_is_in_no_known_team_is_told_why(claims, text):
    of_teams = terms(team_claim=("groups",), team_map={"a": "one"})
    with pytest.raises(RightsExceeded, match=text):
        identity_in(of_teams, {"sub": "ada", **claims})


def test_roles_add_to_what_everybody_may_and_an_operator_has_nothing_else():
    roles = {"boss": frozenset({KeyScope.ADMIN}), "root": frozenset({KeyScope.OPERATOR, KeyScope.READ})}
    by_role = terms(role_claim=("roles",), role_map=roles)
    assert identity_in(by_role, {"sub": "ada"}).scopes == {KeyScope.INFERENCE}
    assert identity_in(by_role, {"sub": "ada", "roles": ["boss", "x"]}).scopes == {KeyScope.INFERENCE, KeyScope.ADMIN}
    root = identity_in(by_role, {"sub": "ada", "roles": ["root", "boss"]})
    assert (root.scopes, root.tenant, root.teams) == ({KeyScope.OPERATOR}, "", ())


@pytest.mark.parametrize("tenant", ["other", "", None, ["acme"], {"acme": 1}])
def test_tenant_is_one_that_the_issuer_may_speak_for(tenant):
    by_claim = terms(tenant="", tenant_claim=("org",), tenants=frozenset({"acme"}))
    assert identity_in(by_claim, {"sub": "ada", "org": "acme"}).tenant == "acme"
    with pytest.raises(InvalidCredentials):
        identity_in(by_claim, {"sub": "ada", "org": tenant})


@pytest.mark.parametrize(
    ("audience", "fits"),
    [
        ("penstock", True),
        (["x", "penstock"], True),
        ("penstoc", False),
        ({"penstock": 1}, False),
        (None, False),
        ([["penstock"]], False),
    ],
)
def test_audience_is_a_text_or_several(audience, fits):
    assert is_for(terms(), {"aud": audience}) is fits


@pytest.mark.parametrize(
    ("claims", "ends"),
    [
        ({"exp": SECOND + 60}, SECOND + 120),
        ({"exp": SECOND - 59}, SECOND + 1),
        ({"exp": SECOND - 60}, None),
        ({"exp": SECOND + 86_460, "iat": SECOND}, SECOND + 86_520),
        ({"exp": SECOND + 86_461, "iat": SECOND}, None),
        ({"exp": SECOND + 86_461}, None),
        ({"exp": SECOND + 60, "iat": SECOND - 86_461}, None),
        ({"exp": SECOND + 600, "nbf": SECOND + 60}, SECOND + 660),
        ({"exp": SECOND + 600, "nbf": SECOND + 61}, None),
        ({"exp": SECOND + 600, "iat": SECOND + 61}, None),
        ({"exp": 2**63}, None),
        ({"exp": -1}, None),
        ({"exp": True}, None),
        ({"exp": "1"}, None),
        ({"exp": SECOND + 60, "nbf": "now"}, None),
        ({}, None),
    ],
)
def test_token_lives_by_its_own_times_and_no_longer_than_a_day(claims, ends):
    if ends is None:
        with pytest.raises(InvalidCredentials):
            end_of(terms(), claims, NOW)
    else:
        assert end_of(terms(), claims, NOW) == ends


def test_caller_of_several_teams_names_one_of_them():
    caller = Caller(Tenant("acme", Tier("own")), "k", frozenset(), teams=("ads", "search"))
    assert (caller.in_team("ads").team, caller.in_team("ads").teams) == ("ads", ())
    with pytest.raises(InvalidRequest, match="ads, search"):
        caller.in_team("")
    for own in (caller, Caller(Tenant("acme", Tier("own")), "k", frozenset(), team="ads")):
        with pytest.raises(RightsExceeded):
            own.in_team("finance")


# Keys and what they sign


def published(key, **more):
    algorithm = {rsa.RSAPublicKey: RSAAlgorithm, ec.EllipticCurvePublicKey: ECAlgorithm}
    public = key.public_key()
    kind = next((each for type_, each in algorithm.items() if isinstance(public, type_)), OKPAlgorithm)
    return {**kind.to_jwk(public, as_dict=True), **more}


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P256, ED = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()


def test_no_algorithm_has_a_shared_secret_or_none():
    assert not [name for name in ALGORITHMS if name.startswith("HS") or name.lower() == "none"]


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "c2VjcmV0"},
        published(RSA, use="enc"),
        published(RSA, key_ops=["encrypt"]),
        {**published(RSA), "n": "AQAB"},
        {"kty": "RSA"},
        published(ec.generate_private_key(ec.SECP256K1())),
        published(P256, crv="P-384"),
        {},
    ],
)
def test_key_that_signs_no_tokens_is_none(jwk):
    with pytest.raises(ValueError, match="."):
        JwkSigningKey(jwk)


def test_key_signs_by_the_algorithms_of_its_kind_alone():
    token = WrittenToken("ES256", "k", {}, b"signed", ECAlgorithm(ECAlgorithm.SHA256).sign(b"signed", P256))
    assert JwkSigningKey(published(P256)).has_signed(token)
    assert not JwkSigningKey(published(P256, alg="ES384")).has_signed(token)
    for other in (RSA, ED):
        assert not JwkSigningKey(published(other)).has_signed(token)
    for algorithm in ("RS256", "EdDSA", "HS256", "none", "ES384"):
        forged = WrittenToken(algorithm, "k", {}, b"signed", token.signature)
        assert not JwkSigningKey(published(P256)).has_signed(forged)


def test_set_keeps_what_stayed_and_leaves_out_what_it_cannot_use():
    document = {
        "keys": [published(RSA, kid="a"), published(P256, kid="b"), {"kid": "c", "kty": "oct"}, 7, published(ED)]
    }
    first = keys_in(json.dumps(document).encode(), 32, {})
    again = keys_in(json.dumps(document).encode(), 32, first)
    assert list(first) == ["a", "b"]
    assert again["a"] is first["a"]
    document["keys"][0] = published(rsa.generate_private_key(public_exponent=65537, key_size=2048), kid="a")
    assert keys_in(json.dumps(document).encode(), 32, first)["a"] is not first["a"]
    assert list(keys_in(json.dumps(document).encode(), 1, {})) == ["a"]


@pytest.mark.parametrize("document", [b"", b"[]", b'{"keys": 7}', b'{"keys": []}', b'{"keys": [{}]}', b"[" * 10_000])
def test_what_is_no_set_is_refused(document):
    with pytest.raises(ValueError, match="."):
        keys_in(document, 32, {})


# The standing of their holders


class Store:
    """Answers what it is told, or is away."""

    def __init__(self):
        self.standing_is = Standing({}, frozenset(), frozenset())
        self.is_away = False
        self.asked = 0

    async def standing(self, names):
        self.asked += 1
        if self.is_away:
            raise KeyStoreUnavailable
        return self.standing_is


async def test_standing_is_asked_for_again_within_four_seconds_and_believed_for_thirty():
    store, seconds, tasks = Store(), [0.0], set()

    def in_background(work):
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    clock = Clock(monotonic=lambda: seconds[0], now=lambda: NOW)
    watch = StandingWatch(store, ["acme"], in_background, KeyFreshness(), clock)
    assert watch.fresh() is None
    assert await watch.now() is store.standing_is
    seconds[0] = 1.9
    assert (watch.fresh(), store.asked) == (store.standing_is, 1)
    before, store.standing_is = store.standing_is, Standing({}, frozenset(), frozenset({("acme", "", "ada")}))
    seconds[0] = 2.0
    assert watch.fresh() is before
    await asyncio.gather(*tasks)
    assert (watch.fresh(), store.asked) == (store.standing_is, 2)
    store.is_away, seconds[0] = True, 6.0
    assert watch.fresh() is None
    assert await watch.now() is store.standing_is
    seconds[0] = 32.0
    with pytest.raises(ServiceUnavailable):
        await watch.now()


# What the configuration may say


def section(**fields):
    usual = {"issuer": ISSUER, "audience": ["penstock"], "tenant": "acme"}
    return {name: value for name, value in {**usual, **fields}.items() if value is not None}


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"issuer": "http://login.example.com"}, ("issuer",)),
        ({"issuer": "login.example.com"}, ("issuer",)),
        ({"audience": []}, ("audience",)),
        ({"algorithms": ["HS256"]}, ("algorithms", 0)),
        ({"algorithms": ["none"]}, ("algorithms", 0)),
        ({"algorithms": []}, ("algorithms",)),
        ({"claims": {"role": "roles"}, "role_map": {"boss": ["boss"]}}, ("role_map", "boss", 0)),
        ({"role_map": {"boss": ["admin"]}}, ("role_map",)),
        ({"team_map": {"a": "b"}}, ("team_map",)),
        ({"team_map": {"a": "b c"}, "claims": {"team": "groups"}}, ("team_map", "a")),
        ({"claims": {"team": "groups"}}, ("claims",)),
        ({"claims": {"teams": "groups"}}, ("claims", "teams")),
        ({"tenant": None}, ("tenant",)),
        ({"tenant_claim": "org", "tenants": ["a"]}, ("tenant",)),
        ({"tenant": None, "tenant_claim": "org"}, ("tenants",)),
        ({"scopes": ["operator"]}, ("scopes",)),
        ({"jwks": {"url": "http://keys.example.com"}}, ("jwks", "url")),
        ({"jwks": {"ttl": "2d"}}, ("jwks",)),
        ({"jwks": {"ttl": "0s"}}, ("jwks", "ttl")),
        ({"models": ["unknown"]}, ("models",)),
    ],
)
def test_what_cannot_be_meant_is_a_fault_with_its_place(fields, where):
    document = {"models": [{"name": "fast", "candidates": ["a/b"]}], "oidc": [section(**fields)]}
    with pytest.raises(ConfigurationError) as refused:
        Configuration(document).settings(penstock_gateway.settings.Settings)
    place = "oidc[0]" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    assert place in [fault.key for fault in refused.value.faults]


def test_audience_has_one_entry_of_an_issuer():
    with pytest.raises(ValidationError, match="another entry"):
        penstock_gateway.settings.Settings.model_validate({"oidc": [section(), section(tenant="b")]})
    two = [section(), section(tenant="b", audience=["another"])]
    assert len(penstock_gateway.settings.Settings.model_validate({"oidc": two}).oidc) == 2


def test_section_becomes_terms():
    read = (
        penstock_gateway.settings.Settings.model_validate(
            {
                "oidc": [
                    section(
                        claims={"team": "realm.groups", "role": ["a.b", "c"]},
                        team_map={"x": "y"},
                        role_map={"boss": ["admin"]},
                        leeway="5s",
                    )
                ]
            }  # fmt: skip
        )
        .oidc[0]
        .terms()
    )
    assert (read.team_claim, read.role_claim, read.user_claim) == (("realm", "groups"), ("a.b", "c"), ("sub",))
    assert read.role_map == {"boss": frozenset({KeyScope.ADMIN})}
    assert (read.leeway, read.all_tenants) == (timedelta(seconds=5), frozenset({"acme"}))
