"""Administration as typed REST, through a real edge: default deny, and where a caller is."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pool

from penstock.gateway.v1 import admin_service_pb2, budget_service_pb2, prompt_service_pb2, status_service_pb2

TOKEN = "t0" * 16
EDGE = Path(sys.executable).parent / "penstock-edge"


def routes():
    """Return the verb and path of every administrative method."""
    found = {}
    for module in (admin_service_pb2, prompt_service_pb2, status_service_pb2, budget_service_pb2):
        for service in descriptor_pool.Default().FindFileByName(module.DESCRIPTOR.name).services_by_name.values():
            for method in service.methods:
                rule = method.GetOptions().Extensions[annotations_pb2.http]
                verb = rule.WhichOneof("pattern")
                found[method.name] = (verb.upper(), re.sub(r"\{[^}]*\}", "x", getattr(rule, verb)))
    return found


ROUTES = routes()


@asynccontextmanager
async def running_edge(suite, *arguments):
    """An edge in front of the suite's gateway; yields its address."""
    executable = EDGE if EDGE.is_file() else shutil.which("penstock-edge")
    if executable is None:
        pytest.skip("the edge is not built")
    process = await asyncio.create_subprocess_exec(
        executable,
        "--listen=127.0.0.1:0",
        f"--gateway-grpc=127.0.0.1:{suite.gateway.grpc_port}",
        f"--gateway-http=unix://{suite.http_socket}",
        "--drain-notice=0s",
        *arguments,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            line = json.loads(await process.stderr.readline())
        assert line["msg"] == "listening", line
        async with aiohttp.ClientSession(f"http://{line['address']}") as session:
            yield session
    finally:
        process.terminate()
        await process.communicate()


@pytest.fixture
async def edge(suite):
    async with running_edge(suite) as session:
        yield session


async def call(session, verb, path, key, body=None, headers=()):
    """Return the status and the JSON of an answer."""
    body = body if body is not None or verb == "GET" else {}
    head = {"authorization": f"Bearer {key}", **dict(headers)}
    async with session.request(verb, path, json=body, headers=head) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("method", ROUTES)
async def test_inference_key_is_denied_every_administrative_route(suite, edge, method):
    status, body = await call(edge, *ROUTES[method], suite.KEY)
    assert (status, body["details"][0]["reason"]) == (403, "SCOPE_MISSING")


@pytest.mark.parametrize("method", ROUTES)
async def test_nobody_is_let_in_without_a_key(edge, method):
    status, body = await call(edge, *ROUTES[method], "")
    assert (status, body["details"][0]["reason"]) == (401, "INVALID_CREDENTIALS")


async def test_prompt_is_made_labelled_and_used_over_rest(suite, edge):
    key, place = suite.OPERATOR_KEY, "/api/v1/prompts/greet"
    template = {
        "messages": [{"role": "ROLE_USER", "text": "{{n}} {{data}}"}],
        "variables": [{"name": "n", "type": "PROMPT_VARIABLE_TYPE_INTEGER"}, {"name": "data", "type": 6}],
        "model": "fast",
    }
    body = {"tenant": "demo", "template": template, "labels": ["production"]}
    assert (await call(edge, "POST", f"{place}/versions", key, body))[0] == 200
    assert (await call(edge, "POST", f"{place}/versions", key, {**body, "labels": []}))[1]["version"]["version"] == 2
    _, moved = await call(edge, "POST", f"{place}/labels/production", key, {"tenant": "demo", "version": 2})
    assert moved["prompt"]["labels"] == [{"label": "production", "version": 2, "earlier_versions": [1]}]
    _, back = await call(edge, "POST", f"{place}/labels/production:rollBack", key, {"tenant": "demo"})
    assert back["prompt"]["labels"][0]["version"] == 1
    _, listed = await call(edge, "GET", "/api/v1/prompts?tenant=demo", key)
    assert [prompt["newest_version"] for prompt in listed["prompts"]] == [2]
    status, same = await call(edge, "GET", f"{place}:diff?tenant=demo&from_version=1&to_version=2", key)
    assert (status, same.get("diff", "")) == (200, "")
    _, found = await call(edge, "GET", f"{place}/version?tenant=demo&label=production", key)
    assert found["version"]["template"]["messages"] == [{"role": "ROLE_USER", "text": "{{n}} {{data}}"}]
    variables = {"n": 5, "data": {"b": [1, 2.5], "a": None}}
    asked = {"prompt": {"id": "greet", "variables": variables}}
    async with edge.post("/api/v1/chat", json=asked, headers={"authorization": f"Bearer {suite.KEY}"}) as answer:
        assert (answer.status, answer.headers["x-penstock-prompt"]) == (200, "greet@1")
    _, rendered = await call(edge, "POST", f"{place}:render", key, {"tenant": "demo", "variables": variables})
    assert rendered["messages"][0]["parts"] == [{"text": '5 {"a":null,"b":[1,2.5]}'}]


async def test_budget_is_kept_over_rest(suite, edge):
    key, place = suite.OPERATOR_KEY, "/api/v1/budgets"
    wanted = {"tenant": "demo", "name": "month", "amount_nano_usd": "10000000000", "alert_percents": [80]}
    status, body = await call(edge, "POST", place, key, wanted)
    assert (status, body["budget"]["period"]) == (200, "BUDGET_PERIOD_MONTH")
    changed = {"tenant": "demo", "amount_nano_usd": "20000000000"}
    status, body = await call(edge, "PATCH", f"{place}/month", key, changed)
    assert (status, body["budget"]["amount_nano_usd"], body["budget"]["alert_percents"]) == (200, "20000000000", [80])
    grace = {"tenant": "demo", "amount_nano_usd": "5", "until": "2020-01-01T00:00:00Z", "reason": "r"}
    assert (await call(edge, "POST", f"{place}/month:grant", key, grace))[0] == 400
    status, body = await call(edge, "GET", f"{place}/month/standing?tenant=demo", key)
    assert (status, body["standing"]["remaining_nano_usd"]) == (200, "20000000000")
    status, body = await call(edge, "GET", f"{place}?over_percent=0", key)
    assert [line["budget"]["name"] for line in body["budgets"]] == ["month"]
    status, body = await call(edge, "POST", "/api/v1/limits:explain", key, {"tenant": "demo", "model": "fast"})
    assert (status, [each["source"] for each in body["limits"]]) == (200, ["tier own", "budget month"])
    assert (await call(edge, "DELETE", f"{place}/month?tenant=demo", key))[0] == 200
    assert (await call(edge, "GET", f"{place}/month?tenant=demo", key))[0] == 404


async def test_tenant_with_users_and_keys_is_kept_over_rest(suite, edge):
    operator = suite.OPERATOR_KEY
    status, body = await call(edge, "POST", "/api/v1/admin/tenants", operator, {"name": "acme", "tier": "pro"})
    assert (status, body["tenant"]["tier"]) == (200, "pro")
    wanted = {"tenant": "acme", "scopes": ["KEY_SCOPE_ADMIN"], "lifetime": "3600s"}
    status, body = await call(edge, "POST", "/api/v1/admin/keys", operator, wanted)
    own, key_id = body["secret"], body["key"]["id"]
    wanted = {"name": "ada", "role": "USER_ROLE_MEMBER"}
    status, body = await call(edge, "POST", "/api/v1/admin/users", own, wanted)
    user = body["user"]["id"]
    status, body = await call(edge, "PATCH", f"/api/v1/admin/users/{user}", own, {"role": "USER_ROLE_VIEWER"})
    assert (status, body["user"]["role"]) == (200, "USER_ROLE_VIEWER")
    status, body = await call(edge, "PATCH", "/api/v1/admin/tenants/acme", operator, {"models": ["safe"]})
    assert (status, body["tenant"]["models"], body["tenant"]["tier"]) == (200, ["safe"], "pro")
    status, body = await call(edge, "POST", f"/api/v1/admin/keys/{key_id}:rotate", own, {"overlap": "60s"})
    assert (status, body["previous_key"]["replaced_by"]) == (200, body["key"]["id"])
    status, body = await call(edge, "GET", "/api/v1/admin/keys?page_size=1", own)
    assert (status, len(body["keys"])) == (200, 1)
    status, body = await call(edge, "GET", f"/api/v1/admin/keys?page_token={body['next_page_token']}", own)
    assert (status, len(body["keys"]), "next_page_token" in body) == (200, 1, False)
    status, body = await call(edge, "GET", "/api/v1/admin/audit-entries", own)
    actions = [entry["action"] for entry in body["entries"]]
    assert actions == ["key.rotate", "tenant.update", "user.update", "user.create", "key.create", "tenant.create"]
    status, _ = await call(edge, "POST", "/api/v1/admin/tenants/demo:disable", operator)
    assert status == 400


async def test_the_cache_is_cleared_and_counted_over_rest(suite, edge):
    operator = suite.OPERATOR_KEY
    async with asyncio.timeout(10):
        while "hit" not in (await suite.ask()).header["x-penstock-cache"]:
            await asyncio.sleep(0.005)
    status, body = await call(edge, "POST", "/api/v1/admin/cache:clear", operator, {"tenant": "demo", "model": "fast"})
    assert (status, body) == (200, {"deleted_entries": "1"})
    assert (await call(edge, "POST", "/api/v1/admin/cache:clear", operator, {"tenant": "nobody"}))[0] == 404
    status, body = await call(edge, "GET", "/api/v1/admin/cache", operator)
    assert (status, int(body["stores"]) > 0) == (200, True)


async def test_upstreams_are_listed_left_out_and_taken_back_over_rest(suite, edge):
    operator, first = suite.OPERATOR_KEY, "/api/v1/admin/upstreams/first"
    status, body = await call(edge, "GET", "/api/v1/admin/upstreams", operator)
    assert (status, [place["state"] for place in body["places"]]) == (200, ["STATE_OK"] * 2)
    wanted = {"model": "m1", "duration": "90s", "reason": "maintenance"}
    status, body = await call(edge, "POST", f"{first}:eject", operator, wanted)
    (place,) = body["places"]
    assert (status, place["state"], place["reason"]) == (200, "STATE_BY_HAND", "maintenance")
    assert {"since", "until"} <= set(place)
    status, body = await call(edge, "GET", "/api/v1/status", operator)
    assert (status, [place["upstream"] for place in body["unwell_places"]]) == (200, ["first"])
    for verb in ("probe", "restore"):
        assert (await call(edge, "POST", f"{first}:{verb}", operator))[0] == 200
    status, body = await call(edge, "GET", "/api/v1/admin/upstreams", operator)
    assert (status, [place["state"] for place in body["places"]]) == (200, ["STATE_OK"] * 2)
    assert (await call(edge, "POST", f"{first}:eject", operator, {"duration": "0s"}))[0] == 400
    assert (await call(edge, "POST", "/api/v1/admin/upstreams/third:eject", operator))[0] == 404


async def bound_key(suite, session, *networks):
    wanted = {"tenant": "demo", "allowed_networks": networks}
    return (await call(session, "POST", "/api/v1/admin/keys", suite.OPERATOR_KEY, wanted))[1]["secret"]


FORGED = {
    "x-penstock-client-address": "192.0.2.1",
    "x-penstock-edge-token": TOKEN,
    "x-forwarded-for": "192.0.2.1",
    "grpc-metadata-x-penstock-client-address": "192.0.2.1",
}


async def test_edge_that_proves_itself_says_where_the_caller_is(serve, document, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    document["secrets"]["edge_token_file"] = str(token)
    suite = await serve()
    async with running_edge(suite, f"--gateway-token-file={token}") as session:
        here, there = await bound_key(suite, session, "127.0.0.1"), await bound_key(suite, session, "192.0.2.0/24")
        for path in ("/v1/models", "/api/v1/models"):
            assert (await call(session, "GET", path, here))[0] == 200
            assert (await call(session, "GET", path, here, headers=FORGED))[0] == 200
            assert (await call(session, "GET", path, there, headers=FORGED))[0] == 403
        _, body = await call(session, "GET", "/api/v1/admin/audit-entries", suite.OPERATOR_KEY)
        assert {entry["client_address"] for entry in body["entries"]} == {"127.0.0.1"}


async def test_key_with_networks_is_refused_behind_an_edge_that_proves_nothing(suite, edge):
    # Not even where the edge's own address lies in them: everybody comes from there.
    key = await bound_key(suite, edge, "127.0.0.0/8", "::1")
    for path in ("/v1/models", "/api/v1/models"):
        status, body = await call(edge, "GET", path, key)
        assert status == 403
        assert "the client's address is not proven" in json.dumps(body)


async def test_edge_with_another_token_is_not_believed(serve, document, tmp_path):
    for name, token in (("ours", TOKEN), ("theirs", "x" * 32)):
        (tmp_path / name).write_text(token)
    document["secrets"]["edge_token_file"] = f"{tmp_path}/ours"
    suite = await serve()
    async with running_edge(suite, f"--gateway-token-file={tmp_path}/theirs") as session:
        key = await bound_key(suite, session, "127.0.0.0/8")
        assert (await call(session, "GET", "/v1/models", key))[0] == 403


async def test_status_is_told_to_operators(suite, edge):
    await suite.ask()
    status, body = await call(edge, "GET", "/api/v1/status", suite.OPERATOR_KEY)
    assert (status, body["is_healthy"], body["traffic"]["requests"]) == (200, True, "1")
