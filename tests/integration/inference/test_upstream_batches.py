"""Requests handed to an upstream as a batch: once, found again, read line by line, and told at the price of batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from penstock_common import errors
from penstock_common.contract.inference import GenerateRequest
from penstock_common.contract.upstream_batches import (
    UpstreamBatchLine,
    UpstreamBatchOrder,
    UpstreamBatchPlace,
    UpstreamBatchState,
)
from penstock_common.contract.wire.inference import GENERATE, LIST_MODELS
from penstock_common.contract.wire.upstream_batches import (
    BEGIN_UPSTREAM_BATCH,
    CANCEL_UPSTREAM_BATCH,
    GET_UPSTREAM_BATCH,
    READ_UPSTREAM_BATCH,
)
from penstock_common.llm.events import Answer
from penstock_common.llm.types import Candidate, Plan, SamplingParams
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_answers import Failure
from penstock_common.testing.openai_batches import OpenAIBatchUpstream, completed

HERE = Candidate(upstream="bulk", model="m")
NAMES = ("a", "b", "c")


@pytest.fixture
async def upstream():
    async with OpenAIBatchUpstream() as upstream:
        yield upstream


@pytest.fixture
async def channel(serve, upstream):
    return (await serve(upstream.settings("bulk"))).channel


def order(*names: str, **more):
    lines = tuple(UpstreamBatchLine(name, QUESTION) for name in names or NAMES)
    return UpstreamBatchOrder(HERE, "part_1", lines, **more)


async def begun(channel, asked=None):
    return (await channel.call(BEGIN_UPSTREAM_BATCH, asked or order())).batch


async def read(channel, batch_id):
    responses = channel.stream(READ_UPSTREAM_BATCH, UpstreamBatchPlace(HERE, batch_id))
    return [answer async for several in responses for answer in several]


async def told(channel, kept):
    request = GenerateRequest(input=QUESTION, plan=Plan(candidates=(HERE,)), whole=True, kept=kept)
    answer = Answer()
    async for batch in channel.stream(GENERATE, request):
        answer.extend(batch)
    return answer


async def test_lines_are_handed_over_as_they_would_be_asked(channel, upstream):
    batch = await begun(channel)
    assert batch.state is UpstreamBatchState.ENDED
    held = upstream.batches[batch.id]
    assert [line["custom_id"] for line in held.lines] == [*NAMES]
    assert held.lines[0] == {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": [{"role": "user", "content": "Hi?"}], "stream": False},
    }
    assert held.asked["metadata"] == {"penstock_batch": "part_1"}
    assert upstream.requests[0].headers["authorization"] == "Bearer sk-ours"


async def test_an_answer_is_told_as_one_that_has_just_come_at_the_price_of_batches(channel, upstream):
    batch = await begun(channel)
    answers = {one.line: one.kept for one in await read(channel, batch.id)}
    assert [*answers] == [*NAMES]
    asked_before = len(upstream.requests)
    answer = await told(channel, answers["b"])
    assert answer.text == "Hello"
    assert answer.finished.service_tier == "batch"
    # 7 tokens at $0.075 and one at $0.30 per million.
    assert answer.finished.cost_nano_usd == 7 * 75 + 300
    assert len(upstream.requests) == asked_before


async def test_what_the_upstream_refused_of_a_line_is_its_error(channel, upstream):
    upstream.answer_line = lambda line: completed(line, "no such tool", status=400)
    batch = await begun(channel)
    kept = (await read(channel, batch.id))[0].kept
    with pytest.raises(errors.InvalidRequest, match="no such tool"):
        await told(channel, kept)


async def test_a_batch_that_may_have_begun_is_looked_for_first(channel, upstream):
    first = await begun(channel)
    since = datetime.now(UTC) - timedelta(minutes=1)
    again = await begun(channel, order(maybe_begun_since=since))
    assert again.id == first.id
    assert len(upstream.batches) == 1


async def test_one_of_another_name_is_not_taken_for_it(channel, upstream):
    await begun(channel)
    since = datetime.now(UTC) - timedelta(minutes=1)
    other = msgspec.structs.replace(order(maybe_begun_since=since), name="part_2")
    await begun(channel, other)
    assert len(upstream.batches) == 2


async def test_it_is_looked_for_on_later_pages(channel, upstream):
    first = await begun(channel)
    for number in range(150):
        await begun(channel, msgspec.structs.replace(order("x"), name=f"other_{number}"))
    again = await begun(channel, order(maybe_begun_since=datetime.now(UTC) - timedelta(minutes=5)))
    assert again.id == first.id


async def test_a_batch_whose_answer_is_lost_is_not_asked_for_twice_in_one_call(channel, upstream):
    upstream.lose_answers()
    with pytest.raises(errors.UpstreamFailed):
        await begun(channel)
    assert [request.path for request in upstream.requests] == ["/v1/files", "/v1/batches"]


@pytest.mark.parametrize("status", [500, 503, 413])
async def test_an_upload_that_is_refused_is_an_error(channel, upstream, status):
    upstream.otherwise = lambda _: Failure(status)
    with pytest.raises(errors.PenstockError):
        await begun(channel)
    assert upstream.batches == {}


async def test_a_rate_limit_says_when_to_come_again(channel, upstream):
    upstream.otherwise = lambda _: Failure(429, headers={"retry-after": "7"})
    with pytest.raises(errors.RateLimited) as refused:
        await begun(channel)
    assert refused.value.retry_after == timedelta(seconds=7)


async def test_it_is_open_until_it_has_ended(channel, upstream):
    upstream.hold()
    batch = await begun(channel)
    place = UpstreamBatchPlace(HERE, batch.id)
    assert (await channel.call(GET_UPSTREAM_BATCH, place)).state is UpstreamBatchState.OPEN
    upstream.finish("expired")
    assert (await channel.call(GET_UPSTREAM_BATCH, place)).state is UpstreamBatchState.ENDED


async def test_it_is_cancelled_and_may_be_twice(channel, upstream):
    upstream.hold()
    place = UpstreamBatchPlace(HERE, (await begun(channel)).id)
    for _ in range(2):
        assert (await channel.call(CANCEL_UPSTREAM_BATCH, place)).state is UpstreamBatchState.OPEN
    upstream.finish("cancelled")
    assert (await channel.call(CANCEL_UPSTREAM_BATCH, place)).state is UpstreamBatchState.ENDED


async def test_one_that_is_refused_as_a_whole_says_why(channel, upstream):
    upstream.hold()
    place = UpstreamBatchPlace(HERE, (await begun(channel)).id)
    upstream.refuse("too many tokens enqueued")
    batch = await channel.call(GET_UPSTREAM_BATCH, place)
    assert (batch.state, batch.reason) == (UpstreamBatchState.REFUSED, "too many tokens enqueued")


async def test_one_that_has_vanished_is_not_found(channel, upstream):
    place = UpstreamBatchPlace(HERE, (await begun(channel)).id)
    upstream.batches.clear()
    with pytest.raises(errors.ResourceNotFound):
        await channel.call(GET_UPSTREAM_BATCH, place)
    with pytest.raises(errors.ResourceNotFound):
        await read(channel, place.id)


async def test_lines_without_an_answer_and_lines_that_are_none_are_passed_over(channel, upstream):
    expired = {"id": "x", "custom_id": "c", "response": None, "error": {"code": "batch_expired", "message": "late"}}
    told_of = {"a": lambda line: completed(line), "b": lambda _: b"{garbage\n", "c": lambda _: expired}
    upstream.answer_line = lambda line: told_of[line["custom_id"]](line)
    batch = await begun(channel)
    assert [one.line for one in await read(channel, batch.id)] == ["a"]


async def test_a_line_that_batches_do_not_take_is_named_and_the_others_go(channel, upstream):
    odd = msgspec.structs.replace(QUESTION, extra_json='{"unknown_field": 1}')
    lines = (UpstreamBatchLine("a", QUESTION), UpstreamBatchLine("odd", odd))
    answer = await channel.call(BEGIN_UPSTREAM_BATCH, UpstreamBatchOrder(HERE, "part_1", lines))
    assert answer.refused_lines == ("odd",)
    assert upstream.lines_of_all() == ["a"]
    only_odd = UpstreamBatchOrder(HERE, "part_2", lines[1:])
    assert (await channel.call(BEGIN_UPSTREAM_BATCH, only_odd)).batch is None
    assert len(upstream.batches) == 1


async def test_several_choices_are_told(channel, upstream):
    value = msgspec.structs.replace(QUESTION, sampling=SamplingParams(choices=2))
    await channel.call(BEGIN_UPSTREAM_BATCH, UpstreamBatchOrder(HERE, "p", (UpstreamBatchLine("a", value),)))
    assert next(iter(upstream.batches.values())).lines[0]["body"]["n"] == 2


@pytest.mark.parametrize("changed", [{"batches": False}, {"models": [{"name": "m", "context_window": 4096}]}])
async def test_an_upstream_that_is_not_open_to_it_or_has_no_price_takes_none(serve, upstream, changed):
    caller = await serve(upstream.settings("bulk", **changed))
    (model,) = await caller.channel.call(LIST_MODELS, None)
    assert not model.takes_batches
    with pytest.raises(errors.UnsupportedParameter, match="batches: true"):
        await begun(caller.channel)
    assert upstream.requests == []


async def test_a_model_says_that_it_takes_them(channel):
    (model,) = await channel.call(LIST_MODELS, None)
    assert model.takes_batches
