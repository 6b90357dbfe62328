"""Jobs run by a gateway: through the life of any request, with one result, whatever fails meanwhile."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from penstock_common.llm.types import Candidate, Started, TextDelta, UnitPrices
from penstock_common.priority import Priority
from penstock_common.testing.openai_upstream import Answer, Failure
from penstock_gateway.domain.jobs.events import AttemptStarted, Ended, Generated, PutBack
from penstock_gateway.domain.jobs.job import JobState
from penstock_gateway.domain.jobs.lanes import Bounds, Turns
from penstock_gateway.domain.jobs.ports import Held
from penstock_gateway.domain.jobs.results import ChatResult

sys.path.insert(0, str(Path(__file__).parent))

from jobs_desk import QUICK, JobsDesk, chat  # noqa: E402

PLACES = dict.fromkeys(Priority, 10)
FIRST, PRICES = Candidate(upstream="first", model="m1"), UnitPrices(input_nano_usd=1000_000_000, output_nano_usd=2000_000_000)


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
    (claimed,) = await desk.queue.claim("elsewhere", Turns(Bounds()), PLACES, later, now() - timedelta(seconds=1))
    given = (Started(generation_id="g", answered_by=FIRST, unit_prices=PRICES), TextDelta("Hal"))
    held = Held(job.id, claimed.job.epoch)
    assert await desk.queue.append(held, (AttemptStarted(1), Generated(given)), now()) == 2
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
