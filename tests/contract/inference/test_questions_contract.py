"""Rerank and moderation of the inference service, over both transports, against servers on real sockets."""

import asyncio
import json
import math
from contextlib import asynccontextmanager

import pytest

from penstock_common import errors
from penstock_common.contract.questions import (
    ModeratedContent,
    ModeratedImage,
    ModeratedText,
    ModerateRequest,
    RankedDocument,
    RerankRequest,
    VerdictCategory,
)
from penstock_common.contract.wire.questions import MODERATE, RERANK
from penstock_common.llm.types import Candidate, Plan, UnitPrices
from penstock_common.testing.plain_upstream import PlainUpstream, answering
from penstock_common.testing.transports import channel_to
from penstock_inference.app import build
from penstock_inference.settings import Settings

DOCUMENTS = ("a rose", "a car", "a tulip")


@pytest.fixture
async def upstreams():
    async with PlainUpstream() as one, PlainUpstream() as other:
        yield one, other


def entry(name, upstream, **more):
    model = {"name": "r", "context_window": 8192, "capabilities": ["rerank", "moderation"], "price": {"input": 1}}
    return {
        "name": name, "provider": "openai_compatible", "base_url": f"{upstream.url}/v1", "api_key": "sk-upstream-key-1",
        "models": [{**model, **more.pop("model", {})}], **more,
    }  # fmt: skip


@asynccontextmanager
async def asked(transport, *entries):
    settings = Settings.model_validate({"upstreams": list(entries)})
    async with build(settings) as service, channel_to(service, transport) as channel:
        yield channel


def plan(*names):
    return Plan(tuple(Candidate(name, "r") for name in names))


def results(*pairs, **more):
    return answering({"results": [{"index": index, "relevance_score": score} for index, score in pairs], **more})


async def test_the_best_come_first_with_what_they_cost(transport, upstreams):
    upstream, _ = upstreams
    upstream.answers.append(results((0, 0.1), (1, 0.5), (2, 0.1), usage={"total_tokens": 40}))
    steps = []
    async with asked(transport, entry("one", upstream)) as channel:
        request = RerankRequest("a vehicle", DOCUMENTS, plan("one"), top_n=2)
        answer = await channel.call(RERANK, request, steps=steps)
    assert answer.ranked == (RankedDocument(1, 0.5), RankedDocument(0, 0.1))
    assert (answer.answered.input_tokens, answer.answered.is_estimated) == (40, False)
    assert answer.answered.cost_nano_usd == 40_000
    assert str(answer.answered.answered_by) == "one/r"
    (sent,) = upstream.requests
    assert sent.json == {
        "model": "r", "query": "a vehicle", "documents": list(DOCUMENTS), "top_n": 2, "return_documents": False,
    }  # fmt: skip
    assert (sent.target, sent.headers["authorization"]) == ("/v1/rerank", "Bearer sk-upstream-key-1")
    assert [step.attributes["outcome"] for step in steps] == ["answered"]


@pytest.mark.parametrize(
    ("form", "sent", "told", "billed"),
    [
        (
            "cohere",
            {"top_n": 3, "max_tokens_per_doc": 9},
            {"meta": {"billed_units": {"search_units": 2}}},
            2 * 2_000_000,
        ),
        ("voyage", {"top_k": 3}, {"usage": {"total_tokens": 7}}, 7_000),
    ],
)
async def test_each_format_is_asked_in_its_own_words(transport, upstreams, form, sent, told, billed):
    upstream, _ = upstreams
    scored = [
        {"index": 2, "relevance_score": 1},
        {"index": 0, "relevance_score": 0.25},
        {"index": 1, "relevance_score": 0},
    ]
    upstream.answers.append(answering({"data" if form == "voyage" else "results": scored, **told}))
    model = {"search_price": 2, "price": None} if form == "cohere" else {}
    async with asked(transport, entry("one", upstream, rerank=form, model=model)) as channel:
        request = RerankRequest("q", DOCUMENTS, plan("one"), top_n=9, max_tokens_per_document=9)
        answer = await channel.call(RERANK, request)
    assert [one.index for one in answer.ranked] == [2, 0, 1]
    assert answer.answered.cost_nano_usd == billed
    body = upstream.requests[0].json
    assert {name: body[name] for name in body if name not in ("model", "query", "documents")} == sent


async def test_text_embeddings_inference_counts_nothing_so_tokens_are_estimated(transport, upstreams):
    upstream, _ = upstreams
    upstream.answers.append(
        answering([{"index": 1, "score": 0.9}, {"index": 0, "score": 0.2}, {"index": 2, "score": 0.1}])
    )
    async with asked(transport, entry("one", upstream, rerank="tei", base_url=upstream.url)) as channel:
        answer = await channel.call(RERANK, RerankRequest("q", DOCUMENTS, plan("one")))
    assert answer.answered.is_estimated
    assert answer.answered.input_tokens > 0
    assert upstream.requests[0].target == "/rerank"
    assert upstream.requests[0].json == {"query": "q", "texts": list(DOCUMENTS), "truncate": True}


@pytest.mark.parametrize(
    "scored",
    [
        [(0, 0.1), (1, 0.2), (3, 0.3)], [(0, 0.1), (0, 0.2), (1, 0.3)], [(0, 0.1)], [(-1, 0.1), (0, 0), (1, 0)],
        [(0, math.inf), (1, 0), (2, 0)],
    ],
)  # fmt: skip
async def test_a_ranking_that_cannot_be_true_is_no_answer(transport, upstreams, scored):
    one, other = upstreams
    body = {"results": [{"index": index, "relevance_score": score} for index, score in scored]}
    one.usual = answering(json.dumps(body).replace("Infinity", "1e999").encode())
    other.usual = results((0, 1), (1, 2), (2, 3))
    async with asked(transport, entry("one", one), entry("other", other)) as channel:
        answer = await channel.call(RERANK, RerankRequest("q", DOCUMENTS, plan("one", "other")))
        assert str(answer.answered.answered_by) == "other/r"
        assert answer.answered.attempts == 2
        with pytest.raises(errors.UpstreamFailed):
            await channel.call(RERANK, RerankRequest("q", DOCUMENTS, plan("one")))


async def test_a_document_that_is_ranked_twice_is_no_answer_though_enough_are_there(transport, upstreams):
    upstream, _ = upstreams
    upstream.usual = results((0, 0.1), (0, 0.2), (1, 0.3))
    async with asked(transport, entry("one", upstream)) as channel:
        with pytest.raises(errors.UpstreamFailed):
            await channel.call(RERANK, RerankRequest("q", DOCUMENTS, plan("one"), top_n=2))


async def test_who_fails_for_a_moment_is_asked_once_more_and_then_the_next(transport, upstreams):
    one, other = upstreams
    broken = answering({"error": {"message": "down"}}, "503 Service Unavailable")
    one.answers.extend([broken, results((0, 1), (1, 2), (2, 3))])
    steps = []
    async with asked(transport, entry("one", one), entry("other", other)) as channel:
        request = RerankRequest("q", DOCUMENTS, plan("one", "other"))
        answer = await channel.call(RERANK, request, steps=steps)
        assert (str(answer.answered.answered_by), answer.answered.attempts) == ("one/r", 2)
        assert [step.attributes["outcome"] for step in steps] == ["server_error", "answered"]
        one.answers.extend([broken, broken])
        other.usual = results((0, 1), (1, 2), (2, 3))
        answer = await channel.call(RERANK, request)
        assert (str(answer.answered.answered_by), answer.answered.attempts) == ("other/r", 3)


async def test_a_request_at_fault_is_told_so_and_our_key_is_not(transport, upstreams):
    upstream, _ = upstreams
    upstream.usual = answering({"error": {"message": "bad: sk-upstream-key-1"}}, "400 Bad Request")
    async with asked(transport, entry("one", upstream)) as channel:
        with pytest.raises(errors.InvalidRequest) as refused:
            await channel.call(RERANK, RerankRequest("q", DOCUMENTS, plan("one")))
    assert "sk-upstream" not in str(refused.value)
    assert len(upstream.requests) == 1


async def test_a_rate_limit_tells_when_to_come_again(transport, upstreams):
    upstream, _ = upstreams
    upstream.usual = answering({}, "429 Too Many Requests", "Retry-After: 30\r\n")
    async with asked(transport, entry("one", upstream)) as channel:
        with pytest.raises(errors.RateLimited) as refused:
            await channel.call(RERANK, RerankRequest("q", DOCUMENTS, plan("one")))
    assert refused.value.retry_after.total_seconds() == 30


async def test_who_leaves_ends_the_upstreams_work(transport, upstreams):
    upstream, _ = upstreams
    came = asyncio.Event()

    async def never(request):
        came.set()
        await request.gone()

    upstream.usual = never
    async with asked(transport, entry("one", upstream)) as channel:
        asking = asyncio.ensure_future(channel.call(RERANK, RerankRequest("q", DOCUMENTS, plan("one"))))
        await asyncio.wait_for(came.wait(), 30)
        asking.cancel()
        await asyncio.wait_for(upstream.requests[0].left.wait(), 30)


async def test_a_silent_upstream_gives_way_to_the_next(transport, upstreams):
    one, other = upstreams

    async def never(request):
        await request.gone()

    one.usual, other.usual = never, results((0, 1), (1, 2), (2, 3))
    first = entry("one", one, timeouts={"whole": "200ms"})
    async with asked(transport, first, entry("other", other)) as channel:
        answer = await channel.call(RERANK, RerankRequest("q", DOCUMENTS, plan("one", "other")))
    assert str(answer.answered.answered_by) == "other/r"


VERDICT = {
    "flagged": True,
    "categories": {"violence": True, "self-harm/intent": False, "new/word": False, "odd": None},
    "category_scores": {"violence": 0.75, "self-harm/intent": 1e-7, "new/word": 0.0, "odd": None},
    "category_applied_input_types": {"violence": ["text", "image"], "self-harm/intent": []},
}


async def test_each_text_has_its_verdict_in_one_request(transport, upstreams):
    upstream, _ = upstreams
    upstream.usual = answering({"id": "modr-1", "model": "omni-1", "results": [{"flagged": False}, VERDICT]})
    contents = tuple(ModeratedContent((ModeratedText(text),)) for text in ("a", "b"))
    async with asked(transport, entry("one", upstream)) as channel:
        answer = await channel.call(MODERATE, ModerateRequest(contents, plan("one")))
    assert [verdict.flagged for verdict in answer.verdicts] == [False, True]
    assert answer.verdicts[1].categories == (
        VerdictCategory("violence", True, 0.75, ("text", "image")),
        VerdictCategory("self-harm/intent", False, 1e-7),
        VerdictCategory("new/word", False, 0.0),
        VerdictCategory("odd", False, 0.0),
    )
    assert answer.model == "omni-1"
    assert upstream.requests[0].json == {"model": "r", "input": ["a", "b"]}
    assert upstream.requests[0].target == "/v1/moderations"


async def test_parts_are_judged_together(transport, upstreams):
    upstream, _ = upstreams
    upstream.usual = answering({"results": [VERDICT]})
    parts = (ModeratedText("look"), ModeratedImage("https://example.com/a.png"))
    async with asked(transport, entry("one", upstream)) as channel:
        answer = await channel.call(MODERATE, ModerateRequest((ModeratedContent(parts, is_parts=True),), plan("one")))
    assert len(answer.verdicts) == 1
    assert upstream.requests[0].json["input"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]


async def test_another_number_of_verdicts_is_no_answer(transport, upstreams):
    upstream, _ = upstreams
    upstream.usual = answering({"results": [VERDICT]})
    contents = tuple(ModeratedContent((ModeratedText(text),)) for text in ("a", "b"))
    async with asked(transport, entry("one", upstream)) as channel:
        with pytest.raises(errors.UpstreamFailed):
            await channel.call(MODERATE, ModerateRequest(contents, plan("one")))


async def test_a_price_that_nobody_knows_stays_unknown(transport, upstreams):
    upstream, _ = upstreams
    upstream.usual = results((0, 1), (1, 2), (2, 3))
    async with asked(transport, entry("one", upstream, model={"price": None})) as channel:
        answer = await channel.call(RERANK, RerankRequest("q", DOCUMENTS, plan("one")))
    assert answer.answered.unit_prices == UnitPrices(is_unknown=True)
