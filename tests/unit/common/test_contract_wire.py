"""Every method's codecs bring back what they wrote, every field of it, those that are added later included."""

from array import array
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from penstock_common.contract.cache import (
    Deletion,
    Dispute,
    EntryFilter,
    EntryPage,
    EntryQuery,
    EntryRecord,
    ExplainRequest,
    Explanation,
    Hit,
    Invalidation,
    LookupRequest,
    LookupResponse,
    Meaning,
    Near,
    Origin,
    Probe,
    Scope,
    Stats,
    StoreRequest,
)
from penstock_common.contract.embedding import EmbedRequest, EmbedResponse, TextVector
from penstock_common.contract.inference import (
    GenerateRequest,
    ModelState,
    PlaceCondition,
    RunnableModel,
    UpstreamAction,
    UpstreamOrder,
    UpstreamPlace,
)
from penstock_common.contract.questions import (
    AnsweredQuestion,
    ModeratedContent,
    ModeratedImage,
    ModeratedText,
    ModerateRequest,
    ModerateResponse,
    RankedDocument,
    RerankRequest,
    RerankResponse,
    Verdict,
    VerdictCategory,
)
from penstock_common.contract.relay import RelayPlace, RelayRequestHead, RelayResponseHead, RelayTerms
from penstock_common.contract.router import Policy, Requirements, RouteRequest, Subject
from penstock_common.contract.upstream_batches import (
    BegunUpstreamBatch,
    KeptAnswer,
    UpstreamBatch,
    UpstreamBatchAnswer,
    UpstreamBatchLine,
    UpstreamBatchOrder,
    UpstreamBatchPlace,
    UpstreamBatchState,
)
from penstock_common.contract.wire import (
    cache,
    cache_entries,
    embedding,
    inference,
    questions,
    relay,
    router,
    upstream_batches,
)
from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import (
    Candidate,
    CandidateView,
    ChoiceFinished,
    Decision,
    Degradation,
    File,
    Finished,
    FinishReason,
    GenerationInput,
    Image,
    JsonSchema,
    Message,
    ModelInfo,
    Opaque,
    OpaqueDelta,
    Plan,
    Reasoning,
    ReasoningDelta,
    Recovery,
    RecoveryWay,
    Role,
    RouteExplanation,
    SamplingParams,
    Started,
    StopDetails,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    ToolChoiceMode,
    UnitPrices,
    UnsupportedFields,
    Usage,
)
from penstock_common.priority import Priority
from penstock_common.rpc.method import Method
from penstock_common.testing.transports import alike

HERE = Candidate(upstream="openai", model="gpt-4o-mini")
PRICES = UnitPrices(
    input_nano_usd=1,
    cached_input_nano_usd=2,
    output_nano_usd=3,
    cache_write_nano_usd=4,
    cache_write_1h_nano_usd=5,
    is_unknown=True,
)
SEARCH = Opaque(format="anthropic", json='{"type":"web_search_20250305"}')
EVENTS = (
    Started(generation_id="g", answered_by=HERE, unit_prices=PRICES, dropped=("user",)),
    ReasoningDelta(text="Hm.", signature=b"\x00\xff", extra_json='{"reasoning_details":[1]}', choice=1),
    ReasoningDelta(hidden=b"\x01", origin="anthropic/opus#a1"),
    OpaqueDelta(block=SEARCH, choice=1),
    TextDelta(text="A pipe.", choice=1, logprobs_json='[{"token":"A pipe."}]'),
    TextDelta(text="No.", citations_json='[{"cited_text":"No."}]', is_refusal=True),
    ToolCallDelta(
        index=1,
        id="c",
        name="f",
        arguments_json_fragment="{",
        extra_json='{"extra_content":{}}',
        origin="gemini/flash",
        choice=1,
        is_custom=True,
    ),
    ChoiceFinished(choice=1, reason=FinishReason.TOOL_CALLS),
    Usage(
        input_tokens=6,
        output_tokens=5,
        cached_input_tokens=4,
        cache_write_input_tokens=3,
        reasoning_tokens=2,
        estimated=True,
        cache_write_1h_input_tokens=1,
    ),
    Finished(
        reason=FinishReason.STOP,
        answered_by=HERE,
        matched_stop="END",
        attempts=2,
        cost_nano_usd=7,
        unit_prices=PRICES,
        recoveries=(
            Recovery(
                broke=HERE,
                cause="timeout:idle",
                way=RecoveryWay.CONTINUED,
                delivered_characters=9,
                usage=Usage(input_tokens=1, output_tokens=2, estimated=True),
                cost_nano_usd=3,
            ),
        ),
        degraded=Degradation.STALE,
        stop_details=StopDetails(word="refusal", category="cyber", explanation="It may harm."),
        service_tier="flex",
        stopped_by="budget",
        unread=Opaque(format="openai_chat", json='{"system_fingerprint":"fp_1"}'),
    ),
)
ASKED = GenerationInput(
    model="fast",
    messages=(
        Message(
            role=Role.SYSTEM, parts=(Text(text="Be brief.", cache_breakpoint=True, cache_ttl="1h"),), name="operator"
        ),
        Message(
            role=Role.USER,
            parts=(
                Image(data=b"\x01", media_type="image/png", detail="low", cache_breakpoint=True, cache_ttl="5m"),
                Image(url="https://a"),
                File(name="a.pdf", media_type="application/pdf", data=b"%PDF", cache_breakpoint=True, cache_ttl="5m"),
                File(url="https://b", context="A report.", with_citations=True),
                File(id="file-1"),
                Reasoning(text="hm", signature=b"s", extra_json='{"x":1}', cache_breakpoint=True, cache_ttl="5m"),
                Reasoning(hidden=b"\x00", origin="anthropic/opus#a1"),
                Text(text="It is so.", citations_json='[{"cited_text":"so"}]'),
                Opaque(format="anthropic", json='{"type":"x"}', cache_breakpoint=True, cache_ttl="1h"),
            ),
        ),
        Message(
            role=Role.ASSISTANT,
            tool_calls=(
                ToolCall(
                    id="c1",
                    name="look_up",
                    arguments_json="{}",
                    extra_json='{"y":2}',
                    is_custom=True,
                    origin="gemini/flash",
                ),
                ToolCall(id="c2", name="look_up", arguments_json="{}", parts_before=0),
            ),
        ),
        Message(role=Role.TOOL, parts=(Text(text="42"),), tool_call_id="c1"),
        Message(role=Role.TOOL, tool_call_id="c2", is_error=True),
    ),
    tools=(
        Tool(
            name="look_up",
            description="Looks up.",
            parameters_json="{}",
            strict=False,
            custom_json="{}",
            cache_breakpoint=True,
            cache_ttl="1h",
        ),
        Tool(name="web_search", opaque=SEARCH),
    ),
    tool_choice=ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="look_up", parallel=False, allowed_tools=("look_up",)),
    sampling=SamplingParams(
        temperature=0.3,
        top_p=0.7,
        top_k=3,
        max_output_tokens=64,
        stop=("END",),
        seed=-7,
        frequency_penalty=0.1,
        presence_penalty=-0.5,
        reasoning_effort="low",
        top_logprobs=2,
        choices=3,
    ),
    response_format=JsonSchema(name="answer", schema_json="{}", strict=False, description="d"),
    extra_json='{"x":1}',
    hints_json='{"user":"u"}',
)
PLAN = Plan(
    candidates=(HERE, Candidate(upstream="triton", model="org/large")),
    reason="by order",
    decision=Decision(
        "large",
        "routes.code.high",
        "code",
        "high",
        0.5,
        0.25,
        True,
        True,
        "v1",
        ("fast (no)",),
        "cost",
        "0.004 USD",
        PRICES,
    ),
    prices=(PRICES, UnitPrices(input_nano_usd=9)),
    unsupported=UnsupportedFields.DROP,
    route_digest=b"r" * 32,
)
SCOPE = Scope("acme", "fast")
PROBE = Probe(digest=b"d" * 32, temperature=0.3, max_output_tokens=64, has_tools_in_flight=True, refers_to_the_web=True)
MODEL = RunnableModel(
    candidate=HERE,
    context_window_tokens=128_000,
    capabilities=frozenset({"chat", "tools", "vision"}),
    state=ModelState.LOADING,
    state_reason="It loads.",
    is_controllable=True,
    takes_batches=True,
)
PLACE = UpstreamPlace(
    upstream="openai",
    endpoint="api.example#0123456789ab",
    model="gpt-4o-mini",
    state=PlaceCondition.BY_HAND,
    reason="maintenance",
    since=datetime(2026, 11, 29, 12, 0, 0, 123_456, UTC),
    until=datetime(2026, 11, 29, 13, tzinfo=UTC),
    latency=timedelta(seconds=0.25),
    in_flight=3,
    waiting=0,
    limit=8,
    probed_at=datetime(2026, 11, 29, 11, 59, tzinfo=UTC),
    probe_outcome="connect",
)
EJECTION = UpstreamOrder(
    upstream="openai",
    model="gpt-4o-mini",
    action=UpstreamAction.EJECT,
    duration=timedelta(minutes=10),
    reason="maintenance",
    force=True,
)
INFO = ModelInfo(name="fast", capabilities=("chat", "tools"), context_window_tokens=128_000, prices=PRICES)
EMBEDDER = ModelInfo(name="all-MiniLM-L6-v2", capabilities=("embeddings",), context_window_tokens=256, prices=PRICES)

MEANING = Meaning(
    text="How are you?",
    fingerprint=b"f",
    user="ada",
    vector=b"\x00\x00\x80?",
    vector_model="all-MiniLM-L6-v2@r",
    is_private=True,
)
ENTRIES = EntryFilter(SCOPE, entry_ids=("e",), tag="faq", user="ada")
ENTRY = EntryRecord(
    entry_id="e",
    model="fast",
    question="How?",
    answer="So.",
    tags=("faq",),
    is_private=True,
    created_at=1_764_412_345.25,
    expires_at=1_764_412_355.5,
    origin=Origin.IMPORTED,
    hits=2,
    threshold=0.875,
    evidence_same=3,
    evidence_different=1,
    alias_of="d",
    saved_tokens=9,
    saved_nano_usd=10,
)

ANSWERED = AnsweredQuestion(HERE, 5, True, 2, PRICES, 9, 3)
RELAYED = RelayPlace("openai", "POST", "/files/a%2Fb", ("eu", "us"))
PASSED = [
    (
        router.ROUTE,
        RouteRequest(
            model="fast",
            requirements=Requirements(capabilities=frozenset({"chat", "vision"}), min_input_tokens=9),
            allowed_regions=("eu", "us"),
        ),
        PLAN,
    ),
    (
        router.ROUTE,
        RouteRequest(
            model="auto",
            requirements=Requirements(),
            subject=Subject("Why?", "Because.", 2),
            tenant="acme",
            tags=(("kind", "batch"), ("of", "x")),
            allowed_models=("auto", "fast"),
            output_tokens=64,
            policy=Policy.COST,
        ),
        PLAN,
    ),
    (
        router.EXPLAIN,
        RouteRequest(model="auto", requirements=Requirements(), subject=Subject("Why?")),
        RouteExplanation(
            PLAN,
            "nobody",
            (
                CandidateView("fast", HERE, 1, "", "eu", 9, PRICES, "ok", 0.5),
                CandidateView("large", HERE, objection="takes 9 tokens"),
            ),
        ),
    ),
    (router.LIST_MODELS, None, (INFO,)),
    (
        cache.LOOKUP,
        LookupRequest(scope=SCOPE, probe=PROBE, max_age=timedelta(seconds=1.5), stale_for=timedelta(days=1)),
        LookupResponse(
            hit=Hit(
                events=EVENTS,
                created_at=1_764_412_345.678_901_2,
                similarity=0.5,
                entry_id="e",
                by_meaning=True,
                origin=Origin.ALIAS,
            ),
            vector=b"\x00\x00\x80?",
            vector_model="all-MiniLM-L6-v2@r",
        ),
    ),
    (
        cache.LOOKUP,
        LookupRequest(scope=SCOPE, probe=Probe(digest=b"d", meaning=MEANING)),
        LookupResponse(generation="g", miss_reason="number", near=Near("e", 0.75, 0.5)),
    ),
    (cache.LOOKUP, LookupRequest(scope=SCOPE, probe=Probe(digest=b"d")), LookupResponse(bypass_reason="It is off.")),
    (
        cache.STORE,
        StoreRequest(
            scope=SCOPE,
            probe=PROBE,
            events=EVENTS,
            created_at=1_764_412_345.25,
            ttl=timedelta(minutes=5),
            generation="g",
            stale_for=timedelta(hours=2),
            tags=("faq", "v2"),
            near=Near("e", 0.75, 0.5),
            origin=Origin.IMPORTED,
        ),
        "The answer has no text.",
    ),
    (cache.STORE, StoreRequest(scope=SCOPE, probe=PROBE, events=EVENTS), ""),
    (cache.LOOKUP, LookupRequest(scope=SCOPE, probe=Probe(digest=b"d"), afresh=True), LookupResponse(generation="g")),
    (cache.INVALIDATE, Invalidation(scope=SCOPE), 3),
    (cache.INVALIDATE, Invalidation(scope=Scope("", "fast"), every_tenant=True), 0),
    (
        cache.GET_STATS,
        None,
        Stats(
            memory_hits=1,
            redis_hits=2,
            misses=3,
            stores=4,
            refusals=5,
            memory_entries=6,
            semantic_hits=7,
            refused_by_guard={"number": 8},
            not_compared={"personal": 9},
            embedded=10,
            judged_hits=11,
            false_hits=12,
            saved_tokens=13,
            saved_nano_usd=14,
            semantic_entries=15,
            semantic_trouble="Qdrant does not answer.",
        ),
    ),
    (
        cache_entries.LIST_ENTRIES,
        EntryQuery(ENTRIES, page_size=7, page_token="t", with_content=True),
        EntryPage((ENTRY,), next_page_token="n"),
    ),
    (cache_entries.DELETE_ENTRIES, Deletion(ENTRIES, dry_run=True), 3),
    (
        cache_entries.EXPLAIN,
        ExplainRequest(SCOPE, "Is it 30?", "Is it 45?"),
        Explanation(
            served=True, reason="number", detail="30 → 45", similarity=0.75, score=0.25, threshold=0.5, floor=0.125
        ),
    ),
    (cache_entries.DISPUTE, Dispute(SCOPE, "e"), True),
    (cache_entries.SHRED_TENANT, "acme", 4),
    (cache_entries.ROTATE_KEYS, "acme", 1),
    (
        embedding.EMBED,
        EmbedRequest(model="m", texts=("a", "b"), dimensions=64, purpose="query"),
        EmbedResponse(
            vectors=[TextVector(array("f", (0.1, 0.2)), True), TextVector(array("f", (0.3, 0.4)), False)],
            model="m",
            revision="r",
            upstream="far",
            input_tokens=5,
            unit_prices=PRICES,
            attempts=2,
            cost_nano_usd=9,
        ),
    ),
    (embedding.LIST_MODELS, None, (EMBEDDER,)),
    (
        inference.GENERATE,
        GenerateRequest(
            input=ASKED,
            plan=PLAN,
            whole=True,
            batches=False,
            may_recover=False,
            may_hedge=False,
            priority=Priority.SHEDDABLE,
            given=EVENTS[:2],
            given_is_owed=True,
            kept=KeptAnswer(200, b"{}"),
        ),
        EVENTS,
    ),
    (inference.LIST_MODELS, None, (MODEL,)),
    (inference.LOAD_MODEL, HERE, MODEL),
    (inference.UNLOAD_MODEL, HERE, MODEL),
    (
        inference.LIST_UPSTREAMS,
        None,
        tuple(UpstreamPlace(upstream="openai", model="m", state=state) for state in PlaceCondition) + (PLACE,),
    ),
    (inference.CONTROL_UPSTREAM, EJECTION, (PLACE,)),
    (
        questions.RERANK,
        RerankRequest("q", ("a", "b"), PLAN, top_n=1, max_tokens_per_document=9, priority=Priority.CRITICAL),
        RerankResponse((RankedDocument(1, 0.1), RankedDocument(0, -1e300)), ANSWERED),
    ),
    (
        questions.MODERATE,
        ModerateRequest(
            (ModeratedContent((ModeratedText("a"), ModeratedImage("data:,x")), is_parts=True),),
            PLAN,
            Priority.SHEDDABLE,
        ),
        ModerateResponse((Verdict(True, (VerdictCategory("a/b", True, 0.25, ("text",)),)),), "omni", ANSWERED),
    ),
    (
        upstream_batches.BEGIN_UPSTREAM_BATCH,
        UpstreamBatchOrder(
            HERE,
            "part_1",
            (UpstreamBatchLine("job_1", ASKED),),
            datetime(2026, 12, 1, tzinfo=UTC),
            UnsupportedFields.DROP,
        ),
        BegunUpstreamBatch(UpstreamBatch("b", UpstreamBatchState.OPEN, 1, 2, "why"), ("job_2",)),
    ),
    (
        upstream_batches.BEGIN_UPSTREAM_BATCH,
        UpstreamBatchOrder(HERE, "part_1", (UpstreamBatchLine("job_1", ASKED),)),
        BegunUpstreamBatch(None),
    ),
    *(
        (method, UpstreamBatchPlace(HERE, "b"), UpstreamBatch("b", state))
        for method in (upstream_batches.GET_UPSTREAM_BATCH, upstream_batches.CANCEL_UPSTREAM_BATCH)
        for state in UpstreamBatchState
    ),
    (
        upstream_batches.READ_UPSTREAM_BATCH,
        UpstreamBatchPlace(HERE, "b"),
        (UpstreamBatchAnswer("job_1", KeptAnswer(429, b"\x00\xff")),),
    ),
    (relay.FIND_RELAY, RELAYED, RelayTerms("/files/*", price_nano_usd=0, max_request_bytes=7)),
    (relay.FIND_RELAY, RELAYED, RelayTerms("/files/*", price_nano_usd=None, max_request_bytes=2**40)),
    (
        relay.RELAY,
        RelayRequestHead(RELAYED, "a=%2F&a", (("x", "1"), ("x", "2")), length=0),
        RelayResponseHead(599, (("y", "z"),), length=2**40),
    ),
    (relay.RELAY, RelayRequestHead(RELAYED), RelayResponseHead(200)),
    (relay.RELAY, b"\x00\xff", b"piece"),
    *((inference.CONTROL_UPSTREAM, UpstreamOrder(upstream="openai", action=action), ()) for action in UpstreamAction),
]


@pytest.mark.parametrize(("method", "request_", "response"), PASSED, ids=lambda value: getattr(value, "path", ""))
def test_what_is_written_comes_back(method, request_, response):
    assert alike(method.request.decode(method.request.encode(request_)), request_)
    assert alike(method.response.decode(method.response.encode(response)), response)


def structs_within(value):
    if isinstance(value, msgspec.Struct):
        yield value
        value = [getattr(value, name) for name in value.__struct_fields__]
    if isinstance(value, list | tuple):
        for element in value:
            yield from structs_within(element)


def test_the_values_above_set_every_field_that_there_is():
    varied, known = set(), set()
    for _, request_, response in PASSED:
        for value in structs_within((request_, response)):
            for field in msgspec.structs.fields(value):
                known.add((type(value).__name__, field.name))
                if field.required or getattr(value, field.name) != field.default:
                    varied.add((type(value).__name__, field.name))
    assert known - varied == set()


def test_every_method_is_among_them():
    methods = {
        value.path
        for module in (cache, cache_entries, embedding, inference, questions, relay, router, upstream_batches)
        for value in vars(module).values()
        if isinstance(value, Method)
    }
    assert methods == {method.path for method, *_ in PASSED}


@pytest.mark.parametrize("method", {method.path: method for method, *_ in PASSED}.values(), ids=lambda each: each.path)
def test_bytes_that_are_no_message_are_an_invalid_request(method):
    with pytest.raises(InvalidRequest, match="The bytes are no penstock"):
        method.request.decode(b"\xff\xff\xff")
