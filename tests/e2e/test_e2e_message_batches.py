"""Anthropic's message batches by its own SDK, unchanged, against the public port."""

from __future__ import annotations

import asyncio
import uuid

import anthropic
import pytest


@pytest.fixture
async def client(stack):
    async with (
        stack.sdk() as other,
        anthropic.AsyncAnthropic(
            api_key=other.api_key, base_url=str(other.base_url).removesuffix("/v1/"), max_retries=0
        ) as made,
    ):
        yield made


async def test_a_batch_is_answered_through_the_edge(client, first):
    message = {"role": "user", "content": f"Hello {uuid.uuid4()}"}
    params = {"model": "fast", "max_tokens": 20, "messages": [message]}
    large = {**params, "system": "x" * 100_000}
    requests = [{"custom_id": f"bad-{number}", "params": {**large, "messages": []}} for number in range(5)]
    batch = await client.messages.batches.create(requests=[*requests, {"custom_id": "good", "params": params}])
    async with asyncio.timeout(90):
        while batch.processing_status != "ended":
            await asyncio.sleep(0.1)
            batch = await client.messages.batches.retrieve(batch.id)
    counts = batch.request_counts
    assert (counts.succeeded, counts.errored) == (1, 5)
    results = {one.custom_id: one.result async for one in await client.messages.batches.results(batch.id)}
    assert results["good"].message.role == "assistant"
    assert [one.id async for one in client.messages.batches.list(limit=1)][0] == batch.id
    assert (await client.messages.batches.delete(batch.id)).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.batches.retrieve(batch.id)
