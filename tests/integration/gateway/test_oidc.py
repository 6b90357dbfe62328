"""Tokens of a real issuer in the place of keys, over HTTP and gRPC: who is let in, as whom, and who is not."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import grpc
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import RSAAlgorithm

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock_gateway.domain.access.asker import Asker
from penstock_gateway.domain.access.token_terms import user_id_of
from penstock_gateway.domain.jobs.job import JobState

sys.path.insert(0, str(Path(__file__).parent))
from administrator import Administrator, refused  # noqa: E402
from identity_provider import CLIENT, IdentityProvider, part  # noqa: E402
from jobs_desk import QUICK, JobsDesk, chat  # noqa: E402

# The provider's own, on what it is made of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Code = grpc.StatusCode
STRANGERS = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SEARCH, ADS = {"groups": ["/eng/search"]}, {"groups": "/eng/ads"}


@pytest.fixture
def idp():
    provider = IdentityProvider()
    with provider.serving():
        yield provider


@pytest.fixture
def document(document, idp):
    document["oidc"] = [
        {
            "issuer": idp.issuer,
            "audience": [CLIENT, "penstock-api"],
            "algorithms": ["RS256", "ES256"],
            "tenant": "demo",
            "claims": {"team": "groups", "role": ["resource_access", "penstock", "roles"]},
            "team_map": {"/eng/search": "search", "/eng/ads": "ads"},
            "default_team": "",
            "role_map": {"llm-admin": ["read", "admin"], "root": ["operator"]},
            "jwks": {"cooldown": "0s"},
        }
    ]
    document["gateway"]["key_fresh"] = "200ms"
    return document


def roles(*names):
    return {"resource_access": {"penstock": {"roles": list(names)}}}


async def status(suite, token, **headers):
    return (await suite.ask(key=token, headers=headers)).status


# Who comes in


async def test_who_signs_in_asks_a_model_and_is_billed_as_themselves(suite, idp):
    token = idp.sign_in("ada", groups=["/eng/search"], email="ada@example.com")
    assert (await suite.ask(key=token)).status == 200
    caller = Administrator(suite.channel, token)
    assert (await refused(caller.ListKeys()))[:2] == (Code.PERMISSION_DENIED, "SCOPE_MISSING")
    row = (await suite.ledger_after_close())[0]
    assert (row["tenant"], row["key_id"]) == ("demo", user_id_of(idp.issuer, "ada"))


async def test_keys_and_tokens_stand_beside_one_another_in_each_header(suite, idp):
    token = idp.token()
    for key in (suite.KEY, token):
        assert (await suite.request("GET", "/v1/models", headers={"x-api-key": key})).status == 200
        assert (await suite.request("GET", "/v1/models", headers={"authorization": f"bearer {key}"})).status == 200
    assert idp.asked["/jwks"] == 1


async def test_role_gives_what_the_map_says_and_nothing_more(suite, idp):
    admin = Administrator(suite.channel, idp.token(**roles("llm-admin", "unknown")))
    made = await admin.CreateKey(lifetime={"seconds": 3600})
    assert made.key.tenant == "demo"
    code, reason, _ = await refused(admin.CreateKey())
    assert (code, reason) == (Code.PERMISSION_DENIED, "RIGHTS_EXCEEDED")
    assert (await refused(admin.CreateTenant(name="x")))[1] == "SCOPE_MISSING"
    entry = (await admin.ListAuditEntries()).entries[-1]
    assert (entry.actor_user_id, entry.action) == (user_id_of(idp.issuer, "ada"), "key.create")
    root = Administrator(suite.channel, idp.token(**roles("root", "llm-admin")))
    assert len((await root.ListTenants()).tenants) == 4
    assert (await suite.ask(key=idp.token(**roles("root")))).status == 403


# Teams


async def test_team_comes_from_the_claims(suite, idp):
    admin = roles("llm-admin")
    for claims, team in ((SEARCH, "search"), (ADS, "ads"), ({"groups": ["x"]}, ""), ({}, "")):
        caller = Administrator(suite.channel, idp.token(**admin, **claims))
        for name in {team} - {""}:
            operator = Administrator(suite.channel, suite.OPERATOR_KEY)
            await operator.CreateTeam(tenant="demo", name=name)
        assert (await caller.CreateKey(lifetime={"seconds": 60})).key.team == team


async def test_who_is_in_several_teams_says_for_which_they_ask(suite, idp):
    token = idp.token(groups=["/eng/ads", "/eng/search"])
    unsaid = await suite.ask(key=token)
    assert (unsaid.status, unsaid.error["param"]) == (400, "x-penstock-team")
    assert "ads, search" in unsaid.error["message"]
    for team, wanted in (("search", 200), ("ads", 200), ("other", 403), ("/eng/ads", 403)):
        assert await status(suite, token, **{"x-penstock-team": team}) == wanted
    assert await status(suite, idp.token(**SEARCH), **{"x-penstock-team": "search"}) == 200
    assert await status(suite, idp.token(**SEARCH), **{"x-penstock-team": "ads"}) == 403
    assert await status(suite, suite.KEY, **{"x-penstock-team": "ads"}) == 403


async def test_archived_teams_tokens_are_refused(suite, idp):
    operator = Administrator(suite.channel, suite.OPERATOR_KEY)
    await operator.CreateTeam(tenant="demo", name="search")
    await operator.ArchiveTeam(tenant="demo", name="search")
    assert (await status(suite, idp.token(**SEARCH)), await status(suite, idp.token(**ADS))) == (401, 200)
    # Of two teams the other is left.
    assert await status(suite, idp.token(groups=["/eng/search", "/eng/ads"])) == 200


async def test_who_is_in_no_team_is_refused_where_one_is_needed(serve, document, idp):
    del document["oidc"][0]["default_team"]
    suite = await serve()
    unmapped = await suite.ask(key=idp.token(groups=["x"]))
    left_out = await suite.ask(key=idp.token(_claim_names={"groups": "src1"}))
    assert (unmapped.status, left_out.status) == (403, 403)
    assert "names no team" in unmapped.error["message"]
    assert "more groups than your issuer puts into a token" in left_out.error["message"]
    assert await status(suite, idp.token(**SEARCH)) == 200


# Forged, stolen, old


def hmac_with_the_public_key(idp):
    """Return what a reader takes for genuine that believes a token's own word on how it is signed."""
    signed = (
        f"{part(json.dumps({'alg': 'HS256', 'kid': idp.key_id}).encode())}.{part(json.dumps(idp.claims()).encode())}"
    )
    return f"{signed}.{part(hmac.digest(idp.public_pem, signed.encode(), hashlib.sha256))}"


def unsigned(idp, algorithm):
    return f"{part(json.dumps({'alg': algorithm, 'kid': idp.key_id}).encode())}.{part(json.dumps(idp.claims()).encode())}.{part(b'x')}"


def saying_twice(idp):
    """Return what the issuer itself has signed, and readers understand differently."""
    claims = json.dumps(idp.claims()).encode()[:-1] + b', "sub": "eve"}'
    signed = f"{idp.token().partition('.')[0]}.{part(claims)}"
    return f"{signed}.{part(RSAAlgorithm(RSAAlgorithm.SHA256).sign(signed.encode(), idp.private_key))}"


def changed(idp):
    head, _, signature = idp.token().split(".")
    return f"{head}.{part(json.dumps(idp.claims(sub='eve')).encode())}.{signature}"


NOW = int(time.time())
FORGED = {
    "another issuer": lambda idp: idp.token(iss="https://login.example.com"),
    "an issuer with a slash more": lambda idp: idp.token(iss=f"{idp.issuer}/"),
    "no issuer": lambda idp: idp.token(iss=None),
    "another audience": lambda idp: idp.token(aud="another"),
    "other audiences": lambda idp: idp.token(aud=["another", 1, None]),
    "no audience": lambda idp: idp.token(aud=None),
    "no end": lambda idp: idp.token(exp=None),
    "expired": lambda idp: idp.token(iat=NOW - 7200, exp=NOW - 61),
    "not yet": lambda idp: idp.token(nbf=NOW + 7200),
    "made tomorrow": lambda idp: idp.token(iat=NOW + 7200, exp=NOW + 9000),
    "for good": lambda idp: idp.token(exp=2**40 - 1),
    "an end beyond time": lambda idp: idp.token(exp=2**63),
    "an end that is a truth": lambda idp: idp.token(exp=True),
    "an end that is a text": lambda idp: idp.token(exp=str(NOW + 60)),
    "made long ago": lambda idp: idp.token(iat=NOW - 30 * 86400),
    "no user": lambda idp: idp.token(sub=None),
    "no user's name": lambda idp: idp.token(sub=""),
    "a stranger's key": lambda idp: idp.token(key=STRANGERS),
    "a stranger's key, unnamed": lambda idp: idp.token(key=STRANGERS, head={}),
    "another kind of key": lambda idp: idp.token(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
    "a kind that is not accepted": lambda idp: idp.token(key=ed25519.Ed25519PrivateKey.generate(), algorithm="EdDSA"),
    "signed in a way not accepted": lambda idp: idp.token(algorithm="PS256"),
    "unsigned": lambda idp: unsigned(idp, "none"),
    "unsigned, in other letters": lambda idp: unsigned(idp, "nOnE"),
    "the public key as a secret": hmac_with_the_public_key,
    "a changed claim": changed,
    "a claim twice": saying_twice,
    "a key of their own within": lambda idp: idp.token(
        key=STRANGERS, head={"kid": "eve", "jwk": {"kty": "RSA"}, "jku": "http://127.0.0.1:1/jwks", "x5u": "http://e"}
    ),
    "unknown critical headers": lambda idp: idp.token(head={"kid": idp.key_id, "crit": ["exp"], "exp": 1}),
    "too long": lambda idp: idp.token(pad="x" * 8192),
    "a key's id that is a number": lambda _: ".".join(map(part, (b'{"alg":"RS256","kid":1}', b"{}", b"x"))),
    "no object": lambda _: f"{part(b'[]')}.{part(b'[]')}.{part(b'x')}",
    "deep": lambda _: f"{part(b'[' * 3000)}.{part(b'{}')}.{part(b'x')}",
    "no JSON": lambda _: f"{part(b'x')}.{part(b'x')}.{part(b'x')}",
    "no base64": lambda idp: f"{idp.token()}=",
    "no signature": lambda idp: f"{idp.token().rpartition('.')[0]}.",
    "two signatures": lambda idp: f"{idp.token()}.x",
    "nothing": lambda _: "..",
}


async def test_forged_token_is_refused_over_http_and_grpc(suite, idp):
    assert await status(suite, idp.token()) == 200
    let_in = {}
    for how, forge in FORGED.items():
        token = forge(idp)
        answered = await suite.ask(key=token)
        code = (await refused(Administrator(suite.channel, token).ListKeys()))[0]
        if (answered.status, answered.error["code"], code) != (401, "invalid_api_key", Code.UNAUTHENTICATED):
            let_in[how] = (answered.status, answered.body, code)
    assert not let_in
    assert await status(suite, idp.token()) == 200


async def test_token_within_its_bounds_is_accepted(suite, idp):
    now = int(time.time())
    for changes in (
        {"aud": ["another", "penstock-api"]},
        {"exp": now - 10, "iat": now - 600},
        {"nbf": now + 30},
        {"iat": None},
        {"head": {}},
    ):
        assert await status(suite, idp.token(**changes)) == 200


async def test_remembered_token_ends_with_its_time(suite, idp):
    token = idp.token(iat=NOW - 600, exp=int(time.time()) - 58)
    assert await status(suite, token) == 200
    async with asyncio.timeout(60):
        while await status(suite, token) == 200:
            await asyncio.sleep(0.1)
    assert "has expired" in (await suite.ask(key=token)).error["message"]


async def test_header_of_another_kind_is_a_403(suite, idp):
    answered = await suite.request("POST", "/v1/vector_stores", headers={"authorization": f"Bearer {idp.token()}"})
    assert answered.status == 403


# The issuer's keys


async def test_keys_are_rotated_under_load_without_a_failure(suite, idp):
    stop, answers, tokens, seen = asyncio.Event(), [], [idp.token()], set()

    async def load(number):
        while not stop.is_set():
            token = tokens[number % len(tokens)]
            answers.append(await status(suite, token))
            seen.add(token)

    async def heard_again():
        so_far = len(answers)
        while len(answers) < so_far + 30 or tokens[-1] not in seen:
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(load(number))
        for _ in range(3):
            # A key is fetched before the next one comes: else one look would find both.
            await heard_again()
            await asyncio.to_thread(idp.rotate, keeps=True)
            # Of whoever signs in from now on; the others have theirs.
            tokens.append(idp.token())
        await heard_again()
        stop.set()
    assert {*answers, *[await status(suite, token) for token in tokens]} == {200}
    assert idp.asked["/jwks"] == 4


async def test_tokens_of_a_key_that_the_issuer_has_no_more_are_refused(suite, idp):
    before = idp.token()
    assert await status(suite, before) == 200
    idp.rotate(keeps=False)
    assert [await status(suite, token) for token in (before, idp.token(), before)] == [200, 200, 401]


async def test_only_key_of_an_issuer_need_not_be_named(suite, idp):
    before = idp.sign_in("ada")
    assert await status(suite, before) == 200
    idp.rotate(keeps=False)
    after = idp.sign_in("ada")
    assert [await status(suite, token) for token in (after, before)] == [200, 401]
    idp.rotate(keeps=True)
    assert await status(suite, idp.token()) == 200
    # Of two it must say which.
    assert await status(suite, after) == 401


async def test_unknown_keys_have_the_issuer_asked_once(serve, document, idp):
    document["oidc"][0]["jwks"] = {"cooldown": "10m"}
    suite = await serve()
    honest = idp.token()
    assert await status(suite, honest) == 200

    async def guess(number):
        return await status(suite, idp.token(key=STRANGERS, head={"kid": f"random-{number}"}))

    guesses = [asyncio.create_task(guess(number)) for number in range(200)]
    honest_answers = [await status(suite, idp.token(sub=f"user-{number}")) for number in range(20)]
    assert set(await asyncio.gather(*guesses)) == {401}
    assert set(honest_answers) == {200}
    assert await status(suite, honest) == 200
    assert idp.asked["/jwks"] == 1


async def test_issuer_that_is_away_at_the_start_refuses_no_key(serve, document, idp):
    idp.stop()
    suite = await serve()
    token = idp.token()
    answered = await suite.ask(key=token)
    assert (answered.status, await status(suite, suite.KEY)) == (503, 200)
    assert "issuer does not answer" in answered.error["message"]


async def test_issuer_that_goes_away_is_believed_meanwhile(serve, document, idp):
    document["oidc"][0]["jwks"] = {"cooldown": "0s", "ttl": "1ms"}
    suite = await serve()
    token = idp.token()
    assert await status(suite, token) == 200
    idp.stop()
    assert [await status(suite, one) for one in (token, idp.token(sub="bob"))] == [200, 200]


# Taken back


async def test_revoked_subject_is_refused_everywhere_and_restored(suite, idp):
    operator = Administrator(suite.channel, suite.OPERATOR_KEY)
    ada, bob = idp.token(), idp.token(sub="bob")
    assert [await status(suite, token) for token in (ada, bob)] == [200, 200]
    await operator.RevokeSubject(tenant="demo", subject="ada")
    async with asyncio.timeout(60):
        while await status(suite, ada) == 200:
            await asyncio.sleep(0.02)
    refusal = await suite.ask(key=idp.token(jti="another"))
    assert (refusal.status, await status(suite, bob)) == (401, 200)
    assert "signed out" in refusal.error["message"]
    await operator.RestoreSubject(tenant="demo", subject="ada")
    async with asyncio.timeout(60):
        while await status(suite, ada) != 200:
            await asyncio.sleep(0.02)


async def test_created_tenants_tokens_end_when_it_is_disabled(serve, document, idp):
    document["oidc"][0] |= {"tenant_claim": "org", "tenants": ["acme", "gone"]}
    del document["oidc"][0]["tenant"]
    suite = await serve()
    operator = Administrator(suite.channel, suite.OPERATOR_KEY)
    await operator.CreateTenant(name="acme", tier="pro")
    token = idp.token(org="acme")
    answers = [await status(suite, idp.token(org=org)) for org in ("acme", "gone", "demo", None)]
    assert answers == [200, 401, 401, 401]
    await operator.DisableTenant(name="acme")
    async with asyncio.timeout(60):
        while await status(suite, token) == 200:
            await asyncio.sleep(0.02)


async def test_models_of_an_issuer_bind_its_tokens(serve, document, idp):
    document["oidc"][0]["models"] = ["safe"]
    suite = await serve()
    assert (await suite.ask(key=idp.token(), model="safe")).status == 200
    assert (await suite.ask(key=idp.token())).status in {403, 404}


async def test_token_is_kept_nowhere(suite, idp):
    token = idp.token(**roles("llm-admin"))
    await Administrator(suite.channel, token).CreateKey(lifetime={"seconds": 60})
    assert await status(suite, token) == 200
    await suite.stack.aclose()
    with closing(sqlite3.connect(suite.state / "penstock.db")) as database:
        assert token.rpartition(".")[2] not in "\n".join(database.iterdump())


async def test_key_made_with_a_token_lives_no_longer_than_the_issuers_may(suite, idp):
    admin = Administrator(suite.channel, idp.token(**roles("llm-admin")))
    assert (await refused(admin.CreateKey(lifetime={"seconds": 31 * 86400})))[1] == "RIGHTS_EXCEEDED"
    made = await admin.CreateKey(lifetime={"seconds": 29 * 86400}, scopes=[pb.KEY_SCOPE_INFERENCE])
    assert await status(suite, made.secret) == 200


# Jobs


async def test_job_of_a_token_is_run_as_its_holder_until_they_are_signed_out(document, serve, idp, tmp_path):
    document["jobs"] = QUICK
    suite, ada = await serve(), user_id_of(idp.issuer, "ada")
    operator = Administrator(suite.channel, suite.OPERATOR_KEY)
    asker = Asker(issuer=idp.issuer, subject="ada", team="search", scopes=("inference",))
    async with JobsDesk.at(tmp_path) as desk:
        (first,) = await desk.submit(chat(key_id=ada, asker=asker))
        assert (await desk.ended(first)).error is None
        (strangers,) = await desk.submit(chat(key_id="x", asker=msgspec.structs.replace(asker, issuer="https://else")))
        assert (await desk.ended(strangers)).error.reason == "INVALID_CREDENTIALS"
        await operator.RevokeSubject(tenant="demo", subject="ada")
        # Once the standing that is known is no longer fresh.
        async with asyncio.timeout(60):
            while True:
                (next_one,) = await desk.submit(chat(key_id=ada, asker=asker))
                if (ended := await desk.ended(next_one)).state is JobState.FAILED:
                    break
        assert ended.error.reason == "INVALID_CREDENTIALS"
    row = next(row for row in await suite.ledger_after_close() if row["job"] == first.id)
    assert (row["key_id"], row["user_id"], row["team"]) == (ada, ada, "search")
