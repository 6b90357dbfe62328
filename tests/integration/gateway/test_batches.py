"""Batches with OpenAI's own SDK, unchanged, against a gateway over sockets whose upstreams are played."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from penstock_common.testing.openai_upstream import Answer

sys.path.insert(0, str(Path(__file__).parent))

from jobs_desk import QUICK  # noqa: E402

CHAT = "/v1/chat/completions"
WINDOW = {"completion_window": "24h"}


def line(custom_id: str, text: str = "Hi", **changed: Any) -> dict[str, Any]:
    """Return a line of a batch of chats."""
    body = {"model": "fast", "messages": [{"role": "user", "content": text}], **changed.pop("body", {})}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body, **changed}


def jsonl(*lines: Any) -> bytes:
    """Return a file of lines."""
    return b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in lines)


@pytest.fixture
async def suite(document, serve) -> Any:
    document["jobs"] = QUICK
    document["batches"] = {"poll": "20ms"}
    return await serve()


@pytest.fixture
async def new_sdk(suite, tmp_path) -> AsyncIterator[Callable[[str], openai.AsyncOpenAI]]:
    transport = httpx.AsyncHTTPTransport(uds=f"{tmp_path}/http.sock")
    async with httpx.AsyncClient(transport=transport, timeout=60) as http:
        yield lambda key: openai.AsyncOpenAI(
            api_key=key, base_url="http://penstock/v1", http_client=http, max_retries=0
        )


@pytest.fixture
async def sdk(suite, new_sdk) -> openai.AsyncOpenAI:
    return new_sdk(suite.KEY)


async def begun(sdk: openai.AsyncOpenAI, content: bytes, endpoint: Any = CHAT, **more: Any) -> Any:
    """Return a batch of a file."""
    file = await sdk.files.create(file=("in.jsonl", content), purpose="batch")
    assert (file.status, file.purpose, file.bytes) == ("processed", "batch", len(content))
    return await sdk.batches.create(input_file_id=file.id, endpoint=endpoint, **WINDOW, **more)


async def until(sdk: openai.AsyncOpenAI, batch: Any, true: Callable[[Any], bool]) -> Any:
    """Return the batch once this is true of it."""
    async with asyncio.timeout(60):
        while not true(batch):
            await asyncio.sleep(0.02)
            batch = await sdk.batches.retrieve(batch.id)
    return batch


async def ended(sdk: openai.AsyncOpenAI, batch: Any) -> Any:
    """Return the batch once it has ended."""
    return await until(sdk, batch, lambda now: now.status in ("completed", "failed", "cancelled", "expired"))


async def lines_of(sdk: openai.AsyncOpenAI, file: str | None) -> dict[str, Any]:
    """Return the lines of an output or error file, by what each answers."""
    if file is None:
        return {}
    told = [json.loads(each) for each in (await sdk.files.content(file)).text.splitlines()]
    by_id = {each["custom_id"]: each for each in told}
    assert len(by_id) == len(told)
    return by_id


async def test_good_and_bad_lines_are_answered_each_once(sdk, suite, upstream):
    good = [line(f"good-{number}", f"Question {number}") for number in range(20)]
    bad = [
        line("no-such-model", body={"model": "missing"}),
        line("streams", body={"stream": True}),
        line("no-messages", body={"messages": []}),
        line("hot", body={"temperature": "very"}),
    ]
    batch = await begun(sdk, b"\xef\xbb\xbf" + jsonl(*good[:10], b"", *bad, *good[10:]), metadata={"run": "7"})
    assert (batch.status, batch.object, batch.metadata) == ("validating", "batch", {"run": "7"})
    batch = await ended(sdk, batch)
    assert batch.status == "completed", batch
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (24, 20, 4)
    output, errors = await lines_of(sdk, batch.output_file_id), await lines_of(sdk, batch.error_file_id)
    assert set(output) == {one["custom_id"] for one in good}
    assert {name: each["response"]["status_code"] for name, each in errors.items()} == {
        "no-such-model": 404,
        "streams": 400,
        "no-messages": 400,
        "hot": 400,
    }
    assert errors["hot"]["response"]["body"]["error"]["param"] == "temperature"
    one = output["good-3"]["response"]
    assert (output["good-3"]["error"], one["status_code"], one["body"]["object"]) == (None, 200, "chat.completion")
    assert batch.usage.input_tokens == sum(each["response"]["body"]["usage"]["prompt_tokens"] for each in output.values())
    assert batch.usage.total_tokens == batch.usage.input_tokens + batch.usage.output_tokens > 0
    assert batch.in_progress_at and batch.finalizing_at and batch.completed_at
    files = [file async for file in sdk.files.list(purpose="batch_output")]
    assert {file.id for file in files} == {batch.output_file_id, batch.error_file_id}
