"""FeedbackService on sockets: what is kept of whom, who may see it, and what it leads to."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import grpc
import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from administrator import Administrator, refused  # noqa: E402
from cache_in_memory import CacheInMemory  # noqa: E402
from test_admin_rest import call, running_edge  # noqa: E402

import penstock_cache.app  # noqa: E402
from penstock.gateway.v1 import admin_service_pb2, cached_entry_pb2  # noqa: E402
from penstock.gateway.v1 import feedback_service_pb2 as pb  # noqa: E402
from penstock.gateway.v1.feedback_service_pb2_grpc import FeedbackServiceStub  # noqa: E402
from penstock_common.errors import ServiceUnavailable  # noqa: E402
from penstock_common.llm.types import Candidate  # noqa: E402
from penstock_common.testing.ports import free_port  # noqa: E402
from penstock_router.domain.routing import Router  # noqa: E402

Code = grpc.StatusCode
UP, DOWN = pb.Feedback.THUMB_UP, pb.Feedback.THUMB_DOWN
By = pb.SummarizeFeedbackRequest
NEVER_MADE = "chatcmpl-" + "0" * 24


class Judge:
    """A caller of FeedbackService with a key; ``judge.Give(generation_id="x")`` returns the response or raises."""

    def __init__(self, suite, key, **head):
        self._stub = FeedbackServiceStub(suite.channel)
        self._metadata = (("authorization", f"Bearer {key}"), *head.items())

    def __getattr__(self, name):
        request_type = getattr(pb, f"{name}FeedbackRequest")

        async def call(*, metadata=(), **fields):
            method = getattr(self._stub, f"{name}Feedback")
            return await method(request_type(**fields), metadata=(*self._metadata, *metadata), timeout=30)

        return call

    async def give(self, answer, **fields):
        return (await self.Give(generation_id=answer, **fields)).feedback

    async def all(self, **fields):
        return list((await self.List(with_content=True, **fields)).feedback)

    async def summaries(self, *by, **fields):
        return list((await self.Summarize(by=by, **fields)).summaries)


@pytest.fixture
def demo(suite):
    return Judge(suite, suite.KEY)


@pytest.fixture
def operator(suite):
    return Judge(suite, suite.OPERATOR_KEY)


async def answer(suite, text="Hi", **more):
    """Return the id of an answer, as its caller has it."""
    return (await suite.ask(text, **more)).json["id"]


# What is kept


async def test_what_is_said_of_an_answer_is_kept_with_what_the_ledger_knows_of_it(suite, demo, operator):
    answer_id = await answer(suite)
    assert answer_id.startswith("chatcmpl-")
    kept = await demo.give(
        answer_id,
        thumb=DOWN,
        score=0.25,
        correction="Forty-two.",
        reason=pb.Feedback.REASON_WRONG,
        comment="It is not so.",
        user="ada",
        tags={"page": "help"},
    )
    assert (kept.tenant, kept.generation_id) == ("demo", answer_id.removeprefix("chatcmpl-"))
    assert (kept.model, kept.upstream, kept.upstream_model) == ("fast", "first", "m1")
    assert abs(kept.created_at.ToDatetime(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=5)
    (listed,) = await operator.all(tenant="demo")
    assert listed == kept
    assert (listed.score, listed.correction, listed.comment) == (0.25, "Forty-two.", "It is not so.")
    assert (listed.user, dict(listed.tags), listed.key_id) == ("ada", {"page": "help"}, "config-demo-1")


@pytest.mark.parametrize("form", ["whole", "bare", "request"])
async def test_an_answer_is_known_by_its_id_and_by_its_request_s(suite, demo, form):
    answered = await suite.ask(headers={"x-request-id": "my-request"})
    named = {
        "whole": answered.json["id"],
        "bare": answered.json["id"].removeprefix("chatcmpl-"),
        "request": "my-request",
    }
    if form == "request":
        # Not of our own form, so nobody waits for it.
        while not await is_written(demo, answered.json["id"]):
            await asyncio.sleep(0)
    kept = await demo.give(named[form], thumb=UP)
    assert kept.generation_id == named["bare"]


async def is_written(judge, answer_id):
    return bool((await judge.give(answer_id, comment="there")).generation_id)


async def test_an_answer_s_last_token_is_enough_to_judge_it_by(suite, demo):
    for _ in range(20):
        assert (await demo.give(await answer(suite), thumb=UP)).thumb == UP


async def test_an_answer_that_never_was_is_not_found_and_said_how_to_name_one(serve, document):
    document["feedback"] = {"patience": "20ms"}
    suite = await serve()
    demo = Judge(suite, suite.KEY)
    for named in (NEVER_MADE, "0" * 24, "", "a b", "x" * 200, "chatcmpl-", "\N{SNOWMAN}"):
        code, reason, error = await refused(demo.give(named, thumb=UP))
        assert (code, reason) == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")
        assert "x-request-id" in error.details()


async def test_an_answer_of_another_tenant_is_not_found_and_its_feedback_not_seen(suite, demo, operator):
    answer_id = await answer(suite)
    code, reason, _ = await refused(Judge(suite, suite.OTHER_KEY).give(answer_id, thumb=UP))
    assert (code, reason) == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")
    code, _, _ = await refused(Judge(suite, suite.OTHER_KEY).give(answer_id, thumb=UP, tenant="demo"))
    assert code is Code.PERMISSION_DENIED
    await demo.give(answer_id, thumb=UP)
    other = await administrator_of(suite, "other")
    assert await other.all() == []
    assert (await refused(other.all(tenant="demo")))[0] is Code.PERMISSION_DENIED
    assert (await refused(other.Delete(tenant="demo", everything=True)))[0] is Code.PERMISSION_DENIED
    assert len(await operator.all()) == 1


async def administrator_of(suite, tenant, **more):
    asked = Administrator(suite.channel, suite.OPERATOR_KEY)
    created = await asked.CreateKey(tenant=tenant, scopes=[admin_service_pb2.KEY_SCOPE_ADMIN], **more)
    return Judge(suite, created.secret)


async def test_a_key_that_names_models_judges_and_sees_those_alone(suite, demo):
    of_fast, of_safe = await answer(suite), await answer(suite, model="safe")
    narrow = await administrator_of(suite, "demo", models=["safe"])
    await demo.give(of_fast, thumb=UP)
    await narrow.give(of_safe, thumb=UP)
    assert (await refused(narrow.give(of_fast, thumb=UP)))[0] is Code.NOT_FOUND
    assert [one.model for one in await narrow.all()] == ["safe"]
    assert [one.model for one in await narrow.summaries(By.DIMENSION_MODEL)] == ["safe"]
    assert (await refused(narrow.all(model="fast")))[0] is Code.PERMISSION_DENIED
    assert (await refused(narrow.Delete(everything=True)))[0] is Code.PERMISSION_DENIED


REFUSED = [
    ({}, "thumb"),
    ({"user": "ada", "tags": {"a": "b"}}, "thumb"),
    ({"score": 1.01}, "score"),
    ({"score": -0.1}, "score"),
    ({"score": float("nan")}, "score"),
    ({"correction": "a" * 17}, "correction"),
    ({"correction": "a\x00"}, "correction"),
    ({"comment": "a" * 1025}, "comment"),
    ({"thumb": UP, "user": "a" * 257}, "user"),
    ({"thumb": UP, "tags": {f"{number}": "a" for number in range(17)}}, "tags"),
    ({"thumb": 9}, "thumb"),
    ({"reason": 99}, "reason"),
    ({"thumb": UP, "idempotency_key": "a" * 129}, "idempotency_key"),
    ({"thumb": UP, "idempotency_key": "a\n"}, "idempotency_key"),
]


async def test_what_says_nothing_or_too_much_is_refused_with_its_field(serve, document):
    document["feedback"] = {"max_correction_characters": 16}
    suite = await serve()
    for said, field in REFUSED:
        code, reason, error = await refused(Judge(suite, suite.KEY).give(NEVER_MADE, **said))
        assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert field in error.details()


# Sent again, and said again


@pytest.mark.parametrize("way", ["field", "header"])
async def test_what_is_sent_again_is_kept_once_and_other_words_are_refused(suite, demo, operator, way):
    answer_id = await answer(suite)
    key = {"idempotency_key": "k1"} if way == "field" else {"metadata": (("idempotency-key", "k1"),)}
    first = (await demo.Give(generation_id=answer_id, thumb=UP, **key)).feedback
    assert (await demo.Give(generation_id=answer_id, thumb=UP, **key)).feedback == first
    code, reason, _ = await refused(demo.Give(generation_id=answer_id, thumb=DOWN, **key))
    assert (code, reason) == (Code.ALREADY_EXISTS, "RESOURCE_EXISTS")
    assert len(await operator.all()) == 1


async def test_what_is_sent_several_times_at_once_is_kept_once(suite, demo, operator):
    answer_id = await answer(suite)
    given = await asyncio.gather(*[demo.give(answer_id, thumb=UP, idempotency_key="k1") for _ in range(8)])
    assert len({one.id for one in given}) == 1
    assert len(await operator.all()) == 1


async def test_an_idempotency_key_is_one_alone(suite, demo):
    head = (("idempotency-key", "k1"),)
    code, _, error = await refused(demo.Give(generation_id=NEVER_MADE, thumb=UP, idempotency_key="k2", metadata=head))
    assert (code, "differ" in error.details()) == (Code.INVALID_ARGUMENT, True)


async def test_an_author_s_last_word_counts_and_nothing_is_overwritten(suite, demo, operator):
    answer_id = await answer(suite)
    await demo.give(answer_id, thumb=UP, user="ada")
    await demo.give(answer_id, thumb=DOWN, user="ada")
    added = await demo.give(answer_id, correction="Forty-two.", user="ada")
    await demo.give(answer_id, thumb=UP, user="grace")
    assert (added.thumb, added.correction) == (DOWN, "Forty-two.")
    assert [one.thumb for one in await operator.all()] == [UP, DOWN, DOWN, UP]
    (told,) = await operator.summaries()
    assert (told.judgements, told.thumbs_up, told.thumbs_down, told.corrections) == (2, 1, 1, 1)
    assert told.up_ratio.value == told.mean_score.value == 0.5
    assert told.up_ratio.low == pytest.approx(0.0945, abs=1e-4)
    assert told.up_ratio.high == pytest.approx(0.9055, abs=1e-4)


# Limits


async def test_a_key_gives_so_much_a_minute_and_another_key_is_not_held_up(serve, document):
    document["feedback"] = {"per_minute": 2}
    suite = await serve()
    demo, answer_id = Judge(suite, suite.KEY), await answer(suite)
    for _ in range(2):
        await demo.give(answer_id, thumb=UP)
    code, reason, error = await refused(demo.give(answer_id, thumb=UP))
    assert (code, reason) == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert "2 times a minute" in error.details()
    await (await administrator_of(suite, "demo")).give(answer_id, thumb=UP)


async def test_an_answer_has_so_much_feedback_and_no_more(serve, document):
    document["feedback"] = {"per_answer": 2}
    suite = await serve()
    demo, answer_id = Judge(suite, suite.KEY), await answer(suite)
    for user in ("ada", "grace"):
        await demo.give(answer_id, thumb=UP, user=user)
    code, _, error = await refused(demo.give(answer_id, thumb=UP, user="edsger"))
    assert (code, "the most" in error.details()) == (Code.INVALID_ARGUMENT, True)


# Looking, and erasing


async def test_feedback_is_listed_by_page_and_by_what_it_is_of(suite, demo, operator):
    of_fast, of_safe = await answer(suite), await answer(suite, model="safe")
    for number in range(5):
        await demo.give(of_fast, thumb=UP, user=f"u{number}")
    await demo.give(of_safe, thumb=DOWN, user="u1")
    page = await operator.List(tenant="demo", page_size=4)
    rest = await operator.List(tenant="demo", page_size=4, page_token=page.next_page_token)
    assert [one.user for one in (*page.feedback, *rest.feedback)] == ["u1", "u4", "u3", "u2", "u1", "u0"]
    assert rest.next_page_token == ""
    assert len(await operator.all(user="u1")) == 2
    assert len(await operator.all(model="safe")) == 1
    assert len(await operator.all(thumb=UP)) == 5
    assert len(await operator.all(generation_id=of_safe.removeprefix("chatcmpl-"))) == 1
    assert len(await operator.all(generation_id=of_safe)) == 1
    for wrong in ({"page_token": "?"}, {"generation_id": "a\x00"}, {"user": "a\x00"}, {"thumb": 7}):
        assert (await refused(operator.List(**wrong)))[0] is Code.INVALID_ARGUMENT
    assert (await refused(demo.List()))[:2] == (Code.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_content_is_shown_where_it_is_asked_for_and_that_is_in_the_audit_log(suite, demo, operator):
    await demo.give(await answer(suite), correction="Forty-two.", comment="No.")
    (without,) = (await operator.List(tenant="demo")).feedback
    assert (without.correction, without.comment) == ("", "")
    entries = (await Administrator(suite.channel, suite.OPERATOR_KEY).ListAuditEntries()).entries
    assert [entry.action for entry in entries] == []
    await operator.all(tenant="demo")
    entries = (await Administrator(suite.channel, suite.OPERATOR_KEY).ListAuditEntries(tenant="demo")).entries
    assert [entry.action for entry in entries] == ["feedback.list"]


async def test_a_summary_has_a_line_for_each_group_those_with_the_most_first(suite, demo, operator):
    of_fast, of_safe = await answer(suite), await answer(suite, model="safe")
    await demo.give(of_safe, score=0.5)
    await demo.give(of_fast, thumb=UP, user="ada")
    await demo.give(of_fast, thumb=DOWN, user="grace", reason=pb.Feedback.REASON_STYLE)
    today = datetime.now(UTC).date().isoformat()
    lines = await operator.summaries(By.DIMENSION_MODEL, By.DIMENSION_UPSTREAM, By.DIMENSION_DAY)
    assert [(one.model, one.upstream, one.upstream_model, one.judgements) for one in lines] == [
        ("fast", "first", "m1", 2),
        ("safe", "first", "m1", 1),
    ]
    assert all(one.day <= today for one in lines)
    assert (lines[0].scored, dict(lines[0].reasons)) == (2, {"style": 1})
    assert (lines[1].mean_score.value, lines[1].HasField("up_ratio")) == (0.5, False)
    (of_one,) = await operator.summaries(model="safe")
    assert (of_one.judgements, of_one.model) == (1, "")
    assert [(one.task, one.prompt) for one in await operator.summaries(By.DIMENSION_TASK, By.DIMENSION_PROMPT)] == [
        ("", "")
    ]


async def test_a_summary_of_another_time_is_empty_and_of_no_time_is_refused(suite, demo, operator):
    await demo.give(await answer(suite), thumb=UP)
    now = datetime.now(UTC)
    assert len(await operator.summaries(since=now - timedelta(hours=1), until=now + timedelta(hours=1))) == 1
    assert await operator.summaries(since=now + timedelta(hours=1)) == []
    assert await operator.summaries(until=now - timedelta(hours=1)) == []
    code, _, _ = await refused(operator.summaries(since=now, until=now))
    assert code is Code.INVALID_ARGUMENT
    assert (await refused(operator.Summarize(by=[77])))[0] is Code.INVALID_ARGUMENT


async def test_what_a_user_said_is_erased_and_so_is_all_of_a_tenant_s(suite, demo, operator):
    answer_id = await answer(suite)
    for user in ("ada", "ada", "grace", "edsger"):
        await demo.give(answer_id, thumb=UP, user=user)
    assert (await operator.Delete(tenant="demo", user="ada")).deleted == 2
    assert [one.user for one in await operator.all()] == ["edsger", "grace"]
    for nothing in ({}, {"user": "ada", "everything": True}):
        assert (await refused(operator.Delete(tenant="demo", **nothing)))[0] is Code.INVALID_ARGUMENT
    assert (await refused(operator.Delete(everything=True)))[0] is Code.INVALID_ARGUMENT
    assert (await refused(demo.Delete(everything=True)))[0] is Code.PERMISSION_DENIED
    mine = await administrator_of(suite, "demo")
    assert (await mine.Delete(everything=True)).deleted == 2
    entries = (await Administrator(suite.channel, suite.OPERATOR_KEY).ListAuditEntries(tenant="demo")).entries
    assert ("feedback.delete", "ada", "ok") in [(entry.action, entry.target, entry.outcome) for entry in entries]


# What it leads to


class CacheByMeaning(CacheInMemory):
    """One whose hits say which entry they are of, and which may be away."""

    is_away = False

    async def lookup(self, request, call):
        found = await super().lookup(request, call)
        if found.hit is None:
            return found
        of_it = (key for key, kept in self.kept.items() if kept[3].events == found.hit.events)
        hit = msgspec.structs.replace(found.hit, entry_id=next(of_it), by_meaning=True)
        return msgspec.structs.replace(found, hit=hit)

    async def dispute(self, dispute, call):
        if self.is_away:
            raise ServiceUnavailable("It is away.", service="cache")
        return await super().dispute(dispute, call)


@pytest.fixture
async def cached(monkeypatch, serve, document):
    """A suite whose cache gives an imported answer, and its administrator."""
    cache = CacheByMeaning()
    monkeypatch.setattr(penstock_cache.app, "build", cache.build)
    document["telemetry"] = {"metrics_listen": f"127.0.0.1:{free_port()}"}
    suite = await serve()
    suite.cache, suite.metrics = cache, document["telemetry"]["metrics_listen"]
    suite.admin = Administrator(suite.channel, suite.OPERATOR_KEY)
    await put_in(suite)
    return suite


async def put_in(suite):
    row = cached_entry_pb2.CacheImportRow(question="How?", answer="So.", model="fast")
    await suite.admin.ImportCacheEntries(rows=[row], tenant="demo")


async def hit(suite):
    """Return an answer that the cache has given."""
    answered = await suite.ask("How?")
    assert answered.header["x-penstock-cache"].startswith("hit; tier=semantic")
    return answered.json["id"]


async def test_a_thumb_down_on_a_hit_disputes_its_entry_once_for_each_author(cached):
    demo = Judge(cached, cached.KEY)
    kept = await demo.give(await hit(cached), thumb=DOWN, user="ada")
    assert kept.disputed_entry
    assert (await cached.ask("How?")).header["x-penstock-cache"] == "miss"
    await put_in(cached)
    again = await demo.give(await hit(cached), thumb=DOWN, user="ada")
    assert again.disputed_entry == ""
    assert (await demo.give(await hit(cached), thumb=DOWN, user="grace")).disputed_entry


HARMLESS = [
    {"thumb": UP},
    {"score": 0.0},
    {"correction": "Otherwise.", "user": "grace"},
    {"thumb": DOWN, "reason": pb.Feedback.REASON_STYLE},
    {"thumb": DOWN, "reason": pb.Feedback.REASON_TOO_SLOW},
]


async def test_whatever_else_is_said_disputes_nothing_and_no_correction_is_ever_given(cached):
    for said in HARMLESS:
        assert (await Judge(cached, cached.KEY).give(await hit(cached), **said)).disputed_entry == ""
    answered = await cached.ask("How?")
    assert answered.header["x-penstock-cache"].startswith("hit; ")
    assert answered.json["choices"][0]["message"]["content"] == "So."


async def test_who_runs_the_gateway_may_have_feedback_dispute_nothing(cached, document, serve):
    document["feedback"] = {"disputes_cache": False}
    document["cache"] = {**document["cache"], "single_flight": False}
    answer_id = await hit(cached)
    await cached.stack.aclose()
    suite = await serve()
    assert (await Judge(suite, suite.KEY).give(answer_id, thumb=DOWN)).disputed_entry == ""


async def test_a_judgement_counts_though_the_cache_does_not_answer(cached, monkeypatch):
    answer_id = await hit(cached)
    cached.cache.is_away = True
    kept = await Judge(cached, cached.KEY).give(answer_id, thumb=DOWN)
    assert (kept.thumb, kept.disputed_entry) == (DOWN, "")


async def test_routers_hear_what_feedback_says_of_candidates(serve, document, monkeypatch):
    heard = asyncio.Queue()
    monkeypatch.setattr(Router, "hear_quality", lambda _, qualities: heard.put_nowait(dict(qualities)))
    document["feedback"], document["router"] = {"quality_every": "20ms"}, {"quality_every": "20ms"}
    suite = await serve()
    demo, answer_id = Judge(suite, suite.KEY), await answer(suite)
    await demo.give(answer_id, score=0.75)
    while not (told := await heard.get()):
        pass
    assert told == {(Candidate(upstream="first", model="m1"), ""): (0.75, 1.0)}


async def test_what_is_given_and_disputed_is_counted(cached):
    demo = Judge(cached, cached.KEY)
    await demo.give(await hit(cached), thumb=DOWN, reason=pb.Feedback.REASON_WRONG)
    await demo.give(await answer(cached), comment="Well.")
    await demo.give(await answer(cached), score=1)
    async with aiohttp.ClientSession() as http, http.get(f"http://{cached.metrics}/metrics") as response:
        lines = (await response.text()).splitlines()
    assert {line for line in lines if line.startswith("penstock_feedback") and "_created" not in line} == {
        'penstock_feedback_total{kind="down",reason="wrong"} 1.0',
        'penstock_feedback_total{kind="words",reason=""} 1.0',
        'penstock_feedback_total{kind="score",reason=""} 1.0',
        'penstock_feedback_disputes_total{outcome="removed"} 1.0',
    }


# Over REST


async def test_over_rest_an_openai_key_gives_feedback_and_an_operator_s_sees_it(suite):
    answer_id = await answer(suite)
    async with running_edge(suite) as edge:
        said = {"generation_id": answer_id, "thumb": "THUMB_DOWN", "reason": "REASON_WRONG", "score": 0.5}
        head = {"idempotency-key": "k1"}
        for _ in range(2):
            status, told = await call(edge, "POST", "/api/v1/feedback", suite.KEY, said, head)
            assert (status, told["feedback"]["thumb"]) == (200, "THUMB_DOWN")
        status, told = await call(edge, "GET", "/api/v1/feedback?tenant=demo", suite.OPERATOR_KEY)
        assert (status, len(told["feedback"]), told["feedback"][0]["score"]) == (200, 1, 0.5)
        path = "/api/v1/feedback:summarize?by=DIMENSION_MODEL&by=DIMENSION_DAY&tenant=demo"
        status, told = await call(edge, "GET", path, suite.OPERATOR_KEY)
        assert (status, told["summaries"][0]["model"], told["summaries"][0]["thumbs_down"]) == (200, "fast", "1")
        status, told = await call(edge, "POST", "/api/v1/feedback", suite.KEY, {**said, "generation_id": "none"})
        assert status == 404
        status, told = await call(
            edge, "POST", "/api/v1/feedback:delete", suite.OPERATOR_KEY, {"tenant": "demo", "everything": True}
        )
        assert (status, told["deleted"]) == (200, "1")
