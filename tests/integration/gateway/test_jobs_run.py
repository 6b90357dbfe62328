"""Jobs run by a gateway: through the life of any request, with one result, whatever fails meanwhile."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from penstock_common.testing.openai_upstream import Answer, Failure
from penstock_gateway.domain.jobs.events import AttemptStarted, Ended, Generated
from penstock_gateway.domain.jobs.job import JobState
from penstock_gateway.domain.jobs.results import ChatResult

sys.path.insert(0, str(Path(__file__).parent))

from jobs_desk import QUICK, JobsDesk, chat  # noqa: E402


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
