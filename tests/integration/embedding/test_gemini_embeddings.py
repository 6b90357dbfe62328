"""Gemini's embeddings over a real socket: what is asked, and what becomes of it."""

import json
import math
from contextlib import AsyncExitStack

import pytest

from penstock_common.errors import InvalidRequest, Overloaded, PenstockError, UpstreamFailed
from penstock_common.testing.openai_upstream import Body, OpenAIUpstream
from penstock_embedding.adapters.providers.openai.client import ProviderEmbeddings, ProviderModel
from penstock_embedding.adapters.providers.openai.upstream import ProviderPlace
from penstock_embedding.adapters.telemetry import UpstreamMetrics
from penstock_embedding.app.upstreams import provider_model
from penstock_embedding.domain.account import Account
from penstock_embedding.domain.upstream import FailoverPolicy
from penstock_embedding.settings import Settings


@pytest.fixture
async def upstream():
    async with OpenAIUpstream() as server:
        yield server


@pytest.fixture
async def embed(upstream):
    """A function that returns the vectors of texts, asked of the server under this name for the model."""
    async with AsyncExitStack() as stack:

        async def embed(*texts, model="far", **more):
            url = upstream.base_url.removesuffix("/v1")
            place = ProviderPlace(
                upstream="far", model=model, base_url=url, api_key="AIza-ours", format="gemini", **more
            )
            known = ProviderModel(name="small", places=(place,), policy=FailoverPolicy(1), max_inputs=2)
            opened = await stack.enter_async_context(ProviderEmbeddings.open(known, UpstreamMetrics(["far"])))
            return await opened.embed(texts, None, Account())

        yield embed


def json_body(value, status=200):
    return Body(frames=[json.dumps(value).encode()], content_type="application/json", status=status)


def answer(*vectors, **more):
    return json_body({"embeddings": [{"values": vector} for vector in vectors], **more})


async def test_texts_are_asked_for_in_its_words_as_many_at_once_as_it_takes(upstream, embed):
    upstream.enqueue(answer([1.0, 0.0], [0.0, 2.0]), answer([0.6, 0.8], usageMetadata={"promptTokenCount": 7}))
    embedded = await embed("one", "zwei", "日")
    assert embedded.vectors == [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]
    first, second = upstream.requests
    assert first.path == second.path == "/v1beta/models/far:batchEmbedContents"
    assert first.headers["x-goog-api-key"] == "AIza-ours"
    assert "authorization" not in first.headers
    assert first.raw_body == (
        b'{"requests":[{"model":"models/far","content":{"parts":[{"text":"one"}]}},'
        b'{"model":"models/far","content":{"parts":[{"text":"zwei"}]}}]}'
    )
    # What it does not count is estimated.
    assert embedded.input_tokens > 7


async def test_a_name_with_a_slash_is_a_path(upstream, embed):
    upstream.enqueue(answer([1.0]))
    await embed("one", model="tunedModels/my one")
    assert upstream.requests[0].path == "/v1beta/tunedModels/my%20one:batchEmbedContents"


@pytest.mark.parametrize("body", [
    {}, [], {"embeddings": []}, {"embeddings": [{"values": []}]}, {"embeddings": [{"values": [0.0]}]},
    {"embeddings": [{"values": ["x"]}]}, {"embeddings": [{"values": [1.0]}, {"values": [1.0]}]}, {"embeddings": [7]},
])  # fmt: skip
async def test_what_is_no_set_of_vectors_is_none(body, upstream, embed):
    upstream.enqueue(json_body(body))
    with pytest.raises(UpstreamFailed, match="no proper answer"):
        await embed("one")


KEY = {"reason": "API_KEY_INVALID"}
WAIT = {"retryDelay": "7.5s"}


@pytest.mark.parametrize(
    ("status", "details", "error"),
    [
        (400, [KEY], UpstreamFailed),
        (400, [], InvalidRequest),
        (403, [], UpstreamFailed),
        (429, [WAIT], Overloaded),
        (503, [], UpstreamFailed),
    ],
)
async def test_its_errors_are_what_they_say(status, details, error, upstream, embed):
    upstream.enqueue(json_body({"error": {"code": status, "message": "No.", "details": details}}, status))
    with pytest.raises(PenstockError) as refused:
        await embed("one")
    assert type(refused.value) is error
    if details == [WAIT]:
        assert math.isclose(refused.value.retry_after.total_seconds(), 7.5)


def test_no_more_texts_are_sent_at_once_than_it_takes():
    section = {"runtime": "provider", "provider": {"base_url": "https://x", "format": "gemini"}}
    settings = Settings.model_validate({"embedding": section}).embedding
    model = provider_model(settings, settings.provider)
    assert (model.max_inputs, model.places[0].format) == (100, "gemini")
