"""What a role needs to start, and what it says when it cannot."""

from __future__ import annotations

import os
import urllib.request

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.router.v1 import router_service_pb2, router_service_pb2_grpc
from penstock_common.rpc.security import TOKEN_KEY
from penstock_common.testing.ports import free_port


async def test_router_starts_without_any_providers_key(idle_fleet):
    assert "UPSTREAM_KEY" not in os.environ
    role = await idle_fleet.start("router")
    assert await role.stop() == 0


async def test_inference_says_which_key_is_missing(idle_fleet, run_command):
    await idle_fleet.start("router")
    code, words = await run_command(idle_fleet, "serve", "inference")
    assert code == 2
    assert "the environment variable UPSTREAM_KEY is not set" in words


async def test_open_port_without_proof_is_refused(idle_fleet, run_command):
    del idle_fleet.document["services"]["tls"]
    idle_fleet.document["services"]["router"]["listen"] = "0.0.0.0:9002"
    idle_fleet.write()
    code, words = await run_command(idle_fleet, "serve", "router")
    assert code == 2
    assert "'services.router.listen' is 0.0.0.0:9002" in words
    assert "services.tls" in words
    assert "secrets.service_token_file" in words


async def test_gateway_refuses_a_schema_that_is_not_current(idle_fleet, run_command, monkeypatch):
    idle_fleet.write()
    code, words = await run_command(idle_fleet, "serve", "gateway")
    assert code == 2
    assert "run 'penstock db upgrade'" in words


async def test_gateway_says_whose_place_is_missing(idle_fleet, run_command, upgraded):
    del idle_fleet.document["services"]["router"]["target"]
    await upgraded(idle_fleet)
    code, words = await run_command(idle_fleet, "serve", "gateway")
    assert code == 2
    assert "'services.router.target' is missing" in words


async def test_taken_port_is_told_in_a_sentence(idle_fleet, run_command):
    await idle_fleet.start("router")
    code, words = await run_command(idle_fleet, "serve", "router")
    assert code == 1
    assert "it is taken" in words


@pytest.mark.parametrize(("shown", "code"), [("", "UNAUTHENTICATED"), ("x" * 64, "UNAUTHENTICATED"), (None, "OK")])
async def test_service_token_opens_where_there_are_no_certificates(idle_fleet, shown, code):
    token = os.urandom(32).hex()
    (idle_fleet.folder / "token").write_text(token)
    del idle_fleet.document["services"]["tls"]
    idle_fleet.document["secrets"]["service_token_file"] = f"{idle_fleet.folder}/token"
    await idle_fleet.start("router")
    metadata = [(TOKEN_KEY, token if shown is None else shown)]
    async with grpc.aio.insecure_channel(idle_fleet.document["services"]["router"]["listen"]) as channel:
        call = router_service_pb2_grpc.RouterServiceStub(channel).ListModels(
            router_service_pb2.ListModelsRequest(), metadata=metadata, timeout=10
        )
        assert (await call.code()).name == code


async def test_suite_answers_over_a_service_token(edge, idle_fleet, upgraded, roles):
    (idle_fleet.folder / "token").write_text(os.urandom(32).hex())
    document = idle_fleet.document
    del document["services"]["tls"]
    del document["listen"]["tls"]
    document["secrets"]["service_token_file"] = f"{idle_fleet.folder}/token"
    await upgraded(idle_fleet)
    plain = {"gateway-http": f"http://{document['services']['gateway']['listen']}"}
    await roles(idle_fleet, **plain, **{"gateway-ca": "", "gateway-cert": "", "gateway-key": ""})
    status, body, _ = await idle_fleet.ask()
    assert (status, body["choices"][0]["message"]["content"]) == (200, "Hello, world.")


async def test_health_is_asked_without_a_token(idle_fleet):
    (idle_fleet.folder / "token").write_text(os.urandom(32).hex())
    del idle_fleet.document["services"]["tls"]
    idle_fleet.document["secrets"]["service_token_file"] = f"{idle_fleet.folder}/token"
    await idle_fleet.start("router")
    async with grpc.aio.insecure_channel(idle_fleet.document["services"]["router"]["listen"]) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_health_names_a_certificate_that_is_not_there(idle_fleet, run_command):
    idle_fleet.document["listen"]["tls"]["cert_file"] = f"{idle_fleet.folder}/nowhere.pem"
    idle_fleet.write()
    code, words = await run_command(idle_fleet, "health", "gateway")
    assert code == 2
    assert "nowhere.pem: No such file" in words


async def test_an_orchestrator_is_told_in_plain_http_how_a_role_is(idle_fleet):
    address = f"127.0.0.1:{free_port()}"
    idle_fleet.document["services"]["probes_listen"] = address
    role = await idle_fleet.start("router")
    with urllib.request.urlopen(f"http://{address}/readyz", timeout=60) as answer:
        assert (answer.status, answer.read()) == (200, b"SERVING\n")
    assert await role.stop() == 0
