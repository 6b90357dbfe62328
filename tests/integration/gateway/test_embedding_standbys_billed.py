"""What vectors cost whose upstream failed, or whose caller left: over both transports, in the ledger."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from penstock.gateway.v1 import embedding_service_pb2 as pb
from penstock.gateway.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from penstock_common.testing.openai_upstream import Body, Failure, NoResponse, OpenAIUpstream

MODEL = "small"


def vectors(*, tokens: int = 5) -> Body:
    document = {"data": [{"index": 0, "embedding": [1.0, 0.0]}], "usage": {"prompt_tokens": tokens}}
    return Body(frames=[json.dumps(document).encode()], content_type="application/json")


@pytest.fixture
async def standby() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as server:
        server.otherwise = lambda _: vectors()
        yield server


@pytest.fixture
async def suite(
    serve: Any, document: dict[str, Any], upstream: OpenAIUpstream, standby: OpenAIUpstream, transport: str
) -> Any:
    upstream.otherwise = lambda _: vectors()
    provider = {
        "name": "north", "base_url": upstream.base_url, "revision": "7", "price": {"input": "0.01"},
        "standbys": [{"name": "south", "base_url": standby.base_url, "revision": "7", "price": {"input": "0.1"}}],
    }  # fmt: skip
    document["embedding"] = {"model": MODEL, "runtime": "provider", "provider": provider}
    return await serve(transport)


@pytest.fixture
def embed(suite: Any) -> Any:
    async def call(text: str = "hello", **head: str) -> Any:
        head = {"authorization": f"Bearer {suite.KEY}", "content-type": "application/json", **head}
        data = io.BytesIO(json.dumps({"model": MODEL, "input": text}).encode())
        return await suite.request("POST", "/v1/embeddings", data=data, headers=head)

    return call


async def test_the_price_is_that_of_who_answered(suite: Any, embed: Any, upstream: Any) -> None:
    at_once = await embed()
    upstream.enqueue(Failure(404))
    answered = await embed()
    assert [one.status for one in (at_once, answered)] == [200, 200]
    assert (at_once.header["x-penstock-upstream"], answered.header["x-penstock-upstream"]) == ("north", "south")
    assert "x-penstock-attempts" not in at_once.header
    assert answered.header["x-penstock-attempts"] == "2"
    assert answered.json["usage"] == {"prompt_tokens": 5, "total_tokens": 5}
    first, second = await suite.ledger_after_close()
    assert (first["upstream"], first["attempts"], first["cost_nano_usd"]) == ("north", 1, 50)
    assert (second["upstream"], second["attempts"], second["cost_nano_usd"]) == ("south", 2, 500)
    assert second["input_price_nano_usd"] == 100_000_000


async def test_grpc_tells_the_attempts(suite: Any, upstream: Any) -> None:
    upstream.enqueue(Failure(404))
    request = pb.EmbedRequest(model=MODEL, inputs=["hello"])
    head = [("authorization", f"Bearer {suite.KEY}")]
    answered = await EmbeddingServiceStub(suite.channel).Embed(request, metadata=head, timeout=60)
    assert (answered.attempts, answered.model_revision, answered.cost_nano_usd) == (2, "7", 500)


async def test_what_nobody_answered_costs_nothing(suite: Any, embed: Any, upstream: Any, standby: Any) -> None:
    for server in (upstream, standby):
        server.otherwise = lambda _: Failure(503)
    assert (await embed()).status == 502
    (row,) = await suite.ledger_after_close()
    assert (row["outcome"], row["attempts"], row["input_tokens"], row["cost_nano_usd"]) == ("upstream_failed", 4, 0, 0)


async def test_who_leaves_owes_what_was_sent(suite: Any, embed: Any, upstream: Any) -> None:
    await embed()
    await upstream.next_request()
    upstream.enqueue(NoResponse())
    asking = asyncio.ensure_future(embed("x" * 400))
    request = await upstream.next_request()
    asking.cancel()
    async with asyncio.timeout(60):
        await request.left.wait()
    _, row = await suite.ledger_after_close()
    assert (row["outcome"], row["upstream"], row["usage_estimated"]) == ("cancelled", "north", 1)
    # 400 bytes, four to a token, at a cent a million.
    assert (row["input_tokens"], row["cost_nano_usd"]) == (100, 1000)


async def test_who_has_no_more_time_owes_what_was_sent(suite: Any, embed: Any, upstream: Any, standby: Any) -> None:
    await embed()
    for server in (upstream, standby):
        server.otherwise = lambda _: NoResponse()
    answered = await embed("x" * 400, **{"x-penstock-timeout": "4s"})
    assert (answered.status, answered.error["code"]) == (504, "deadline_exceeded")
    _, row = await suite.ledger_after_close()
    assert (row["outcome"], row["input_tokens"], row["usage_estimated"]) == ("deadline_exceeded", 100, 1)
    assert row["cost_nano_usd"] > 0


async def test_whose_time_was_over_before_anything_was_sent_owes_nothing(suite: Any, embed: Any, upstream: Any) -> None:
    await embed()
    # Less than what a hop keeps for itself: nobody is asked.
    answered = await embed("hello", **{"x-penstock-timeout": "1ms"})
    assert answered.status == 504
    _, row = await suite.ledger_after_close()
    assert (row["outcome"], row["input_tokens"], row["cost_nano_usd"]) == ("deadline_exceeded", 0, 0)
    assert len(upstream.requests) == 1
