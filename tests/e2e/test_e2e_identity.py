"""What a caller says about itself counts for nothing; what its key says counts."""

from __future__ import annotations

import uuid

import pytest

SPOOFED = {
    "penstock-tenant": "other",
    "x-penstock-tenant": "other",
    "Penstock-Caller": "other",
    "Grpc-Metadata-penstock-tenant": "other",
    "Grpc-Metadata-authorization": "Bearer key-of-other-key-of-other",
    "Grpc-Metadata-x-penstock-tenant": "other",
    "Grpc-Timeout": "1n",
    "X-Tenant-Id": "other",
    "X-Forwarded-For": "10.0.0.1",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-User": "other",
    "X-Real-Ip": "10.0.0.1",
    "Forwarded": "for=10.0.0.1;host=evil.example",
    "X-User": "other",
}


def rest(text: str) -> dict:
    return {"input": {"model": "fast", "messages": [{"role": "ROLE_USER", "parts": [{"text": text}]}]}}


async def test_spoofed_headers_change_nothing_on_the_wire_format(stack, first):
    answer = await stack.ask(f"spoof {uuid.uuid4()}", headers=SPOOFED)
    assert answer.status == 200
    row = await stack.ledger_row(request_id=answer.header["x-request-id"])
    assert (row["tenant"], row["key_id"], row["user"]) == ("app", "config-app-1", "")
    (request,) = first.requests
    assert not [value for value in request.headers.values() if "evil" in value or "other" in value]
    assert request.headers["authorization"] == "Bearer sk-upstream"


@pytest.mark.parametrize("path", ["/api/v1/chat", "/api/v1/chat:stream"])
async def test_spoofed_headers_change_nothing_on_the_typed_api(stack, first, path):
    answer = await stack.request("POST", path, json=rest(f"spoof {uuid.uuid4()}"), headers=SPOOFED)
    assert answer.status == 200
    row = await stack.ledger_row(request_id=answer.header["x-request-id"])
    assert (row["tenant"], row["key_id"]) == ("app", "config-app-1")


async def test_spoofed_metadata_changes_nothing_over_grpc(stack, caller, first):
    metadata = [(name.lower(), value) for name, value in SPOOFED.items() if name != "Grpc-Timeout"]
    # gRPC keeps names that begin with grpc- for itself.
    metadata = [(name, value) for name, value in metadata if not name.startswith("grpc-")]
    metadata.append(("grpcgateway-authorization", "Bearer key-of-other-key-of-other"))
    answer = await caller.chat(f"spoof {uuid.uuid4()}", metadata=metadata)
    row = await stack.ledger_row(generation_id=answer.generation_id)
    assert row["tenant"] == "app"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/chat"])
@pytest.mark.parametrize(
    "name", ["Grpc-Metadata-authorization", "X-Forwarded-Authorization", "grpcgateway-authorization"]
)
async def test_a_key_in_a_header_that_is_none_of_ours_lets_nobody_in(stack, path, name):
    headers = {name: f"Bearer {stack.keys['app']}", "penstock-tenant": "app"}
    body = {"model": "fast", "messages": [{"role": "user", "content": "x"}]} if path.startswith("/v1") else rest("x")
    async with stack.session.post(stack.http + path, json=body, headers=headers) as response:
        assert response.status == 401


@pytest.mark.parametrize("name", ["x-api-key", "api-key"])
async def test_the_other_headers_that_sdks_use_carry_the_key(stack, first, name):
    body = {"model": "fast", "messages": [{"role": "user", "content": f"by {name} {uuid.uuid4()}"}]}
    url = f"{stack.http}/v1/chat/completions"
    async with stack.session.post(url, json=body, headers={name: stack.keys["other"]}) as response:
        assert response.status == 200
        request_id = response.headers["x-request-id"]
    assert (await stack.ledger_row(request_id=request_id))["tenant"] == "other"


async def test_a_user_may_name_their_own_user_but_no_tenant(stack, first):
    answer = await stack.ask(f"user {uuid.uuid4()}", user="tenant=other", metadata={"tenant": "other"})
    row = await stack.ledger_row(request_id=answer.header["x-request-id"])
    assert (row["tenant"], row["user"]) == ("app", "tenant=other")
