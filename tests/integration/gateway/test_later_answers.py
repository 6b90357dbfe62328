"""Answers that come later: where the client prefers that, and where a limit refuses for now."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from penstock_common.testing.openai_upstream import Answer
from penstock_gateway.domain.jobs.job import JobState

sys.path.insert(0, str(Path(__file__).parent))

from jobs_desk import QUICK, JobsDesk  # noqa: E402

ASYNC = {"prefer": "respond-async"}
QUEUE = {"x-penstock-when-limited": "queue"}


@pytest.fixture
def document(document):
    document["jobs"] = QUICK
    (limited,) = [tenant for tenant in document["tenants"] if tenant["name"] == "free"]
    # A place is free again after a second, and ten are there at first.
    limited["tier"] = {"requests_per_minute": 60}
    return document


@pytest.fixture
async def desk(suite, tmp_path):
    async with JobsDesk.at(tmp_path) as desk:
        yield desk


async def ended(desk, answered, tenant="demo"):
    job = await desk.store.get(tenant, answered.json["id"])
    return await desk.ended(job)


async def exhausted(suite, **options):
    """Ask until a limit refuses; return what it says."""
    for number in range(200):
        answered = await suite.ask(str(number), key=suite.FREE_KEY, **options)
        if answered.status != 200:
            return answered
    raise AssertionError("no limit refuses")


async def test_job_is_told_at_once_and_answered_later(suite, desk, upstream):
    upstream.enqueue(Answer(tokens=["Later"]))
    told = await suite.ask(headers=ASYNC)
    assert told.status == 202
    assert told.header["preference-applied"] == "respond-async"
    assert told.header["location"] == f"/api/v1/jobs/{told.json['id']}" == told.json["status_url"]
    assert (told.json["object"], told.json["status"], told.json["kind"]) == ("job", "queued", "chat")
    job = await ended(desk, told)
    assert job.state is JobState.SUCCEEDED
    assert (await desk.result(job)).answer.text == "Later"


async def test_answer_that_comes_in_time_is_given_and_one_that_does_not_is_a_job(suite, desk, upstream, hold):
    now = await suite.ask(headers={"prefer": 'respond-async, wait="30"'})
    assert (now.status, now.header.get("location")) == (200, None)
    upstream.enqueue(Answer(tokens=["Later"], hold={0: hold}))
    later = await suite.ask("Other", headers={"prefer": "wait=0, respond-async"})
    assert later.status == 202
    upstream.enqueue(Answer(tokens=["Later"], hold={0: hold}))
    later = await suite.ask("Third", headers={"prefer": "respond-async;x=1, wait=1"})
    assert (later.status, later.json["status"]) == (202, "running")
    assert later.header["preference-applied"] == "respond-async, wait=1"
    hold.set()
    assert (await ended(desk, later)).state is JobState.SUCCEEDED


async def test_stream_becomes_a_job_before_its_first_byte_alone(suite, upstream, hold):
    upstream.enqueue(Answer(tokens=["Hello", " there"], hold={2: hold}))
    asking = asyncio.ensure_future(suite.ask(headers={"prefer": "respond-async, wait=30"}, stream=True))
    await upstream.next_request()
    hold.set()
    told = await asking
    assert (told.status, told.frames[-1]) == (200, "data: [DONE]")
    never = asyncio.Event()
    upstream.enqueue(Answer(tokens=["Hello", " there"], hold={0: never}))
    assert (await suite.ask("Other", headers={"prefer": "respond-async, wait=1"}, stream=True)).status == 202
    never.set()


async def test_preference_for_something_else_means_nothing(suite):
    told = await suite.ask(headers={"prefer": "return=minimal, wait=1"})
    assert (told.status, told.header.get("preference-applied")) == (200, None)


async def test_forbidden_and_malformed_requests_are_refused_at_once(suite):
    assert (await suite.ask(headers=ASYNC, temperature=3)).status == 400
    assert (await suite.ask(headers=ASYNC, key=suite.NARROW_KEY)).status == 403
    assert (await suite.ask(headers={"x-penstock-when-limited": "perhaps"})).status == 400


async def test_refused_request_waits_for_its_allowance(suite, desk):
    refused = await exhausted(suite)
    assert refused.status == 429
    told = await exhausted(suite, headers=QUEUE)
    assert told.status == 202
    assert told.header["x-penstock-queued-reason"].endswith("requests_per_minute")
    assert told.json["queued_reason"] == told.header["x-penstock-queued-reason"]
    assert told.json["due_at"] >= int(time.time())
    job = await ended(desk, told, "free")
    assert (job.state, job.error) == (JobState.SUCCEEDED, None)


@pytest.mark.parametrize("stream", [False, True])
async def test_repeat_of_a_queued_request_is_the_same_job(suite, desk, stream):
    assert (await exhausted(suite)).status == 429
    head = {**QUEUE, "idempotency-key": "k1"}
    told = await suite.ask("mine", key=suite.FREE_KEY, headers=head, stream=stream)
    again = await suite.ask("mine", key=suite.FREE_KEY, headers={**head, **ASYNC}, stream=stream)
    assert (told.status, again.status) in ((202, 202), (202, 200))
    if again.status == 202:
        assert told.json["id"] == again.json["id"]
    await ended(desk, told, "free")
    answered = await suite.ask("mine", key=suite.FREE_KEY, headers=head, stream=stream)
    assert (answered.status, answered.header["idempotent-replayed"]) == (200, "true")
    assert answered.header["x-penstock-original-request-id"] != answered.header["x-request-id"]


async def test_what_never_fits_is_refused_for_good(document, serve):
    (limited,) = [tenant for tenant in document["tenants"] if tenant["name"] == "free"]
    limited["tier"] = {"tokens_per_minute": 50}
    suite = await serve()
    refused = await suite.ask("word " * 500, key=suite.FREE_KEY, headers=QUEUE)
    assert refused.status == 400, refused.body


async def test_what_costs_more_than_a_whole_budget_is_refused_for_good(document, serve, tmp_path, upstream):
    for each in document["upstreams"]:
        each["models"][0]["price"] = {"input": 0, "output": 10}
    (limited,) = [tenant for tenant in document["tenants"] if tenant["name"] == "free"]
    limited["tier"] = {"spend_per_day": "0.001"}
    suite = await serve()
    for head in (QUEUE, {**QUEUE, "idempotency-key": "k1"}):
        refused = await suite.ask("Hi", key=suite.FREE_KEY, headers=head, max_tokens=10_000)
        assert (refused.status, refused.error["code"]) == (429, "budget_exceeded"), refused.body
        assert "never has room for it" in refused.error["message"]
    # As a job it is tried, and told so at once.
    async with JobsDesk.at(tmp_path) as desk:
        told = await suite.ask("Hi", key=suite.FREE_KEY, headers=ASYNC, max_tokens=10_000)
        job = await ended(desk, told, "free")
    assert (job.state, job.error.reason) == (JobState.FAILED, "QUOTA_EXHAUSTED")
    assert upstream.requests == []
    # What fits in, once the budget has begun anew, waits for that.
    upstream.enqueue(Answer(tokens=["word "] * 90))
    assert (await suite.ask("Hi", key=suite.FREE_KEY, headers=QUEUE, max_tokens=95)).status == 200
    waits = await suite.ask("Hi", key=suite.FREE_KEY, headers=QUEUE, max_tokens=94)
    assert waits.status == 202, waits.body
