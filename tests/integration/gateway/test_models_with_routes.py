"""A model with routes: who answers in its name, and what callers are told, on each surface."""

from __future__ import annotations

import pytest

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1 import chat_service_pb2_grpc as rpc

TEXT = "Hello, world."


@pytest.fixture
def auto(document):
    """``auto`` leads to ``fast``, which ``first`` answers, and where a tag says so to ``small``, which is ``second``'s."""
    document["models"].append({"name": "small", "candidates": ["second/m1"]})
    rules = [{"to": "small", "tags": {"kind": "batch"}}]
    model = {"name": "auto", "rules": rules, "routes": {"default": "fast"}}
    document["models"].append(model)
    return model


def question(kind=pb.ChatRequest, tags=()):
    asked = {"model": "auto", "messages": [{"role": "ROLE_USER", "parts": [{"text": "Hi"}]}]}
    return kind(input=asked, context={"tags": dict(tags)})


@pytest.mark.parametrize("streams", [False, True])
async def test_an_openai_caller_is_told_who_was_chosen(auto, serve, streams):
    suite = await serve()
    answered = await suite.ask(model="auto", stream=streams)
    assert answered.status == 200
    assert answered.header["x-penstock-route"] == "fast; by=routes.default"
    assert answered.header["x-penstock-upstream"] == "first"
    plain = await suite.ask(model="fast", stream=streams)
    assert "x-penstock-route" not in plain.header


async def test_a_grpc_caller_is_told_too_and_tags_count(auto, serve):
    suite = await serve()
    stub, metadata = rpc.ChatServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)
    call = stub.Chat(question(tags={"kind": "batch"}), metadata=metadata)
    await call
    head = dict(await call.initial_metadata())
    assert head["x-penstock-route"] == "small; by=rules.1"
    stream = stub.StreamChat(question(pb.StreamChatRequest), metadata=metadata)
    _ = [event async for event in stream]
    assert dict(await stream.initial_metadata())["x-penstock-route"] == "fast; by=routes.default"


async def test_it_is_listed_with_what_the_models_behind_it_can(auto, serve):
    suite = await serve()
    listed = await suite.request("GET", "/v1/models", headers={"authorization": f"Bearer {suite.KEY}"})
    assert {"auto", "fast", "small"} <= {model["id"] for model in listed.json["data"]}
