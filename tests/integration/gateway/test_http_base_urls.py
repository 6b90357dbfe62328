"""Base URLs as people write them, Azure's paths, and bodies as clients compress them, on a running suite."""

from __future__ import annotations

import gzip
import json

import httpx2
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI

BODY = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}]}


def bearer(suite):
    return {"authorization": f"Bearer {suite.KEY}"}


@pytest.mark.parametrize(
    "path",
    ["/chat/completions", "/v1/v1/chat/completions", "/v1/chat/completions/", "/v1//chat/completions",
     "/openai/v1/chat/completions"],
)  # fmt: skip
async def test_a_base_url_is_understood_with_the_same_key_and_limits(suite, path):
    answered = await suite.request("POST", path, json=BODY, headers=bearer(suite))
    assert (answered.status, answered.json["object"]) == (200, "chat.completion")
    assert "x-ratelimit-limit-requests" in answered.header
    refused = await suite.request("POST", path, json=BODY)
    assert (refused.status, refused.error["code"]) == (401, "invalid_api_key")


async def test_azures_path_names_the_model_and_counts_more_than_the_body(suite, upstream):
    path = "/openai/deployments/fast/chat/completions?api-version=2024-10-21"
    for body in ({"messages": BODY["messages"]}, {**BODY, "model": "another"}):
        answered = await suite.request("POST", path, json=body, headers={"api-key": suite.KEY})
        assert answered.status == 200, answered.body
    assert [request.body["model"] for request in upstream.requests] == ["m1"]
    refused = await suite.request(
        "POST", "/openai/deployments/gone/chat/completions", json=BODY, headers={"api-key": suite.KEY}
    )
    assert (refused.status, refused.error["code"]) == (404, "model_not_found")
    for broken in (b"", b"{", b"[]"):
        answered = await suite.request("POST", path, data=broken, headers={"api-key": suite.KEY})
        assert answered.status == 400


async def test_other_methods_and_paths_are_told_what_is_there(suite):
    for path, method, allow in (
        ("/v1/chat/completions", "GET", "POST"),
        ("/v1/models", "POST", "GET, HEAD"),
        ("/chat/completions", "OPTIONS", "POST"),
    ):
        answered = await suite.request(method, path, headers=bearer(suite))
        assert (answered.status, answered.header["allow"]) == (405, allow)
        assert answered.error["type"] == "invalid_request_error"
    head = await suite.request("HEAD", "/v1/models", headers=bearer(suite))
    assert (head.status, head.body) == (200, b"")
    unknown = await suite.request("POST", "/v1/chat/completion", headers=bearer(suite))
    assert unknown.status == 404
    assert "/v1/chat/completions?" in unknown.error["message"]


async def test_a_compressed_body_is_read_and_bounded(serve, document):
    document["gateway"]["max_body_bytes"] = 100_000
    suite = await serve()
    head = {**bearer(suite), "content-type": "application/json"}

    async def post(body: bytes, encoding: str):
        return await suite.request(
            "POST", "/v1/chat/completions", data=body, headers={**head, "content-encoding": encoding}
        )

    # aiohttp compresses what it is told is compressed, unless the bytes are given as they are.
    plain = json.dumps(BODY).encode()
    assert (await post(gzip.compress(plain), "gzip")).status == 200
    assert (await post(gzip.compress(json.dumps({**BODY, "user": "é" * 100}).encode()), "x-gzip")).status == 200
    assert (await post(gzip.compress(b" " * 10_000_000 + plain), "gzip")).status == 413
    refused = await post(plain, "br")
    assert refused.status == 415
    assert "gzip and deflate" in refused.error["message"]
    assert (await post(plain, "gzip")).status == 400


async def test_azures_own_sdk_works_unchanged(suite):
    transport = httpx2.AsyncHTTPTransport(uds=suite.http_socket)
    async with httpx2.AsyncClient(transport=transport) as http:
        azure = AsyncAzureOpenAI(
            azure_endpoint="http://penstock", api_key=suite.KEY, api_version="2024-10-21", http_client=http
        )
        answer = await azure.chat.completions.create(model="fast", messages=BODY["messages"])
        assert answer.choices[0].message.content == "Hello, world."
        plain = AsyncOpenAI(base_url="http://penstock/", api_key=suite.KEY, http_client=http)
        assert {model.id async for model in plain.models.list()} >= {"fast"}
