"""A whole stack, its edge before it, whose callers and administrators sign in at an issuer."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "gateway"))
from identity_provider import CLIENT, IdentityProvider  # noqa: E402

# The provider's own, on what it is made of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def idp():
    provider = IdentityProvider()
    with provider.serving():
        yield provider


@pytest.fixture
def config(config, idp):
    oidc = {
        "issuer": idp.issuer,
        "audience": [CLIENT],
        "tenant": "demo",
        "claims": {"team": "groups", "role": "roles"},
        "team_map": {"eng": "search", "ops": "ads"},
        "default_team": "",
        "role_map": {"boss": ["read", "admin"]},
        "jwks": {"cooldown": "0s"},
    }
    config.write_text(f"{config.read_text()}\noidc: {json.dumps([oidc])}\n")
    return config


def asked(url, token, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    head = {"authorization": f"Bearer {token}", "content-type": "application/json", **headers}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, head), timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_tokens_pass_the_edge_as_keys_do(start, config, idp, penstock):
    ready = start("--config", config).until("ready")
    models, teams = f"{ready['http']}/v1/models", f"{ready['http']}/api/v1/admin/teams"
    boss = idp.sign_in("boss", roles=["boss"], pad="x" * 5000)
    assert (asked(models, boss)[0], asked(models, idp.token())[0]) == (200, 200)
    status, made = asked(teams, boss, {"name": "search"})
    assert (status, made["team"]["tenant"]) == (200, "demo")
    assert asked(teams, idp.token(), {"name": "ads"})[0] == 403
    assert asked(models, idp.token(iss="https://login.example.com"))[0] == 401
    assert asked(models, idp.token(groups=["eng"]), **{"x-penstock-team": "search"})[0] == 200
    assert asked(models, idp.token(groups=["eng"]), **{"x-penstock-team": "ads"})[0] == 403
    status, unsaid = asked(teams, idp.token(groups=["eng", "ops"], roles=["boss"]))
    assert (status, "x-penstock-team" in json.dumps(unsaid)) == (400, True)
    told = penstock("teams", "list", "--address", ready["grpc"], "--key", boss, "--json")
    assert [team["name"] for team in json.loads(told.stdout)] == ["search"]
