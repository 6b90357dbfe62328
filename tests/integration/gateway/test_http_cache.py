"""The cache as callers see it: hits, words, walls, and what never gets in."""

from __future__ import annotations

import asyncio

import pytest

from penstock_common.testing.openai_upstream import Answer, End, Failure, ToolCall

HIT = "hit; tier=exact; similarity=1.00; temperature=unset"


@pytest.fixture
def kept(redis_server):
    """What is in the cache, as keys in Redis."""
    with redis_server.client() as client:
        yield lambda: client.keys("*:cache:exact:*")


@pytest.fixture
def until_kept(kept):
    """Waits for so many entries: an answer does not wait until it is kept."""

    async def wait(count):
        async with asyncio.timeout(60):
            while len(kept()) < count:
                await asyncio.sleep(0.005)

    return wait


async def word(suite, text="Hi", cache=None, **options):
    headers = {"x-penstock-cache": cache} if cache else None
    answered = await suite.ask(text, headers=headers, **options)
    assert answered.status == 200
    return answered.header["x-penstock-cache"]


@pytest.mark.parametrize("second", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("first", [False, True], ids=["whole", "stream"])
async def test_same_question_is_answered_without_asking_again(suite, upstream, until_kept, first, second):
    asked = await suite.ask(stream=first)
    await until_kept(1)
    again = await suite.ask(stream=second)
    assert (asked.header["x-penstock-cache"], again.header["x-penstock-cache"]) == ("miss", HIT)
    assert len(upstream.requests) == 1
    assert (again.header["x-penstock-upstream"], again.header["x-penstock-model"]) == ("first", "m1")
    if second:
        assert again.frames[-1] == "data: [DONE]"
        assert again.chunks[0]["id"] not in asked.body.decode()
    else:
        assert again.json["choices"][0]["message"]["content"] == "Hello, world."
        assert again.json["usage"]["completion_tokens"] == 4
        assert again.json["id"] not in asked.body.decode()
        assert again.header["x-penstock-cost-usd"] == "0"


async def test_other_tenant_misses(suite, upstream, until_kept):
    await suite.ask()
    await until_kept(1)
    assert await word(suite, key=suite.OTHER_KEY) == "miss"
    assert len(upstream.requests) == 2


async def test_what_is_private_serves_the_same_user_alone(suite, until_kept):
    assert await word(suite, cache="private", user="ann") == "miss"
    await until_kept(1)
    assert await word(suite, cache="private", user="ann") == HIT
    assert await word(suite, cache="private", user="bob") == "miss"
    await until_kept(2)
    assert await word(suite, user="ann") == "miss"
    await until_kept(3)
    assert await word(suite, cache="private") == "miss"


PERSONAL = "What is my balance?"


@pytest.mark.parametrize("text", [PERSONAL, "Mail ann@example.org the plan", "Word for word. " * 600])
async def test_what_speaks_of_a_person_serves_the_same_user_alone(suite, until_kept, text):
    assert await word(suite, text, user="ann") == "miss"
    await until_kept(1)
    assert await word(suite, text, user="ann") == HIT
    assert await word(suite, text, user="bob") == "miss"


async def test_what_speaks_of_nobody_serves_every_user(suite, until_kept):
    assert await word(suite, "What is a balance?", user="ann") == "miss"
    await until_kept(1)
    assert await word(suite, "What is a balance?", user="bob") == HIT


async def test_who_names_no_user_shares_with_those_who_name_none(suite, until_kept):
    assert await word(suite, PERSONAL) == "miss"
    await until_kept(1)
    assert await word(suite, PERSONAL) == HIT
    assert await word(suite, PERSONAL, user="ann") == "miss"


async def test_other_question_misses(suite, until_kept):
    await suite.ask("one")
    await until_kept(1)
    assert await word(suite, "two") == "miss"


async def test_no_store_neither_reads_nor_writes(suite, upstream, until_kept, kept):
    await suite.ask()
    await until_kept(1)
    assert await word(suite, cache="no-store") == "bypass; reason=no-store"
    assert await word(suite, "other", cache="no-store") == "bypass; reason=no-store"
    assert len(upstream.requests) == 3
    await suite.ledger_after_close()
    assert len(kept()) == 1


async def test_no_cache_asks_again_and_keeps_the_new_answer(suite, upstream, until_kept):
    upstream.enqueue(Answer(tokens=["old"]), Answer(tokens=["new"]))
    await suite.ask()
    await until_kept(1)
    assert await word(suite, cache="no-cache") == "bypass; reason=no-cache"

    async def told():
        answered = await suite.ask()
        assert answered.header["x-penstock-cache"] == HIT
        return answered.json["choices"][0]["message"]["content"]

    async with asyncio.timeout(60):
        while await told() != "new":
            await asyncio.sleep(0.005)
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("cache", ["only-if-cached", "only-if-cached, no-store", "only-if-cached, no-cache"])
async def test_only_if_cached_never_asks_an_upstream(suite, upstream, cache):
    answered = await suite.ask(headers={"x-penstock-cache": cache})
    assert answered.status == 404
    assert answered.error["code"] == "not_cached"
    assert upstream.requests == []


async def test_only_if_cached_is_answered_from_the_cache(suite, until_kept):
    await suite.ask()
    await until_kept(1)
    assert await word(suite, cache="only-if-cached") == HIT


async def test_max_age_refuses_older_entries(suite, until_kept):
    await suite.ask()
    await until_kept(1)
    assert await word(suite, cache="max-age=0") == "miss"
    assert await word(suite, cache="max-age=3600") == HIT


async def test_warm_answers_are_not_cached(suite, upstream):
    assert await word(suite, temperature=1) == "bypass; reason=temperature"
    assert await word(suite, temperature=1) == "bypass; reason=temperature"
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "behaviour",
    [
        Answer(finish_reason="length"),
        Answer(finish_reason="content_filter"),
        Answer(tokens=(), tool_calls=[ToolCall("weather")], finish_reason="tool_calls"),
        Answer(stop_after=2, end=End.FIN),
        Answer(stop_after=2, end=End.RESET),
        Failure(503),
    ],
    ids=["length", "filtered", "tool call", "cut", "reset", "failed"],
)
async def test_answer_that_is_not_whole_and_clean_is_never_kept(suite, upstream, kept, behaviour, stream):
    upstream.enqueue(*[behaviour] * 4)
    await suite.ask(stream=stream)
    (row,) = await suite.ledger_after_close()
    assert row["cache_status"] == "miss"
    assert kept() == []


async def test_answer_that_its_reader_left_is_never_kept(suite, upstream, kept, hold):
    upstream.enqueue(Answer(hold={4: hold}))
    async with suite.open_stream() as response:
        await response.content.readuntil(b"\n\n")
        response.close()
        async with asyncio.timeout(60):
            await upstream.requests[0].left.wait()
    hold.set()
    (row,) = await suite.ledger_after_close()
    assert row["outcome"] == "cancelled"
    assert kept() == []


async def test_answer_of_a_substitute_lives_a_minute_at_most(suite, upstream, redis_server, kept):
    upstream.enqueue(*[Failure(503)] * 2)
    await suite.ask(model="safe")
    await suite.ledger_after_close()
    (key,) = kept()
    with redis_server.client() as client:
        assert 50_000 < client.pttl(key) <= 60_000


async def test_answer_of_the_first_candidate_lives_for_the_configured_hour(suite, redis_server, kept):
    await suite.ask(model="safe")
    await suite.ledger_after_close()
    (key,) = kept()
    with redis_server.client() as client:
        assert 3_500_000 < client.pttl(key) <= 3_600_000


async def test_suite_whose_cache_is_off_says_bypass(serve, document, upstream, kept):
    document["cache"] = {"mode": False}
    suite = await serve()
    assert await word(suite) == "bypass; reason=off"
    assert await word(suite) == "bypass; reason=off"
    assert len(upstream.requests) == 2
    refused = await suite.ask(headers={"x-penstock-cache": "only-if-cached"})
    assert refused.status == 404
    await suite.ledger_after_close()
    assert kept() == []


@pytest.mark.parametrize("temperature", [None, 0])
async def test_a_hit_says_where_no_temperature_was_asked_for(suite, temperature):
    asked = {} if temperature is None else {"temperature": temperature}
    for _ in range(2):
        answered = await suite.ask(**asked)
    assert answered.header["x-penstock-cache"].startswith("hit; tier=exact")
    assert ("temperature=unset" in answered.header["x-penstock-cache"]) is (temperature is None)


async def test_an_unset_temperature_may_pass_the_cache_by(serve, document, upstream):
    document["cache"]["unset_temperature"] = "bypass"
    suite = await serve()
    for _ in range(2):
        assert (await suite.ask()).header["x-penstock-cache"] == "bypass; reason=temperature"
    assert [(await suite.ask(temperature=0)).header["x-penstock-cache"][:4] for _ in range(2)] == ["miss", "hit;"]
    assert len(upstream.requests) == 3


async def test_a_kept_answer_is_streamed_at_its_pace_and_given_whole_at_once(
    serve, document, upstream, until_kept, monkeypatch
):
    document["cache"]["replay_pace"] = 100
    suite = await serve()
    text = "".join(f"word {number}, " for number in range(12))
    upstream.otherwise = lambda _: Answer(tokens=[text])
    await suite.ask()
    await until_kept(1)
    again = await suite.ask(stream=True)
    pieces = [
        choice["delta"]["content"]
        for chunk in again.chunks
        for choice in chunk["choices"]
        if choice["delta"].get("content")
    ]
    assert again.header["x-penstock-cache"] == HIT
    assert "".join(pieces) == text
    assert len(pieces) == -(-len(text) // 20), "pieces of 5 tokens of 4 characters, 20 a second"
    assert len(upstream.requests) == 1
