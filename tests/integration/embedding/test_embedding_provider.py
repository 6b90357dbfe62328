"""The runtime ``provider`` over an upstream that does what a test asks."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import struct
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from penstock_common.configuration import ConfigurationError
from penstock_common.contract.embedding import EmbedRequest
from penstock_common.contract.wire.embedding import EMBED
from penstock_common.errors import (
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    UpstreamFailed,
    UpstreamTimeout,
)
from penstock_common.testing.openai_upstream import Body, End, Failure, NoResponse, OpenAIUpstream
from penstock_common.testing.transports import channel_to
from penstock_embedding.adapters.providers.openai.client import ProviderEmbeddings, ProviderModel
from penstock_embedding.adapters.providers.openai.errors import refusal_of
from penstock_embedding.adapters.providers.openai.upstream import ProviderPlace
from penstock_embedding.adapters.telemetry import UpstreamMetrics
from penstock_embedding.app import build
from penstock_embedding.domain.account import Account
from penstock_embedding.domain.upstream import FailoverPolicy
from penstock_embedding.settings import Settings


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as server:
        yield server


@pytest.fixture
async def open_model(upstream: OpenAIUpstream) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:

        async def start(attempts: int = 2, max_in_flight: int = 256, **more: Any) -> ProviderEmbeddings:
            place = ProviderPlace(upstream="far", model="far-small", base_url=upstream.base_url, **more)
            policy = FailoverPolicy(attempts)
            model = ProviderModel(name="small", places=(place,), policy=policy, max_in_flight=max_in_flight)
            return await stack.enter_async_context(ProviderEmbeddings.open(model, UpstreamMetrics(["far"])))

        yield start


def answer(*vectors: list[float], tokens: int | None = 5, order: list[int] | None = None, **more: Any) -> Body:
    indexes = order or list(range(len(vectors)))
    document: dict[str, Any] = {
        "object": "list",
        "data": [{"object": "embedding", "index": i, "embedding": v} for i, v in zip(indexes, vectors, strict=True)],
        "model": "far-small",
    }
    if tokens is not None:
        document["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Body(frames=[json.dumps(document).encode()], content_type="application/json", **more)


async def test_vectors_come_in_order_and_tokens_as_the_provider_counted(
    upstream: OpenAIUpstream, open_model: Any
) -> None:
    upstream.enqueue(answer([0.0, 1.0], [1.0, 0.0], tokens=7, order=[1, 0]))
    model = await open_model(api_key="sk-ours")
    embedded = await model.embed(["one", "two"], None, Account())
    assert embedded == ([[1.0, 0.0], [0.0, 1.0]], [False, False], 7)
    (request,) = upstream.requests
    assert request.path == "/v1/embeddings"
    assert request.headers["authorization"] == "Bearer sk-ours"
    assert request.body == {"model": "far-small", "input": ["one", "two"], "encoding_format": "float"}
    assert (model.name, model.revision) == ("small", "far/far-small")


async def test_vectors_of_another_length_are_normalised_and_missing_counts_estimated(
    upstream: OpenAIUpstream, open_model: Any
) -> None:
    upstream.enqueue(answer([3.0, 4.0], tokens=None))
    embedded = await (await open_model()).embed(["x" * 40], None, Account())
    assert embedded.vectors == [[0.6, 0.8]]
    assert embedded.input_tokens == 10


def base64_of(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


ONE, OTHER = [1.0, 0.0], [0.0, 1.0]
DIALECTS: dict[str, dict[str, Any]] = {
    "no index": {"data": [{"embedding": ONE}, {"embedding": OTHER}]},
    "null index": {"data": [{"index": None, "embedding": ONE}, {"index": None, "embedding": OTHER}]},
    "every index 0": {"data": [{"index": 0, "embedding": ONE}, {"index": 0, "embedding": OTHER}]},
    "out of order": {"data": [{"index": 1, "embedding": OTHER}, {"index": 0, "embedding": ONE}]},
    "index as text": {"data": [{"index": "1", "embedding": OTHER}, {"index": "0", "embedding": ONE}]},
    "index as a float": {"data": [{"index": 1.0, "embedding": OTHER}, {"index": 0.0, "embedding": ONE}]},
    "base64": {"data": [{"index": 0, "embedding": base64_of(*ONE)}, {"index": 1, "embedding": base64_of(*OTHER)}]},
    "whole numbers": {"data": [{"index": 0, "embedding": [1, 0]}, {"index": 1, "embedding": [0, 1]}]},
    "side fields": {"object": 7, "model": None, "id": {}, "data": [{"embedding": ONE, "object": None},
                                                                   {"embedding": OTHER, "object": 1}]},
}  # fmt: skip
USAGES: dict[str, tuple[Any, int]] = {
    "none": (None, 20),
    "false": (False, 20),
    "a list": ([], 20),
    "of floats": ({"prompt_tokens": 7.0}, 7),
    "of text": ({"prompt_tokens": "7", "total_tokens": "x"}, 7),
    "null counts": ({"prompt_tokens": None, "total_tokens": 9}, 9),
    "negative": ({"prompt_tokens": -7}, 20),
    "huge": ({"prompt_tokens": 2**70}, 20),
}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_dialects_vectors_are_read(upstream: OpenAIUpstream, open_model: Any, dialect: str) -> None:
    upstream.enqueue(Body(frames=[json.dumps(DIALECTS[dialect]).encode()], content_type="text/plain"))
    embedded = await (await open_model(attempts=1)).embed(["x" * 40, "y" * 40], None, Account())
    assert embedded == ([ONE, OTHER], [False, False], 20)


@pytest.mark.parametrize("usage", USAGES)
async def test_usage_that_is_none_costs_no_vectors(upstream: OpenAIUpstream, open_model: Any, usage: str) -> None:
    counted, tokens = USAGES[usage]
    body = {"data": [{"index": 0, "embedding": ONE}, {"index": 1, "embedding": OTHER}], "usage": counted}
    upstream.enqueue(Body(frames=[json.dumps(body).encode()], content_type="application/json"))
    assert (await (await open_model(attempts=1)).embed(["x" * 40, "y" * 40], None, Account())).input_tokens == tokens


async def test_more_texts_than_a_request_may_hold_are_asked_in_pieces(
    upstream: OpenAIUpstream, open_model: Any
) -> None:
    upstream.enqueue(answer([1.0, 0.0], [1.0, 0.0], tokens=4), answer([0.0, 1.0], tokens=3))
    texts = ["a" * 200_000, "b" * 200_000, "c" * 200_000]
    embedded = await (await open_model()).embed(texts, None, Account())
    assert [len(request.body["input"]) for request in upstream.requests] == [2, 1]
    assert embedded == ([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [False] * 3, 7)


@pytest.mark.parametrize(
    "passing",
    [
        Failure(500),
        Failure(429, headers={"retry-after": "0"}),
        Body(frames=[b'{"data": ['], content_type="application/json", end=End.RESET),
        answer([1.0, 0.0], [1.0, 0.0]),
        answer([0.0, 0.0]),
        answer([]),
        answer([float("inf"), 0.0]),
        answer([1.0, 0.0], order=[3]),
        Body(frames=[b'{"data":[{"index":0,"embedding":"AAAA"}]}'], content_type="application/json"),
        Body(frames=[b'{"data":[{"index":0,"embedding":"?"}]}'], content_type="application/json"),
        Body(frames=[b'{"data":[{"index":0,"embedding":[null]}]}'], content_type="application/json"),
        Body(frames=[b"<html>"], content_type="text/html"),
        NoResponse(end=End.FIN),
    ],
)
async def test_what_may_pass_is_asked_again(upstream: OpenAIUpstream, open_model: Any, passing: Any) -> None:
    upstream.enqueue(passing, answer([1.0, 0.0]))
    assert (await (await open_model()).embed(["one"], None, Account())).vectors == [[1.0, 0.0]]
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    ("failure", "kind", "requests"),
    [
        (Failure(400, {"message": "too long: 'secret'"}), InvalidRequest, 1),
        (Failure(401), UpstreamFailed, 1),
        (Failure(404), UpstreamFailed, 1),
        (Failure(503), UpstreamFailed, 2),
        (Failure(429, headers={"retry-after": "0"}), Overloaded, 2),
        (NoResponse(end=End.RESET), UpstreamFailed, 2),
    ],
)
async def test_what_does_not_pass_is_a_typed_error(
    upstream: OpenAIUpstream, open_model: Any, failure: Any, kind: type[Exception], requests: int
) -> None:
    upstream.enqueue(failure, failure)
    with pytest.raises(kind) as failed:
        await (await open_model(attempts=2)).embed(["one"], None, Account())
    assert "secret" not in str(failed.value)
    assert len(upstream.requests) == requests


async def test_silence_is_a_timeout(upstream: OpenAIUpstream, open_model: Any) -> None:
    from datetime import timedelta

    upstream.enqueue(NoResponse())
    with pytest.raises(UpstreamTimeout):
        await (await open_model(attempts=1, timeout=timedelta(milliseconds=100))).embed(["one"], None, Account())


async def test_the_callers_deadline_ends_it_and_the_connection(upstream: OpenAIUpstream, open_model: Any) -> None:
    upstream.enqueue(NoResponse())
    with pytest.raises(DeadlineExceeded):
        await (await open_model()).embed(["one"], time.monotonic() + 3, Account())
    await asyncio.wait_for(upstream.requests[0].left.wait(), 60)


async def test_too_many_at_once_are_refused(upstream: OpenAIUpstream, open_model: Any) -> None:
    upstream.enqueue(NoResponse())
    model = await open_model(max_in_flight=1)
    waiting = asyncio.ensure_future(model.embed(["one"], None, Account()))
    await upstream.next_request()
    with pytest.raises(Overloaded):
        await model.embed(["two"], None, Account())
    waiting.cancel()
    await asyncio.wait([waiting])
    upstream.enqueue(answer([1.0, 0.0]))
    assert (await model.embed(["three"], None, Account())).vectors == [[1.0, 0.0]]


async def test_the_service_serves_a_provider_with_its_price(upstream: OpenAIUpstream, transport: str) -> None:
    section = {
        "model": "small", "runtime": "provider", "price": {"input": "0.02"}, "min_dimensions": 1,
        "provider": {"name": "far", "base_url": upstream.base_url, "api_key": "sk-ours", "model": "far-small"},
    }  # fmt: skip
    settings = Settings.model_validate({"embedding": section})
    async with build(settings) as service, channel_to(service, transport) as channel:
        assert upstream.requests == []
        upstream.enqueue(answer([0.6, 0.8], tokens=5), answer([0.6, 0.8], tokens=5), Failure(400))
        response = await channel.call(EMBED, EmbedRequest(model="small", texts=("one",)))
        assert (response.upstream, response.input_tokens, response.unit_prices.input_nano_usd) == ("far", 5, 20_000_000)
        cut = await channel.call(EMBED, EmbedRequest(texts=("one",), dimensions=1))
        assert math.isclose(cut.vectors[0].values[0], 1, rel_tol=1e-6)
        with pytest.raises(InvalidRequest):
            await channel.call(EMBED, EmbedRequest(texts=("one",)))


@pytest.mark.parametrize("section", [{"runtime": "provider"}, {"provider": {"base_url": "https://x/v1"}}])
def test_a_provider_and_its_runtime_go_together(section: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="go together"):
        Settings.model_validate({"embedding": section})


@pytest.mark.parametrize("place", [{"base_url": "http://x:port/v1"}, {"api_key": "very-secret\r\nHost: y"}])
async def test_an_address_or_a_key_that_cannot_be_one_is_named_at_the_start(place: dict[str, str]) -> None:
    far = ProviderPlace(**{"upstream": "far", "model": "m", "base_url": "http://x/v1", **place})
    model = ProviderModel(name="m", places=(far,))
    with pytest.raises(ConfigurationError, match="'far'") as refused:
        async with ProviderEmbeddings.open(model, UpstreamMetrics(())):
            pass
    assert "very-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "600"}, 600),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, None),
        ({}, None),
    ],
)
def test_when_to_come_again_is_read_as_for_chats_and_bounded(headers: dict[str, str], seconds: float | None) -> None:
    wait = refusal_of(429, headers, "far").retry_after
    assert (None if wait is None else wait.total_seconds()) == seconds
