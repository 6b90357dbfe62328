"""What was found is part of what a request is, in every tier; matched by meaning is the question alone."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from penstock_common.contract.cache import LookupResponse
from penstock_common.contract.knowledge import HitScores, SearchedIndex, SearchOptions, SearchResult
from penstock_common.contract.knowledge_calls import SearchResponse
from penstock_common.errors import DeadlineExceeded, NothingRelevant, ServiceUnavailable, UnsupportedParameter
from penstock_common.llm.types import GenerationInput, Message, Plan, RequestContext, Role, Text
from penstock_common.telemetry.steps import Steps
from penstock_common.telemetry.trace_context import TraceContext
from penstock_gateway.domain.access.identity import Caller, KeyScope, Tenant, Tier
from penstock_gateway.domain.knowledge_use.use import KnowledgeUse
from penstock_gateway.domain.life.caching import CacheVisit
from penstock_gateway.domain.life.door import Capacity, Door
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.life.refusals import Refusals
from penstock_gateway.domain.life.retrieval import Retrieval

from .test_passages import hit

QUESTION = "What does a kennel cost on Ferry South?"
PLAN = Plan(candidates=(), reason="", route_digest=b"r")
SEARCHED = SearchedIndex(knowledge_base="docs", version=1, model="m", model_revision="r", generation=7)


class Found:
    """Finds what it was made with, or raises it."""

    def __init__(self, *hits, searched=SEARCHED, fails=None):
        self.result = SearchResult(hits=hits, searched=(searched,))
        self.fails = fails
        self.asked = []

    async def search(self, request, steps):
        self.asked.append(request)
        if self.fails is not None:
            raise self.fails
        return SearchResponse(self.result)


class Kept:
    """A cache that remembers what it is asked."""

    async def look_up(self, request, steps):
        self.probe = request.probe
        return LookupResponse(generation="g")


def call_of(*labels, text=QUESTION, user="", **knowledge):
    tenant = Tenant("demo", Tier("t"))
    caller = Caller(tenant, "key-1", frozenset({KeyScope.INFERENCE}), labels=frozenset(labels))
    place = Door(Capacity(), Refusals(600)).enter(caller)
    asked = GenerationInput(model="m", messages=(Message(role=Role.USER, parts=(Text(text=text),)),))
    order = ChatOrder(
        request_id="r", generation_id="g", surface="grpc", tenant="demo", key_id="key-1", timeout=msgspec.UNSET,
        input=asked, context=RequestContext(user=user), knowledge=KnowledgeUse(bases=("docs",), **knowledge),
    )  # fmt: skip
    return Call(order, caller, place, TraceContext("0" * 32, "0" * 16, "", False), Steps(), 0)


async def probe_of(found, *labels, **asked):
    call = call_of(*labels, **asked)
    grounds = await Retrieval({}, found).grounds(call.order.input, call)
    kept = Kept()
    visit = CacheVisit(call, kept, by_meaning=True)
    visit.grounds = grounds
    await visit.look_up(grounds.effective, PLAN)
    return kept.probe


async def test_each_tier_tells_apart_what_was_found_by_whom_and_in_which_version():
    one, changed = hit("A kennel costs 12 EUR."), hit("A kennel costs 15 EUR.")
    second = msgspec.structs.replace(SEARCHED, version=2)
    probes = [
        await probe_of(Found(one)),
        await probe_of(Found(changed)),
        await probe_of(Found(one, changed)),
        await probe_of(Found(changed, one)),
        await probe_of(Found(one), "board"),
        await probe_of(Found(one, searched=second)),
        await probe_of(Found()),
        await probe_of(Found(fails=ServiceUnavailable("away")), when_unavailable="answer"),
    ]
    for a, b in itertools.combinations(probes, 2):
        assert a.digest != b.digest
        assert a.meaning.fingerprint != b.meaning.fingerprint
    assert await probe_of(Found(one)) == probes[0]


async def test_matched_by_meaning_is_the_question_alone():
    long = hit("A kennel costs 12 EUR. " * 300)
    one, other = await probe_of(Found(long)), await probe_of(Found(long), text="How much is a kennel on Ferry South?")
    assert (one.meaning.text, other.meaning.text) == (QUESTION, "How much is a kennel on Ferry South?")
    assert one.meaning.fingerprint == other.meaning.fingerprint
    assert one.digest != other.digest


async def test_a_long_passage_makes_no_question_a_persons():
    long, much = hit("A kennel costs 12 EUR. " * 500), {"max_context_tokens": 10_000}
    assert (await probe_of(Found(long), user="ada", **much)).digest == (
        await probe_of(Found(long), user="bob", **much)
    ).digest


async def grounds_of(found, **asked):
    call = call_of("b", "a", **asked)
    return await Retrieval({}, found).grounds(call.order.input, call)


async def test_the_search_has_the_keys_rights_and_the_requests_wishes():
    found = Found(hit("x"))
    await grounds_of(found, options=SearchOptions(mode="dense", limit=3, min_score=0.2))
    (asked,) = found.asked
    assert (asked.tenant, asked.bases, asked.query, asked.labels) == ("demo", ("docs",), QUESTION, ("a", "b"))
    assert (asked.options.mode, asked.options.limit, asked.options.min_score) == ("dense", 3, 0.2)


async def test_policies_decide_what_is_made_of_no_passage():
    with pytest.raises(NothingRelevant):
        await grounds_of(Found(), when_nothing="refuse")
    said = await grounds_of(Found(), when_nothing="say_so", nothing_text="Nothing.")
    assert said.given is not None and said.effective is said.asked
    assert (await grounds_of(Found())).given is None
    assert (await grounds_of(Found(), cite="extractive")).given is not None
    with pytest.raises(ServiceUnavailable, match="late"):
        await grounds_of(Found(fails=DeadlineExceeded("over")))
    assert (await grounds_of(Found(fails=DeadlineExceeded("over")), when_unavailable="answer")).given is None


async def test_what_the_reranker_finds_irrelevant_is_nothing_unless_a_least_score_is_set():
    unlikely = msgspec.structs.replace(hit("x"), score=0.01, scores=HitScores(rerank=0.01))
    found = Found(unlikely, msgspec.structs.replace(hit("y", 1), scores=HitScores(rerank=0.6)))
    grounds = await grounds_of(found)
    assert [one.hit.chunk.text for one in grounds.retrieved.passages] == ["y"]
    assert found.asked[0].options.mode == "hybrid_rerank"
    with pytest.raises(NothingRelevant):
        await grounds_of(Found(unlikely), when_nothing="refuse")
    for own in (SearchOptions(min_score=0.005), SearchOptions(mode="hybrid")):
        assert (await grounds_of(Found(unlikely), options=own)).retrieved.outcome == "found"


async def test_no_text_is_no_question():
    found = Found(hit("x"))
    assert (await grounds_of(found, text=" ")).retrieved.outcome == "nothing"
    assert found.asked == []


async def test_without_documents_nobody_is_asked():
    with pytest.raises(UnsupportedParameter):
        call = call_of()
        await Retrieval({}).grounds(call.order.input, call)
