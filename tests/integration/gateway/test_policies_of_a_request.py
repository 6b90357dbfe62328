"""A policy that a request, its tenant or its model names: who answers, and what callers are told, on each surface."""

from __future__ import annotations

import pytest

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1 import chat_service_pb2_grpc as rpc
from penstock.gateway.v1 import model_service_pb2 as model_pb
from penstock.gateway.v1 import model_service_pb2_grpc as models
from penstock.llm.v1 import generation_pb2 as gen

CHEAP, GOOD = "second", "first"


@pytest.fixture
def document(document):
    """``either`` has a good candidate first, and a cheap one; ``auto`` leads to it."""
    for upstream in document["upstreams"]:
        is_good = upstream["name"] == GOOD
        for model in upstream["models"]:
            model |= {"quality": 0.9 if is_good else 0.4, "price": {"input": 10 if is_good else 1, "output": 10}}
    document["models"].append({"name": "either", "candidates": ["first/m1", "second/m1"]})
    document["models"].append({"name": "frugal", "candidates": ["first/m1", "second/m1"], "policy": "cost"})
    document["models"].append({"name": "auto", "routes": {"default": "either"}})
    return document


def question(kind=pb.ChatRequest, **more):
    asked = {"model": "auto", "messages": [{"role": "ROLE_USER", "parts": [{"text": "Hi"}]}]}
    return kind(input=asked, **more)


async def answered_by(suite, model="auto", policy=None, **more):
    headers = {} if policy is None else {"x-penstock-policy": policy}
    answered = await suite.ask(model=model, headers=headers, **more)
    assert answered.status == 200
    return answered.header["x-penstock-upstream"], answered.header.get("x-penstock-route", "")


@pytest.mark.parametrize("streams", [False, True])
async def test_a_header_says_what_is_preferred_and_kept_answers_are_not_mixed(serve, streams):
    suite = await serve()
    for _ in range(2):
        assert await answered_by(suite, stream=streams) == (GOOD, "either; by=routes.default")
        upstream, route = await answered_by(suite, policy=" COST ", stream=streams)
        assert (upstream, route.startswith("either; by=routes.default; policy=cost; at=0.00")) == (CHEAP, True)
        upstream, route = await answered_by(suite, policy="quality", stream=streams)
        assert (upstream, route) == (GOOD, "either; by=routes.default; policy=quality; at=quality 0.90")


async def test_a_model_with_a_policy_takes_another_and_one_without_takes_none(serve):
    suite = await serve()
    upstream, route = await answered_by(suite, model="frugal")
    assert (upstream, route.startswith("frugal; by=policy; policy=cost; at=0.00")) == (CHEAP, True)
    assert (await answered_by(suite, model="frugal", policy="quality"))[0] == GOOD
    assert await answered_by(suite, model="either", policy="cost") == (GOOD, "")


async def test_a_tenants_policy_comes_before_the_models_and_after_the_requests(document, serve):
    document["tenants"][0]["routing"] = {"policy": "quality"}
    suite = await serve()
    assert (await answered_by(suite, model="frugal"))[0] == GOOD
    assert (await answered_by(suite, model="frugal", policy="cost"))[0] == CHEAP


async def test_an_explanation_says_what_a_request_would_be_told(document, serve):
    document["tenants"][0]["routing"] = {"policy": "cost"}
    suite = await serve()
    stub, metadata = models.ModelServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)
    for model, upstream in (("either", GOOD), ("auto", CHEAP), ("frugal", CHEAP)):
        asked = model_pb.ExplainRouteRequest(input=question().input)
        asked.input.model = model
        explained = (await stub.ExplainRoute(asked, metadata=metadata)).explanation
        assert explained.plan.candidates[0].upstream == upstream
        assert (await answered_by(suite, model=model))[0] == upstream


async def test_a_word_that_is_no_policy_is_refused(serve):
    suite = await serve()
    for model in ("auto", "either"):
        refused = await suite.ask(model=model, headers={"x-penstock-policy": "best"})
        assert refused.status == 400
        assert refused.error["message"].startswith(
            "'x-penstock-policy' must be one of balanced, cost, latency, quality"
        )


async def test_a_typed_request_says_it_in_a_field_or_as_metadata(serve):
    suite = await serve()
    stub, metadata = rpc.ChatServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)
    told = await stub.Chat(question(policy=gen.ROUTING_POLICY_COST), metadata=metadata)
    assert told.upstream == CHEAP
    both = (*metadata, ("x-penstock-policy", "cost"))
    call = stub.Chat(question(policy=gen.ROUTING_POLICY_QUALITY), metadata=both)
    assert (await call).upstream == GOOD
    assert dict(await call.initial_metadata())["x-penstock-route"].endswith("policy=quality; at=quality 0.90")
    assert (await stub.Chat(question(), metadata=both)).upstream == CHEAP
    stream = stub.StreamChat(question(pb.StreamChatRequest, policy=gen.ROUTING_POLICY_COST), metadata=metadata)
    _ = [event async for event in stream]
    assert "policy=cost" in dict(await stream.initial_metadata())["x-penstock-route"]
