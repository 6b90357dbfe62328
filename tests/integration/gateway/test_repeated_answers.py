"""Inference under an Idempotency-Key, on every surface: asked once, answered each time, whoever leaves and whatever dies."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from penstock_common.testing.openai_upstream import Answer, Failure
from penstock_gateway.adapters.sql.jobs.tables import jobs

sys.path.insert(0, str(Path(__file__).parent))

from jobs_desk import QUICK, JobsDesk  # noqa: E402

KEY = {"idempotency-key": "k1"}
REPEATS = 60


@pytest.fixture
def document(document):
    document["jobs"] = QUICK
    return document


def words(answered):
    """Return the text of a streamed answer."""
    return "".join(choice["delta"].get("content") or "" for chunk in answered.chunks for choice in chunk["choices"])


async def test_repeat_gets_the_answer_that_was_given(suite, upstream):
    upstream.enqueue(Answer(tokens=["Hello", " there"]))
    first = await suite.ask(headers=KEY)
    again = await suite.ask(headers=KEY)
    assert (first.status, again.status) == (200, 200), first.body
    assert first.body == again.body
    assert len(upstream.requests) == 1
    assert "idempotent-replayed" not in first.header
    assert again.header["idempotent-replayed"] == "true"
    assert (
        again.header["x-penstock-original-request-id"] == first.header["x-request-id"] != again.header["x-request-id"]
    )
    for name in ("x-penstock-model", "x-penstock-upstream", "x-penstock-cache"):
        assert again.header[name] == first.header[name]
    assert float(first.header["x-penstock-cost-usd"]) > 0
    assert float(again.header["x-penstock-cost-usd"]) == 0
    (row,) = await suite.ledger_after_close()
    assert (row["outcome"], row["request_id"]) == ("ok", first.header["x-request-id"])


async def test_repeats_at_once_are_one(suite, upstream, hold):
    upstream.enqueue(Answer(tokens=["Hello", " there"], hold={0: hold}))
    asking = [asyncio.ensure_future(suite.ask(headers=KEY)) for _ in range(REPEATS)]
    await upstream.next_request()
    hold.set()
    answers = await asyncio.gather(*asking)
    assert {each.status for each in answers} == {200}
    assert len({each.body for each in answers}) == 1
    assert sum("idempotent-replayed" in each.header for each in answers) == REPEATS - 1
    assert len(upstream.requests) == 1
    assert [row["outcome"] for row in await suite.ledger_after_close()] == ["ok"]


async def test_stream_is_joined_from_its_first_token_and_replayed(suite, upstream, hold):
    upstream.enqueue(Answer(tokens=["Hello", " there"], hold={2: hold}))
    first = asyncio.ensure_future(suite.ask(headers=KEY, stream=True))
    await upstream.next_request()
    joined = asyncio.ensure_future(suite.ask(headers=KEY, stream=True))
    hold.set()
    streams = [await first, await joined, await suite.ask(headers=KEY, stream=True)]
    assert [words(each) for each in streams] == ["Hello there"] * 3
    assert len({each.chunks[0]["id"] for each in streams}) == 1
    assert all(each.frames[-1] == "data: [DONE]" for each in streams)
    assert [each.header.get("idempotent-replayed") for each in streams] == [None, "true", "true"]
    assert len(upstream.requests) == 1


async def test_original_that_leaves_leaves_its_answer(suite, upstream, hold):
    upstream.enqueue(Answer(tokens=["Hello", " there"], hold={0: hold}))
    first = asyncio.ensure_future(suite.ask(headers=KEY))
    await upstream.next_request()
    first.cancel()
    await asyncio.wait((first,))
    hold.set()
    again = await suite.ask(headers=KEY)
    assert (again.status, again.json["choices"][0]["message"]["content"]) == (200, "Hello there")
    assert len(upstream.requests) == 1


async def test_another_request_under_the_key_is_refused(suite, upstream):
    assert (await suite.ask(headers=KEY)).status == 200
    for changed in ({"text": "Other"}, {"stream": True}, {"temperature": 0.5}):
        refused = await suite.ask(headers=KEY, **changed)
        assert (refused.status, refused.error["code"], refused.error["param"]) == (
            422, "idempotency_key_reused", "Idempotency-Key",
        )  # fmt: skip
    refused = await suite.ask(headers={**KEY, "x-penstock-cache": "no-store"})
    assert refused.status == 422
    # What says nothing of the answer may differ.
    assert (await suite.ask(headers={**KEY, "x-penstock-timeout": "7s", "user-agent": "x"})).status == 200
    assert (await suite.ask(headers=KEY, key=suite.OTHER_KEY)).header.get("idempotent-replayed") is None
    assert len(upstream.requests) <= 2


async def test_who_does_not_wait_is_refused_meanwhile(suite, upstream, hold):
    upstream.enqueue(Answer(tokens=["Hi"], hold={0: hold}))
    first = asyncio.ensure_future(suite.ask(headers=KEY))
    await upstream.next_request()
    refused = await suite.ask(headers={**KEY, "x-penstock-idempotency": "conflict"})
    assert (refused.status, refused.error["code"]) == (409, "idempotency_in_progress")
    assert (refused.header["retry-after"], refused.header["x-should-retry"]) == ("1", "true")
    late = await suite.ask(headers={**KEY, "x-penstock-timeout": "50ms"})
    assert (late.status, late.error["code"]) == (409, "idempotency_in_progress")
    hold.set()
    assert (await first).status == 200


async def test_failure_is_told_to_all_and_frees_the_key(suite, upstream):
    usual, upstream.otherwise = upstream.otherwise, lambda _: Failure(500)
    failed = await asyncio.gather(*(suite.ask(headers=KEY) for _ in range(5)))
    assert {each.status for each in failed} == {502}
    upstream.otherwise, asked = usual, len(upstream.requests)
    assert (await suite.ask(headers=KEY)).status == 200
    assert len(upstream.requests) == asked + 1


async def test_refused_request_may_be_mended_under_its_key(suite, upstream):
    assert (await suite.ask(headers=KEY, temperature=3)).status == 400
    assert (await suite.ask(headers=KEY, model="nope")).status == 404
    assert (await suite.ask(headers=KEY)).status == 200
    assert (await suite.ask(headers={"idempotency-key": ""})).status == 400


async def test_limit_refuses_the_first_and_no_repeat(suite):
    for number in range(3):
        assert (await suite.ask(headers={"idempotency-key": str(number)}, key=suite.FREE_KEY)).status == 200
    assert (await suite.ask(headers={"idempotency-key": "new"}, key=suite.FREE_KEY)).status == 429
    again = await suite.ask(headers={"idempotency-key": "1"}, key=suite.FREE_KEY)
    assert (again.status, again.header["idempotent-replayed"]) == (200, "true")


async def test_anthropic_messages_are_kept_too(suite, upstream):
    body = {"model": "fast", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    head = {"x-api-key": suite.KEY, **KEY}
    for stream in (False, True):
        head["idempotency-key"] = f"a{stream}"
        content = json.dumps({**body, "stream": stream}).encode()
        first, again = [await suite.request("POST", "/v1/messages", data=content, headers=head) for _ in range(2)]
        assert (first.status, again.status) == (200, 200)
        assert again.header["idempotent-replayed"] == "true"
        assert again.header["request-id"] == again.header["x-request-id"]
        if not stream:
            assert first.body == again.body
    refused = await suite.request("POST", "/v1/messages", data=json.dumps(body).encode(), headers=head)
    assert (refused.status, refused.json["error"]["type"]) == (422, "invalid_request_error")


async def test_answer_that_has_expired_is_asked_for_anew(suite, upstream, tmp_path):
    upstream.enqueue(Answer(tokens=["Old"]))
    upstream.enqueue(Answer(tokens=["New"]))
    head = {**KEY, "x-penstock-cache": "no-store"}
    assert (await suite.ask(headers=head)).status == 200
    async with JobsDesk.at(tmp_path) as desk, desk.engine.begin() as connection:
        # It is still there: nobody has tidied since.
        assert (await connection.execute(jobs.update().values(result_expires_ms=1))).rowcount == 1
    again = await suite.ask(headers=head)
    assert (again.status, again.json["choices"][0]["message"]["content"]) == (200, "New")
    assert "idempotent-replayed" not in again.header
    assert len(upstream.requests) == 2
