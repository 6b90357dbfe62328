"""Batches with OpenAI's own SDK, unchanged, against a gateway over sockets whose upstreams are played."""

from __future__ import annotations

import asyncio
import functools
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

from batches_world import CHAT, jsonl, line  # noqa: E402
from jobs_desk import QUICK  # noqa: E402

WINDOW = {"completion_window": "24h"}


@pytest.fixture
async def suite(document, serve) -> Any:
    document["jobs"] = QUICK
    document["batches"] = {"poll": "20ms", "max_file_bytes": 3_000_000}
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
        line("no-such-model", model="missing"),
        line("streams", stream=True),
        line("no-messages", messages=[]),
        line("hot", temperature="very"),
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
    assert batch.usage.input_tokens == sum(
        each["response"]["body"]["usage"]["prompt_tokens"] for each in output.values()
    )
    assert batch.usage.total_tokens == batch.usage.input_tokens + batch.usage.output_tokens > 0
    assert batch.in_progress_at and batch.finalizing_at and batch.completed_at
    files = [file async for file in sdk.files.list(purpose="batch_output")]
    assert {file.id for file in files} == {batch.output_file_id, batch.error_file_id}


async def test_a_batch_is_cancelled_while_it_runs(sdk, suite, upstream):
    never = asyncio.Event()
    upstream.otherwise = lambda _: Answer(hold={0: never} if len(upstream.requests) > 7 else {})
    batch = await begun(sdk, jsonl(*[line(str(number), f"Question {number}") for number in range(60)]))
    batch = await until(sdk, batch, lambda now: now.request_counts.completed > 0)
    assert batch.status == "in_progress"
    cancelling = await sdk.batches.cancel(batch.id)
    assert (cancelling.status, cancelling.cancelling_at is not None) == ("cancelling", True)
    batch = await ended(sdk, batch)
    counts = batch.request_counts
    assert (batch.status, counts.total, counts.completed + counts.failed) == ("cancelled", 60, 60)
    output, errors = await lines_of(sdk, batch.output_file_id), await lines_of(sdk, batch.error_file_id)
    assert len(output) == counts.completed > 0
    assert output.keys() | errors.keys() == {str(number) for number in range(60)}
    assert {(each["response"], each["error"]["code"]) for each in errors.values()} == {(None, "batch_cancelled")}
    assert batch.usage.total_tokens > 0
    with pytest.raises(openai.BadRequestError, match="cancelled"):
        await sdk.batches.cancel(batch.id)


async def test_a_file_with_bad_lines_fails_the_batch_and_says_which(sdk):
    other = line("c")
    batch = await ended(sdk, await begun(sdk, jsonl(line("a"), b"nonsense", line("a"), {**other, "method": "GET"})))
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("failed", None, None)
    assert batch.errors.object == "list"
    assert [(each.code, each.line, each.param) for each in batch.errors.data] == [
        ("invalid_json_line", 2, None),
        ("duplicate_custom_id", 3, "custom_id"),
        ("invalid_method", 4, "method"),
    ]
    assert (batch.failed_at is not None, batch.usage.total_tokens) == (True, 0)


async def test_what_a_line_is_answered_is_what_its_endpoint_answers(sdk, suite, upstream):
    text, auth = {"model": "fast", "prompt": "Once"}, {"authorization": f"Bearer {suite.KEY}"}
    lines = [{"custom_id": "t", "method": "POST", "url": "/v1/completions", "body": text}]
    batch = await ended(sdk, await begun(sdk, jsonl(*lines), "/v1/completions"))
    (told,) = (await lines_of(sdk, batch.output_file_id)).values()
    whole = json.loads((await suite.request("POST", "/v1/completions", json=text, headers=auth)).body)
    assert told["response"]["body"].keys() == whole.keys()
    assert told["response"]["body"]["choices"] == whole["choices"]
    refused = {"model": "fast", "messages": [{"role": "alien", "content": "Hi"}]}
    lines = [line("good"), {**line("bad"), "body": refused}]
    batch = await ended(sdk, await begun(sdk, jsonl(*lines)))
    (told,) = (await lines_of(sdk, batch.error_file_id)).values()
    answered = await suite.request("POST", CHAT, json=refused, headers=auth)
    assert told["response"]["body"] == json.loads(answered.body)
    assert told["response"]["status_code"] == answered.status


async def test_what_cannot_be_a_batch_is_refused_at_once(sdk):
    file = await sdk.files.create(file=("in.jsonl", jsonl(line("a"))), purpose="batch")
    for changed, param in (
        ({"input_file_id": "file-1"}, "input_file_id"),
        ({"endpoint": "/v1/images/generations"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 60}}, "output_expires_after.seconds"),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": 10**18}},
            "output_expires_after.seconds",
        ),
        ({"input_file_id": file.id[:-1] + "\0"}, "input_file_id"),
        ({"metadata": {"k": "v" * 513}}, "metadata"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            await sdk.batches.create(**{"input_file_id": file.id, "endpoint": CHAT, **WINDOW, **changed})
        assert refused.value.param == param


async def test_anothers_files_and_batches_are_not_there(sdk, suite, new_sdk):
    batch = await ended(sdk, await begun(sdk, jsonl(line("a"))))
    stranger = new_sdk(suite.OTHER_KEY)
    for refused in (
        stranger.batches.retrieve(batch.id),
        stranger.batches.cancel(batch.id),
        stranger.files.retrieve(batch.output_file_id),
        stranger.files.content(batch.output_file_id),
        stranger.files.delete(batch.input_file_id),
    ):
        with pytest.raises(openai.NotFoundError):
            await refused
    assert [one async for one in stranger.batches.list()] == []
    assert [one async for one in stranger.files.list()] == []
    with pytest.raises(openai.BadRequestError, match="There is no file"):
        await stranger.batches.create(input_file_id=batch.input_file_id, endpoint=CHAT, **WINDOW)


async def test_batches_and_files_are_listed_page_by_page(sdk):
    batches = [await begun(sdk, jsonl(line("a")), metadata={"number": str(number)}) for number in range(5)]
    listed = [one async for one in sdk.batches.list(limit=2)]
    assert [one.id for one in listed] == [one.id for one in reversed(batches)]
    page = await sdk.batches.list(after=batches[2].id, limit=2)
    assert (page.has_more, [one.id for one in page.data]) == (False, [batches[1].id, batches[0].id])
    files = [one async for one in sdk.files.list(limit=2, order="asc", purpose="batch")]
    assert [one.id for one in files] == [one.input_file_id for one in batches]
    with pytest.raises(openai.NotFoundError):
        await sdk.batches.list(after="batch_unknown")


async def test_a_file_comes_back_as_it_was_and_goes(sdk, suite):
    content = bytes(range(256)) * 8192 + b"end"
    expires = {"anchor": "created_at", "seconds": 7200}
    file = await sdk.files.create(file=('a "quoted"\u00fc.jsonl', content), purpose="batch", expires_after=expires)
    assert file.expires_at == file.created_at + 7200
    assert (await sdk.files.retrieve(file.id)).to_dict() == file.to_dict()
    response = await sdk.files.with_raw_response.content(file.id)
    assert response.content == content
    assert response.headers["content-length"] == str(len(content))
    assert response.headers["x-content-type-options"] == "nosniff"
    assert (await sdk.files.delete(file.id)).deleted
    for again in (sdk.files.retrieve(file.id), sdk.files.content(file.id), sdk.files.delete(file.id)):
        with pytest.raises(openai.NotFoundError):
            await again


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"data": {"purpose": "fine-tune"}}, "purpose"),
        ({"data": {}}, "purpose"),
        ({"data": {"purpose": "batch", "expires_after[seconds]": "7200"}}, "expires_after[anchor]"),
        (
            {"data": {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "3599"}},
            "expires_after.seconds",
        ),
        ({"data": {"purpose": "batch"}, "files": {"file": ("a", b"")}}, "file"),
    ],
)
async def test_a_form_that_is_wrong_is_told_so_and_leaves_nothing(sdk, suite, form, param):
    response = await sdk._client.post(
        "http://penstock/v1/files",
        headers={"authorization": f"Bearer {suite.KEY}"},
        **{"files": {"file": ("a", b"x" * 100_000)}, **form},
    )
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert [one async for one in sdk.files.list()] == []


async def test_what_a_file_expires_after_may_follow_it(sdk, suite):
    async def sent(seconds: str, *before: Any) -> httpx.Response:
        rest = ("expires_after[anchor]", (None, "created_at")), ("expires_after[seconds]", (None, seconds))
        form = [("purpose", (None, "batch")), *before, ("file", ("a.jsonl", b"x" * 100)), *rest[len(before) :]]
        auth = {"authorization": f"Bearer {suite.KEY}"}
        return await sdk._client.post("http://penstock/v1/files", headers=auth, files=form)

    for before in ((), (("expires_after[anchor]", (None, "created_at")),)):
        file = (await sent("7200", *before)).json()
        assert file["expires_at"] == file["created_at"] + 7200
        assert (await sdk.files.retrieve(file["id"])).expires_at == file["expires_at"]
        refused = await sent("5", *before)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "expires_after.seconds")
    assert len([one async for one in sdk.files.list()]) == 2


@pytest.mark.parametrize("name", ["file-abc123", "None", "JOB_01A2", "file-1%00", "%00"])
async def test_what_nothing_is_called_is_not_there_whatever_it_looks_like(sdk, suite, name):
    auth = {"authorization": f"Bearer {suite.KEY}"}
    for method, path in (
        ("GET", f"/v1/files/{name}"),
        ("GET", f"/v1/files/{name}/content"),
        ("DELETE", f"/v1/files/{name}"),
        ("GET", f"/v1/batches/{name}"),
        ("POST", f"/v1/batches/{name}/cancel"),
    ):
        answered = await suite.request(method, path, headers=auth)
        assert answered.status == 404, (method, path, answered.body)
        assert json.loads(answered.body)["error"]["message"].startswith("There is no ")


@pytest.mark.parametrize("size", [3_000_001, 4_000_000])
async def test_a_file_has_no_more_bytes_than_it_may(sdk, size):
    await sdk.files.create(file=("a", b"x" * 3_000_000), purpose="batch")
    with pytest.raises(openai.APIStatusError) as refused:
        await sdk.files.create(file=("a", b"x" * size), purpose="batch")
    assert refused.value.status_code == 413
    assert len([one async for one in sdk.files.list()]) == 1


async def test_the_purpose_may_follow_a_small_file(sdk, suite):
    form = [("file", ("a.jsonl", jsonl(line("a")))), ("purpose", (None, "batch"))]
    response = await sdk._client.post(
        "http://penstock/v1/files", headers={"authorization": f"Bearer {suite.KEY}"}, files=form
    )
    assert response.json()["purpose"] == "batch"
    assert len([one async for one in sdk.files.list(purpose="batch")]) == 1


async def test_what_the_page_says_is_so(suite, tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[3] / "docs" / "batches.md").read_text()
    snippet, one = (page.split(f"```{kind}\n")[1].split("```")[0] for kind in ("python", "json"))
    (tmp_path / "requests.jsonl").write_text(one.replace('"demo"', '"fast"'))
    http = httpx.Client(transport=httpx.HTTPTransport(uds=suite.http_socket))
    own = functools.partial(openai.OpenAI, http_client=http)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(openai, "OpenAI", own)
    said = snippet.replace("time.sleep(10)", "time.sleep(0.02)")
    await asyncio.to_thread(exec, said, {"KEY": suite.KEY})  # noqa: S102 - the page's own words
    http.close()
    assert json.loads(capsys.readouterr().out.strip().splitlines()[-1])["custom_id"] == "order-17"
