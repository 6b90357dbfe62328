"""Message batches with Anthropic's own SDK, unchanged, against a gateway over sockets whose upstreams are played."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from penstock_common.testing.openai_upstream import Answer

sys.path.insert(0, str(Path(__file__).parent))

from jobs_desk import QUICK  # noqa: E402

PATH = "http://penstock/v1/messages/batches"


@pytest.fixture
async def suite(document, serve) -> Any:
    document["jobs"] = QUICK
    document["batches"] = {"poll": "20ms", "max_file_bytes": 3_000_000, "max_lines": 200}
    return await serve()


@pytest.fixture
async def new_sdk(suite) -> AsyncIterator[Callable[[str], anthropic.AsyncAnthropic]]:
    transport = httpx2.AsyncHTTPTransport(uds=suite.http_socket)
    async with httpx2.AsyncClient(transport=transport, timeout=60) as http:
        yield lambda key: anthropic.AsyncAnthropic(
            api_key=key, base_url="http://penstock", http_client=http, max_retries=0
        )


@pytest.fixture
async def sdk(suite, new_sdk) -> anthropic.AsyncAnthropic:
    return new_sdk(suite.KEY)


@pytest.fixture
async def plain(suite) -> AsyncIterator[httpx.AsyncClient]:
    """What sends what no SDK would."""
    headers = {"x-api-key": suite.KEY, "anthropic-version": "2023-06-01", "content-type": "application/json"}
    transport = httpx.AsyncHTTPTransport(uds=suite.http_socket)
    async with httpx.AsyncClient(transport=transport, timeout=60, headers=headers) as http:
        yield http


def asked(custom_id: str, text: str = "Hi", **params: Any) -> Any:
    """Return a request of a batch."""
    body = {"model": "fast", "max_tokens": 50, "messages": [{"role": "user", "content": text}], **params}
    return {"custom_id": custom_id, "params": body}


async def ended(sdk: anthropic.AsyncAnthropic, batch: Any) -> Any:
    """Return the batch once it has ended; until then all its requests are processing."""
    async with asyncio.timeout(60):
        while batch.processing_status != "ended":
            counts = batch.request_counts
            assert (counts.succeeded, counts.errored, counts.canceled, counts.expired) == (0, 0, 0, 0)
            assert (batch.ended_at, batch.results_url) == (None, None)
            await asyncio.sleep(0.02)
            batch = await sdk.messages.batches.retrieve(batch.id)
    return batch


async def results_of(sdk: anthropic.AsyncAnthropic, batch: Any) -> dict[str, Any]:
    """Return what came of each request, none of them twice."""
    told = [one async for one in await sdk.messages.batches.results(batch.id)]
    by_id = {one.custom_id: one.result for one in told}
    assert len(by_id) == len(told)
    return by_id


def counted(batch: Any) -> dict[str, int]:
    """Return the counts that are not 0."""
    return {name: count for name, count in batch.request_counts.to_dict().items() if count}


async def test_good_and_bad_requests_have_a_result_each(sdk):
    good = [asked(f"good-{number}", f"Frage {number} ü\n") for number in range(20)]
    bad = [asked("no-such-model", model="missing"), asked("streams", stream=True), asked("no-messages", messages=[])]
    bad.append({"custom_id": "nothing", "params": {}})
    batch = await sdk.messages.batches.create(requests=[*good[:10], *bad, *good[10:]])
    assert batch.id.startswith("msgbatch_")
    assert (batch.type, batch.processing_status, counted(batch)) == ("message_batch", "in_progress", {"processing": 24})
    assert (batch.expires_at - batch.created_at).total_seconds() == 24 * 3600
    batch = await ended(sdk, batch)
    assert counted(batch) == {"succeeded": 20, "errored": 4}
    assert batch.ended_at >= batch.created_at and batch.cancel_initiated_at is batch.archived_at is None
    assert batch.results_url == f"/v1/messages/batches/{batch.id}/results"
    results = await results_of(sdk, batch)
    assert results.keys() == {one["custom_id"] for one in (*good, *bad)}
    one = results["good-3"]
    assert (one.type, one.message.type, one.message.role) == ("succeeded", "message", "assistant")
    assert one.message.usage.output_tokens > 0
    errors = {name: each.error for name, each in results.items() if each.type == "errored"}
    assert {name: (each.type, each.error.type) for name, each in errors.items()} == {
        "no-such-model": ("error", "not_found_error"),
        "streams": ("error", "invalid_request_error"),
        "no-messages": ("error", "invalid_request_error"),
        "nothing": ("error", "invalid_request_error"),
    }
    assert errors["no-such-model"].request_id


async def test_what_a_request_is_answered_is_what_messages_answers(sdk, upstream):
    request = asked("a", "The same")
    whole = await sdk.messages.create(**request["params"])
    batch = await ended(sdk, await sdk.messages.batches.create(requests=[request]))
    message = (await results_of(sdk, batch))["a"].message
    assert (message.content, message.usage, message.model) == (whole.content, whole.usage, whole.model)
    assert len(upstream.requests) == 1, "the cache answers what is asked again"


async def test_a_batch_is_cancelled_while_it_runs(sdk, upstream):
    never = asyncio.Event()
    upstream.otherwise = lambda _: Answer(hold={0: never} if len(upstream.requests) > 7 else {})
    batch = await sdk.messages.batches.create(requests=[asked(str(number), f"Q{number}") for number in range(60)])
    async with asyncio.timeout(60):
        while len(upstream.requests) < 12:
            await asyncio.sleep(0.02)
    with pytest.raises(anthropic.BadRequestError, match="cancel it first"):
        await sdk.messages.batches.delete(batch.id)
    cancelling = await sdk.messages.batches.cancel(batch.id)
    assert (cancelling.processing_status, counted(cancelling)) == ("canceling", {"processing": 60})
    assert cancelling.cancel_initiated_at is not None
    batch = await ended(sdk, cancelling)
    results = await results_of(sdk, batch)
    assert results.keys() == {str(number) for number in range(60)}
    kinds = [each.type for each in results.values()]
    assert counted(batch) == {"succeeded": kinds.count("succeeded"), "canceled": kinds.count("canceled")}
    assert kinds.count("succeeded") > 0 < kinds.count("canceled")
    with pytest.raises(anthropic.BadRequestError, match="cancelled"):
        await sdk.messages.batches.cancel(batch.id)


_NO_BATCHES = (
    ([], "requests"),
    ([asked("a"), asked("b"), asked("a")], "'requests.2.custom_id', 'a', is that of an earlier"),
    ([asked("a"), asked("b c")], "'requests.1.custom_id' must be 1 to 64"),
    ([asked("x" * 65)], "'requests.0.custom_id' must be 1 to 64"),
    ([{"custom_id": 5, "params": {}}], "'requests.0.custom_id' must be a string"),
    ([{"custom_id": "a"}], "'requests.0.params' is required"),
    ([{"custom_id": "a", "params": []}], "'requests.0.params' must be an object"),
    ([{**asked("a"), "method": "POST"}], "'requests.0.method' is not supported"),
    (["a"], "'requests.0' must be an object"),
    ([asked(str(number)) for number in range(201)], "more than 200 requests"),
)


async def test_what_cannot_be_a_batch_is_refused_at_once(sdk):
    for requests, told in _NO_BATCHES:
        with pytest.raises(anthropic.BadRequestError, match="invalid_request_error") as refused:
            await sdk.messages.batches.create(requests=requests)
        assert told in refused.value.message
    assert (await sdk.messages.batches.list()).data == []


async def test_a_body_that_is_none_is_told_so(plain):
    for body in (b"", b"[]", b"null", b'{"requests":{}}', b'{"x":[]}', b'{"requests":[{}', b'{"requests":[],"x":1}'):
        answer = await plain.post(PATH, content=body)
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
        assert answer.headers["request-id"]


async def test_a_body_has_no_more_bytes_than_it_may(plain, sdk):
    for size, status in ((2_800_000, 200), (3_100_000, 413)):
        requests = [asked(str(number), "x" * 700_000) for number in range(3)] + [
            asked("last", "x" * (size - 2_200_000))
        ]
        answer = await plain.post(PATH, content=json.dumps({"requests": requests}, indent=1).encode())
        assert answer.status_code == status, answer.text
    assert len((await sdk.messages.batches.list()).data) == 1


async def test_a_key_makes_one_batch_of_a_request_that_is_repeated(plain, sdk):
    body, key = {"requests": [asked("a")]}, {"idempotency-key": "once"}
    first, again = [(await plain.post(PATH, json=body, headers=key)).json() for _ in range(2)]
    assert first["id"] == again["id"]
    assert len((await sdk.messages.batches.list()).data) == 1


async def test_anothers_batches_are_not_there_and_no_others_kinds(sdk, suite, new_sdk):
    batch = await ended(sdk, await sdk.messages.batches.create(requests=[asked("a")]))
    stranger = new_sdk(suite.OTHER_KEY)
    for name in (batch.id, batch.id.removeprefix("msg"), "msgbatch_0", "x" * 300, "%00"):
        for call in (
            stranger.messages.batches.retrieve,
            stranger.messages.batches.cancel,
            stranger.messages.batches.delete,
        ):
            with pytest.raises(anthropic.NotFoundError):
                await call(name)
    with pytest.raises(anthropic.NotFoundError):
        await sdk.messages.batches.retrieve(batch.id.removeprefix("msg"))
    with pytest.raises(anthropic.NotFoundError):
        await stranger.get(batch.results_url, cast_to=httpx2.Response)
    assert (await stranger.messages.batches.list()).data == []
    http = httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=suite.http_socket))
    async with openai.AsyncOpenAI(api_key=suite.KEY, base_url="http://penstock/v1", http_client=http) as other:
        assert [one async for one in other.batches.list()] == []
        assert [one async for one in other.files.list()] == []
        for name in (batch.id, batch.id.removeprefix("msg")):
            with pytest.raises(openai.NotFoundError):
                await other.batches.retrieve(name)


async def test_batches_are_listed_page_by_page_in_both_directions(sdk):
    batches = [await sdk.messages.batches.create(requests=[asked("a")]) for _ in range(5)]
    ids = [one.id for one in reversed(batches)]
    assert [one.id async for one in sdk.messages.batches.list(limit=2)] == ids
    page = await sdk.messages.batches.list(after_id=ids[2], limit=2)
    assert (page.has_more, [one.id for one in page.data]) == (False, ids[3:])
    page = await sdk.messages.batches.list(before_id=ids[3], limit=2)
    assert (page.has_more, page.first_id, page.last_id, [one.id for one in page.data]) == (True, *ids[1:3], ids[1:3])
    assert [one.id async for one in sdk.messages.batches.list(before_id=ids[3], limit=2)] == [*ids[1:3], ids[0]]
    with pytest.raises(anthropic.NotFoundError):
        await sdk.messages.batches.list(after_id="msgbatch_0")
    for wrong in ({"limit": 0}, {"limit": 1001}, {"after_id": ids[0], "before_id": ids[1]}):
        with pytest.raises(anthropic.BadRequestError):
            await sdk.messages.batches.list(**wrong)


async def test_a_batch_that_has_ended_is_forgotten_with_its_results(sdk, suite):
    batch = await ended(sdk, await sdk.messages.batches.create(requests=[asked("a")]))
    deleted = await sdk.messages.batches.delete(batch.id)
    assert (deleted.id, deleted.type) == (batch.id, "message_batch_deleted")
    for again in (sdk.messages.batches.retrieve(batch.id), sdk.messages.batches.delete(batch.id)):
        with pytest.raises(anthropic.NotFoundError):
            await again
    with pytest.raises(anthropic.NotFoundError):
        await sdk.get(batch.results_url, cast_to=httpx2.Response)


async def test_results_are_not_there_before_the_end(sdk, upstream):
    never = asyncio.Event()
    upstream.otherwise = lambda _: Answer(hold={0: never})
    batch = await sdk.messages.batches.create(requests=[asked("a")])
    with pytest.raises(anthropic.BadRequestError, match="has not ended"):
        await sdk.get(f"/v1/messages/batches/{batch.id}/results", cast_to=httpx2.Response)
    await sdk.messages.batches.cancel(batch.id)
    assert counted(await ended(sdk, batch)) == {"canceled": 1}


async def test_the_beta_endpoint_is_the_same(sdk):
    batch = await sdk.beta.messages.batches.create(requests=[asked("a")], betas=["context-1m-2025-08-07"])
    batch = await ended(sdk, await sdk.messages.batches.retrieve(batch.id))
    assert counted(batch) == {"succeeded": 1}
    told = [one async for one in await sdk.beta.messages.batches.results(batch.id)]
    assert [(one.custom_id, one.result.type) for one in told] == [("a", "succeeded")]


async def test_what_the_page_says_is_so(suite, monkeypatch, capsys):
    page = (Path(__file__).parents[3] / "docs" / "batches.md").read_text()
    snippet = page.split("## Anthropic's message batches")[1].split("```python\n")[1].split("```")[0]
    http = httpx2.Client(transport=httpx2.HTTPTransport(uds=suite.http_socket))
    monkeypatch.setattr(anthropic, "Anthropic", functools.partial(anthropic.Anthropic, http_client=http))
    said = snippet.replace("time.sleep(10)", "time.sleep(0.02)").replace('"demo"', '"fast"')
    await asyncio.to_thread(exec, said, {"KEY": suite.KEY})  # noqa: S102 - the page's own words
    http.close()
    assert capsys.readouterr().out.strip().splitlines()[-1] == "order-17 succeeded"
