"""Jobs run by a gateway: through the life of any request, with one result, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from google.protobuf.duration_pb2 import Duration

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock_common.contract.knowledge import IndexSpec
from penstock_common.contract.knowledge_calls import PutBaseRequest, PutDocumentRequest
from penstock_common.llm.types import Candidate, Started, TextDelta, UnitPrices
from penstock_common.priority import Priority
from penstock_common.testing.openai_upstream import Answer, Failure
from penstock_common.testing.transports import IN_PROCESS
from penstock_gateway.domain.jobs.events import AttemptStarted, Ended, Generated, PutBack
from penstock_gateway.domain.jobs.job import JobState
from penstock_gateway.domain.jobs.lanes import Bounds, Turns
from penstock_gateway.domain.jobs.ports import Held
from penstock_gateway.domain.jobs.results import ChatResult

sys.path.insert(0, str(Path(__file__).parent))

from administrator import Administrator  # noqa: E402
from embedding_world import MODEL, embedding_section  # noqa: E402
from jobs_desk import QUICK, JobsDesk, chat, ingest, vectors  # noqa: E402
from knowledge_in_memory import KnowledgeInMemory  # noqa: E402

PLACES = dict.fromkeys(Priority, 10)
FIRST, PRICES = (
    Candidate(upstream="first", model="m1"),
    UnitPrices(input_nano_usd=1000_000_000, output_nano_usd=2000_000_000),
)


def now():
    return datetime.now(UTC)


@pytest.fixture
async def desk(document, serve, tmp_path) -> AsyncIterator[JobsDesk]:
    document["jobs"] = QUICK
    suite = await serve()
    async with JobsDesk.at(tmp_path) as desk:
        desk.suite = suite
        yield desk


async def test_a_chat_is_answered_as_a_request_is(desk, upstream):
    upstream.enqueue(Answer(tokens=["Hello", " there"]))
    (job,) = await desk.submit(chat())
    ended = await desk.ended(job)
    assert (ended.state, ended.attempts, ended.error) == (JobState.SUCCEEDED, 1, None)
    result = await desk.result(ended)
    assert isinstance(result, ChatResult)
    assert (result.answer.text, str(result.cache)) == ("Hello there", "miss")
    told = await desk.told(ended)
    assert told[0] == AttemptStarted(1)
    assert told[-1] == Ended(JobState.SUCCEEDED)
    assert any(isinstance(event, Generated) for event in told)
    (row,) = await desk.suite.ledger_after_close()
    assert (row["outcome"], row["tenant"], row["key_id"]) == ("ok", "demo", "config-demo-1")


async def test_what_an_upstream_fails_is_asked_again(desk, upstream):
    upstream.enqueue(*[Failure(500)] * 3)
    (job,) = await desk.submit(chat(), max_attempts=5)
    ended = await desk.ended(job)
    assert ended.state is JobState.SUCCEEDED
    assert ended.attempts > 1


async def test_an_attempt_whose_worker_died_is_billed_once_and_the_next_one_begins_anew(desk, upstream):
    order = chat()
    (job,) = await desk.submit(order, due_at=now() + timedelta(hours=1))
    # Somebody else takes it, tells a part of an answer, and is not heard of any more.
    later = now() + timedelta(hours=2)
    (claimed,) = await desk.queue.claim("elsewhere", Turns(Bounds()), PLACES, later, now() + timedelta(hours=1))
    given = (Started(generation_id="g", answered_by=FIRST, unit_prices=PRICES), TextDelta("Hal"))
    held = Held(job.id, claimed.job.epoch)
    assert await desk.queue.append(held, (AttemptStarted(1), Generated(given)), now()) == 2
    await desk.queue.beat([held], now() - timedelta(seconds=1))
    upstream.enqueue(Answer(tokens=["Whole"]))
    ended = await desk.ended(job)
    assert (ended.state, ended.attempts, ended.epoch) == (JobState.SUCCEEDED, 2, 2)
    told = await desk.told(ended)
    kinds = [type(event) for event in told]
    assert kinds[:4] == [AttemptStarted, Generated, PutBack, AttemptStarted]
    assert told[3] == AttemptStarted(2)
    assert (await desk.result(ended)).answer.text == "Whole"
    rows = await desk.suite.ledger_after_close()
    assert sorted((row["attempt"], row["outcome"]) for row in rows) == [(1, "worker_lost"), (2, "ok")]
    (lost,) = [row for row in rows if row["attempt"] == 1]
    assert (lost["generation_id"], lost["job"], lost["upstream"]) == (order.generation_id, job.id, "first")
    assert lost["usage_estimated"]
    assert lost["output_tokens"] > 0
    assert lost["cost_nano_usd"] == lost["input_tokens"] * 1000 + lost["output_tokens"] * 2000


async def test_one_who_is_cancelled_while_it_runs_ends_at_once_and_is_billed(desk, upstream, hold):
    upstream.enqueue(Answer(tokens=["12345678", "rest"], hold={2: hold}))
    (job,) = await desk.submit(chat())
    await desk.until(job, lambda job: job.last_event > 1)
    asked = await desk.store.cancel("demo", job.id, now())
    assert (asked.state, asked.cancels) == (JobState.RUNNING, True)
    ended = await desk.ended(job)
    assert ended.state is JobState.CANCELLED
    async with asyncio.timeout(60):
        await upstream.requests[0].left.wait()
    (row,) = await desk.suite.ledger_after_close()
    assert (row["outcome"], row["job"], row["attempt"]) == ("cancelled", job.id, 1)
    assert row["output_tokens"] > 0


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (chat(model="unknown"), "MODEL_NOT_FOUND"),
        (chat(key_id="config-demo-7"), "INVALID_CREDENTIALS"),
        (chat(tenant="narrow", key_id="config-narrow-1"), "MODEL_NOT_PERMITTED"),
    ],
)
async def test_what_would_fail_again_fails_at_once(desk, upstream, order, reason):
    (job,) = await desk.submit(order)
    ended = await desk.ended(job)
    assert (ended.state, ended.attempts, ended.error.reason) == (JobState.FAILED, 1, reason)
    assert upstream.requests == []


async def test_after_its_last_attempt_a_job_is_dead(desk, upstream):
    upstream.otherwise = lambda _: Failure(500)
    (job,) = await desk.submit(chat(), max_attempts=2)
    ended = await desk.ended(job)
    assert (ended.state, ended.attempts, ended.error.reason) == (JobState.DEAD, 2, "UPSTREAM_FAILED")
    assert [type(event) for event in await desk.told(ended)] == [AttemptStarted, PutBack, AttemptStarted, Ended]
    rows = await desk.suite.ledger_after_close()
    assert [(row["attempt"], row["outcome"]) for row in rows] == [(1, "upstream_failed"), (2, "upstream_failed")]
    assert len({row["generation_id"] for row in rows}) == 2


async def test_what_a_limit_refuses_waits_for_its_allowance_and_loses_no_attempt(desk):
    """Of the tenant ``free``: three requests a minute."""
    orders = [chat(str(number), tenant="free", key_id="config-free-1") for number in range(4)]
    jobs = await desk.submit(*orders, max_attempts=1)
    soon = now() + timedelta(seconds=15)
    waits = [await desk.until(job, lambda job: job.state.is_end or job.due_at > soon) for job in jobs]
    (waiting,) = [job for job in waits if not job.state.is_end]
    assert (waiting.state, waiting.attempts, waiting.error.reason) == (JobState.QUEUED, 0, "RATE_LIMITED")


async def test_on_draining_what_has_not_ended_is_handed_back_with_its_attempt(desk, upstream, hold):
    upstream.enqueue(Answer(tokens=["never"], hold={1: hold}))
    (job,) = await desk.submit(chat())
    await desk.until(job, lambda job: job.state is JobState.RUNNING and bool(upstream.requests))
    await desk.suite.gateway.drain(timedelta(seconds=1))
    handed = await desk.store.get("demo", job.id)
    assert (handed.state, handed.attempts, handed.error.reason) == (JobState.QUEUED, 0, "HANDED_BACK")


async def test_on_draining_what_ends_in_time_is_kept(desk, upstream, hold):
    upstream.enqueue(Answer(tokens=["soon"], hold={1: hold}))
    (job,) = await desk.submit(chat())
    await desk.until(job, lambda job: job.state is JobState.RUNNING and bool(upstream.requests))
    draining = asyncio.create_task(desk.suite.gateway.drain(timedelta(seconds=60)))
    await asyncio.sleep(0)
    hold.set()
    await draining
    assert (await desk.store.get("demo", job.id)).state is JobState.SUCCEEDED


async def test_a_deadline_that_passes_while_it_waits_ends_it_unasked(desk, upstream):
    (job,) = await desk.submit(chat(), due_at=now() + timedelta(hours=1), deadline_at=now() - timedelta(seconds=1))
    assert (await desk.ended(job)).state is JobState.EXPIRED
    assert upstream.requests == []


async def test_documents_are_taken_in(document, serve, tmp_path):
    document["jobs"] = QUICK
    knowledge = KnowledgeInMemory()
    suite = await serve(IN_PROCESS, knowledge.service())
    knowledge.PutBase(PutBaseRequest(tenant="demo", id="docs", name="", spec=IndexSpec()))
    operator = Administrator(suite.channel, suite.OPERATOR_KEY)
    key = (await operator.CreateKey(tenant="demo", scopes=[pb.KEY_SCOPE_ADMIN])).key.id
    async with JobsDesk.at(tmp_path) as desk:
        request = PutDocumentRequest(tenant="demo", base="docs", content=b"It is so.", filename="a.txt")
        (job,) = await desk.submit(ingest(request, key))
        ended = await desk.ended(job)
        assert (ended.state, ended.done, ended.total, ended.error) == (JobState.SUCCEEDED, 1, 1, None)
        assert (await desk.result(ended)).document.filename == "a.txt"
        (broken,) = await desk.submit(ingest(msgspec.structs.replace(request, content=b"%BROKEN"), key))
        failed = await desk.ended(broken)
        assert (failed.state, failed.error.reason) == (JobState.FAILED, "INVALID_REQUEST")
        assert "page 3" in failed.error.message
        (forbidden,) = await desk.submit(ingest(request, "config-demo-1"))
        assert (await desk.ended(forbidden)).error.reason == "SCOPE_MISSING"


async def test_a_job_whose_key_was_revoked_while_it_waited_fails(desk, upstream):
    operator = Administrator(desk.suite.channel, desk.suite.OPERATOR_KEY)
    keys = [(await operator.CreateKey(tenant="demo")).key.id for _ in range(2)]
    await operator.RevokeKey(id=keys[0])
    revoked, lives = await desk.submit(*(chat(key_id=key) for key in keys))
    ended = await desk.ended(revoked)
    assert (ended.state, ended.error.reason) == (JobState.FAILED, "INVALID_CREDENTIALS")
    assert (await desk.ended(lives)).state is JobState.SUCCEEDED


async def test_a_job_whose_tenant_is_disabled_fails(desk, upstream):
    operator = Administrator(desk.suite.channel, desk.suite.OPERATOR_KEY)
    await operator.CreateTenant(name="acme", tier="free")
    key = (await operator.CreateKey(tenant="acme")).key.id
    await operator.DisableTenant(name="acme")
    (job,) = await desk.submit(chat(tenant="acme", key_id=key))
    assert (await desk.ended(job)).error.reason == "INVALID_CREDENTIALS"
    assert upstream.requests == []


async def test_a_job_of_a_key_that_was_rotated_and_has_run_out_is_its_successors(desk, upstream):
    operator = Administrator(desk.suite.channel, desk.suite.OPERATOR_KEY)
    first = (await operator.CreateKey(tenant="demo")).key.id
    overlap = Duration(nanos=1_000_000)
    second = (await operator.RotateKey(id=first, overlap=overlap)).key.id
    (job,) = await desk.submit(chat(key_id=first))
    ended = await desk.ended(job)
    assert (ended.state, ended.error) == (JobState.SUCCEEDED, None)
    (row,) = await desk.suite.ledger_after_close()
    assert row["key_id"] in (first, second)


async def test_who_runs_jobs_is_known_while_it_does(desk):
    async with asyncio.timeout(60):
        while not (heard := await desk.workers.heard_since(now() - timedelta(seconds=30))):
            await asyncio.sleep(0.01)
    assert [(each.running, each.places) for each in heard] == [(0, 16)]
    await desk.suite.stack.aclose()
    assert await desk.workers.heard_since(now() - timedelta(seconds=30)) == []


async def test_vectors_are_made_and_kept_as_they_came(document, serve, tmp_path):
    document["jobs"], document["embedding"] = QUICK, embedding_section(tmp_path / "models")
    suite = await serve()
    async with JobsDesk.at(tmp_path) as desk:
        (job,) = await desk.submit(vectors("one", "two", model=MODEL))
        ended = await desk.ended(job)
        assert (ended.state, ended.error) == (JobState.SUCCEEDED, None)
        embedded = (await desk.result(ended)).embedded
    body = json.dumps({"model": MODEL, "input": ["one", "two"]}).encode()
    head = {"authorization": f"Bearer {suite.KEY}"}
    asked = await suite.request("POST", "/v1/embeddings", data=body, headers=head)
    for vector, told in zip(embedded.vectors, asked.json["data"], strict=True):
        assert list(vector.values) == pytest.approx(told["embedding"], abs=1e-6)
    row, _ = await suite.ledger_after_close()
    assert (row["operation"], row["job"], row["attempt"]) == ("embeddings", job.id, 1)
