"""Formats that have no field for it say by a header what a request is for: limits, budgets and the ledger know it."""

from __future__ import annotations

import json

import grpc
import pytest

from penstock.gateway.v1 import chat_service_pb2
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub
from penstock_gateway.domain.life.validation import MAX_FEATURE_LENGTH

RAG = {"x-penstock-feature": " rag "}


async def messages(suite, headers):
    body = {"model": "fast", "max_tokens": 20, "messages": [{"role": "user", "content": "Hi"}]}
    head = {"x-api-key": suite.KEY, "anthropic-version": "2023-06-01", **headers}
    return await suite.request("POST", "/v1/messages", data=json.dumps(body).encode(), headers=head)


async def chat(suite, headers):
    return await suite.ask(headers=headers)


async def completions(suite, headers):
    body = json.dumps({"model": "fast", "prompt": "Hi"}).encode()
    head = {"authorization": f"Bearer {suite.KEY}", **headers}
    return await suite.request("POST", "/v1/completions", data=body, headers=head)


FORMATS = pytest.mark.parametrize("ask", [chat, messages, completions], ids=lambda ask: ask.__name__)


@FORMATS
async def test_a_limit_of_a_feature_binds_who_names_it_in_a_header(serve, document, ask):
    document["tenants"][0]["tier"] = {"features": {"rag": {"requests_per_day": 1}}}
    document["cache"]["mode"] = "off"
    suite = await serve()
    assert (await ask(suite, RAG)).status == 200
    refused = await ask(suite, RAG)
    assert (refused.status, refused.header["x-penstock-limit"]) == (429, "feature rag; requests_per_day")
    assert (await ask(suite, {})).status == 200
    assert (await ask(suite, {"x-penstock-feature": ""})).status == 200
    assert sorted(row["feature"] for row in await suite.ledger_after_close()) == ["", "", "rag"]


@FORMATS
async def test_a_header_is_bounded_as_the_field_is(serve, ask):
    suite = await serve()
    assert (await ask(suite, {"x-penstock-feature": "é" * MAX_FEATURE_LENGTH})).status == 200
    refused = await ask(suite, {"x-penstock-feature": "x" * (MAX_FEATURE_LENGTH + 1)})
    assert refused.status == 400
    assert "x-penstock-feature" in refused.json["error"]["message"]
    assert [row["feature"] for row in await suite.ledger_after_close()] == ["é" * MAX_FEATURE_LENGTH]


async def test_typed_request_names_it_itself_or_by_the_header(serve):
    suite = await serve()
    stub, turn = ChatServiceStub(suite.channel), {"role": "ROLE_USER", "parts": [{"text": "Hi"}]}
    for context in ({}, {"feature": "own"}):
        request = chat_service_pb2.ChatRequest(input={"model": "fast", "messages": [turn]}, context=context)
        metadata = (("authorization", f"Bearer {suite.KEY}"), ("x-penstock-feature", "rag"))
        await stub.Chat(request, metadata=metadata, timeout=30)
    metadata = (("authorization", f"Bearer {suite.KEY}"), ("x-penstock-feature", "x" * (MAX_FEATURE_LENGTH + 1)))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Chat(request, metadata=metadata, timeout=30)
        await stub.Chat(chat_service_pb2.ChatRequest(input={"model": "fast", "messages": [turn]}), metadata=metadata)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert sorted(row["feature"] for row in await suite.ledger_after_close()) == ["own", "own", "rag"]
