"""The public gRPC surface on a socket: what callers send, see and cannot pretend."""

from __future__ import annotations

import asyncio
import json

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1 import model_service_pb2
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub
from penstock.gateway.v1.model_service_pb2_grpc import ModelServiceStub
from penstock.llm.v1 import generation_pb2, message_pb2
from penstock_common.llm.convert import event_from_proto
from penstock_common.llm.events import Answer as Sum
from penstock_common.llm.events import StreamInvariants
from penstock_common.testing.openai_upstream import Answer, Body, End, Failure

Code = grpc.StatusCode


def chat(text="Hi", model="fast", message=pb.ChatRequest, **parts):
    request = message(**parts)
    request.input.model = model
    request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text=text)
    return request


def details(error):
    """Return the status' details by type."""
    raw = dict(error.trailing_metadata())["grpc-status-details-bin"]
    found = {}
    for packed in status_pb2.Status.FromString(raw).details:
        detail = getattr(error_details_pb2, packed.type_url.rpartition(".")[2])()
        packed.Unpack(detail)
        found[type(detail).__name__] = detail
    return found


@pytest.fixture
def ask(suite):
    """A function that calls Chat, and returns the response, its initial metadata or its error."""
    stub = ChatServiceStub(suite.channel)

    async def call(request, key=suite.KEY, metadata=(), timeout=30):
        head = (("authorization", f"Bearer {key}"), *metadata)
        running = stub.Chat(request, metadata=head, timeout=timeout)
        return await running, dict(await running.initial_metadata())

    return call


@pytest.fixture
def stream(suite):
    """A function that calls StreamChat, checks the contract's order and returns the sum and the head."""
    stub = ChatServiceStub(suite.channel)

    async def call(request, key=suite.KEY, metadata=(), timeout=30):
        running = stub.StreamChat(request, metadata=(("authorization", f"Bearer {key}"), *metadata), timeout=timeout)
        answer, invariants = Sum(), StreamInvariants()
        async for response in running:
            event = event_from_proto(response.event)
            invariants.observe(event)
            answer.add(event)
        invariants.end()
        return answer, dict(await running.initial_metadata())

    return call


async def refusal(awaitable):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await awaitable
    error = failed.value
    return error.code(), details(error)["ErrorInfo"].reason, error


async def test_answer_says_who_answered_and_what_it_cost(ask):
    response, head = await ask(chat(), metadata=(("x-request-id", "mine"),))
    assert response.message.parts[0].text == "Hello, world."
    assert response.message.role == message_pb2.ROLE_ASSISTANT
    assert (response.model, response.upstream, response.attempts) == ("m1", "first", 1)
    assert response.finish_reason == generation_pb2.FINISH_REASON_STOP
    assert response.cost_nano_usd == 15_000
    assert response.cache.status == pb.CacheResult.STATUS_MISS
    assert len(response.generation_id) == 24
    assert head["x-request-id"] == "mine"
    assert head["x-penstock-cache"] == "miss"
    assert int(head["x-ratelimit-remaining-requests"]) == 99_999


async def test_stream_obeys_the_contract(stream):
    answer, head = await stream(chat(message=pb.StreamChatRequest))
    assert answer.text == "Hello, world."
    assert answer.usage.output_tokens == 4
    assert answer.finished.cost_nano_usd == 15_000
    assert head["x-penstock-cache"] == "miss"


async def test_cached_answer_is_shared_with_the_http_surface_and_says_so(suite, ask, stream, redis_server):
    await suite.ask()
    with redis_server.client() as client:
        while not client.keys("*:cache:exact:*"):
            await asyncio.sleep(0.005)
    response, head = await ask(chat())
    assert response.cache.status == pb.CacheResult.STATUS_HIT
    assert response.cache.tier == pb.CacheResult.TIER_EXACT
    assert (response.attempts, response.cost_nano_usd, response.cache.similarity) == (0, 0, 1)
    answer, head = await stream(chat(message=pb.StreamChatRequest))
    assert answer.text == "Hello, world."
    assert head["x-penstock-cache"] == "hit; tier=exact; similarity=1.00; temperature=unset"


async def test_several_answers_probabilities_and_what_was_dropped_are_told(ask, stream, upstream):
    tokens = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
    choices = [
        {"index": index, "message": {"content": "a"}, "finish_reason": reason, "logprobs": {"content": tokens}}
        for index, reason in enumerate(("stop", "length"))
    ]
    document = json.dumps({"choices": choices, "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
    for _ in range(2):
        upstream.enqueue(Body(frames=[document.encode()], content_type="application/json"))
    request = chat()
    request.input.sampling.choices = 2
    request.input.sampling.top_logprobs = 0
    request.input.hints_json = '{"user": "u"}'
    response, head = await ask(request)
    (more,) = response.more_choices
    assert (response.message.parts[0].text, more.message.parts[0].text) == ("a", "a")
    assert more.finish_reason == generation_pb2.FINISH_REASON_LENGTH
    assert json.loads(response.logprobs_json) == json.loads(more.logprobs_json) == tokens
    assert (list(response.dropped), head["x-penstock-dropped"]) == (["user"], "user")
    streamed = chat(message=pb.StreamChatRequest)
    streamed.input.CopyFrom(request.input)
    answer, _ = await stream(streamed)
    assert (answer.text, answer.more[0].text, answer.started.dropped) == ("a", "a", ("user",))


async def test_hints_are_few_and_known(ask, upstream):
    request = chat()
    request.input.hints_json = '{"temperature": 2}'
    code, reason, error = await refusal(ask(request))
    assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "input.hints_json.temperature" in error.details()
    assert not upstream.requests


async def test_models_show_window_capabilities_and_price(suite):
    stub = ModelServiceStub(suite.channel)
    head = (("authorization", f"Bearer {suite.KEY}"),)
    listed = await stub.ListModels(model_service_pb2.ListModelsRequest(), metadata=head, timeout=30)
    fast = next(model for model in listed.models if model.name == "fast")
    assert (fast.context_window_tokens, list(fast.capabilities)) == (8000, ["chat", "json_schema", "tools", "vision"])
    assert (fast.prices.input_nano_usd, fast.prices.output_nano_usd) == (1_000_000_000, 2_000_000_000)


async def test_cache_control_is_the_messages_own(suite, ask, upstream):
    control = pb.CacheControl(only_if_cached=True)
    code, reason, _ = await refusal(ask(chat(cache_control=control)))
    assert (code, reason) == (Code.NOT_FOUND, "NOT_CACHED")
    assert upstream.requests == []


def unknown_role():
    request = chat()
    request.input.messages[0].role = message_pb2.ROLE_UNSPECIFIED
    return request


def future_role():
    request = chat()
    request.input.messages[0].role = 77
    return request


def hot():
    request = chat()
    request.input.sampling.temperature = 3
    return request


def not_a_number():
    request = chat()
    request.input.sampling.top_p = float("nan")
    return request


@pytest.mark.parametrize(
    ("request_", "code", "reason", "field"),
    [
        (pb.ChatRequest(), Code.INVALID_ARGUMENT, "INVALID_REQUEST", "input.model"),
        (chat(model=""), Code.INVALID_ARGUMENT, "INVALID_REQUEST", "input.model"),
        (chat(model="nope"), Code.NOT_FOUND, "MODEL_NOT_FOUND", None),
        (unknown_role(), Code.INVALID_ARGUMENT, "INVALID_REQUEST", "input.messages[0].role"),
        (future_role(), Code.INVALID_ARGUMENT, "INVALID_REQUEST", "input.messages[0].role"),
        (hot(), Code.INVALID_ARGUMENT, "INVALID_REQUEST", "input.sampling.temperature"),
        (not_a_number(), Code.INVALID_ARGUMENT, "INVALID_REQUEST", "input.sampling.top_p"),
        (chat("x " * 40_000), Code.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED", None),
    ],
    ids=["empty", "no model", "unknown model", "no role", "future role", "hot", "nan", "long"],
)
async def test_bad_request_is_refused_with_its_field(ask, upstream, request_, code, reason, field):
    got_code, got_reason, error = await refusal(ask(request_))
    assert (got_code, got_reason) == (code, reason)
    assert details(error)["ErrorInfo"].domain == "penstock.dev"
    if field is not None:
        assert details(error)["BadRequest"].field_violations[0].field == field
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("metadata", "code", "reason"),
    [
        ((), Code.UNAUTHENTICATED, "INVALID_CREDENTIALS"),
        ((("authorization", "Bearer wrong-key-wrong-key"),), Code.UNAUTHENTICATED, "INVALID_CREDENTIALS"),
        ((("penstock-tenant", "demo"),), Code.UNAUTHENTICATED, "INVALID_CREDENTIALS"),
    ],
    ids=["none", "wrong", "pretended"],
)
async def test_unknown_caller_is_refused_by_every_method(suite, metadata, code, reason):
    chats, models = ChatServiceStub(suite.channel), ModelServiceStub(suite.channel)
    for call in (
        chats.Chat(chat(), metadata=metadata),
        chats.StreamChat(chat(message=pb.StreamChatRequest), metadata=metadata).read(),
        models.ListModels(model_service_pb2.ListModelsRequest(), metadata=metadata),
        models.GetModel(model_service_pb2.GetModelRequest(name="fast"), metadata=metadata),
    ):
        assert (await refusal(call))[:2] == (code, reason)


async def test_limit_says_when_to_return(ask, suite):
    for text in "abc":
        await ask(chat(text), key=suite.FREE_KEY)
    code, reason, error = await refusal(ask(chat("d"), key=suite.FREE_KEY))
    assert (code, reason) == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    found = details(error)
    assert found["ErrorInfo"].metadata["limit"] == "requests_per_minute"
    assert 10 < found["RetryInfo"].retry_delay.seconds <= 20
    assert found["QuotaFailure"].violations[0].subject == "tenant"
    assert dict(error.initial_metadata())["x-ratelimit-remaining-requests"] == "0"


async def test_limit_of_a_stream_says_where_the_caller_stands(stream, suite):
    for text in "abc":
        await stream(chat(text, message=pb.StreamChatRequest), key=suite.FREE_KEY)
    code, _, error = await refusal(stream(chat("d", message=pb.StreamChatRequest), key=suite.FREE_KEY))
    assert code is Code.RESOURCE_EXHAUSTED
    head = {**dict(error.initial_metadata() or ()), **dict(error.trailing_metadata())}
    assert head["x-ratelimit-remaining-requests"] == "0"
    assert "x-request-id" in head


async def test_failure_of_every_upstream_names_it(ask, upstream):
    upstream.enqueue(*[Failure(503)] * 4)
    code, reason, error = await refusal(ask(chat()))
    assert (code, reason) == (Code.UNAVAILABLE, "UPSTREAM_FAILED")
    assert details(error)["ErrorInfo"].metadata["upstream"] == "first"


async def test_stream_that_breaks_ends_with_a_status_after_what_came(suite, upstream):
    upstream.enqueue(Answer(tokens=["one", "two"], stop_after=3, end=End.FIN))
    head = (("authorization", f"Bearer {suite.KEY}"),)
    call = ChatServiceStub(suite.channel).StreamChat(chat(message=pb.StreamChatRequest), metadata=head, timeout=30)
    events = []
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        async for response in call:
            events.append(response.event.WhichOneof("event"))
    assert failed.value.code() is Code.UNAVAILABLE
    assert events[0] == "started"
    assert "text_delta" in events
    assert "finished" not in events


async def test_models_are_those_that_the_key_may_use(suite):
    models = ModelServiceStub(suite.channel)
    narrow = (("x-api-key", suite.NARROW_KEY),)
    listed = await models.ListModels(model_service_pb2.ListModelsRequest(), metadata=narrow)
    assert [model.name for model in listed.models] == ["safe"]
    found = await models.GetModel(model_service_pb2.GetModelRequest(name="safe"), metadata=narrow)
    assert (found.model.context_window_tokens, "tools" in found.model.capabilities) == (8000, True)
    for hidden in ("fast", "nope"):
        call = models.GetModel(model_service_pb2.GetModelRequest(name=hidden), metadata=narrow)
        assert (await refusal(call))[:2] == (Code.NOT_FOUND, "MODEL_NOT_FOUND")


async def test_identity_that_a_caller_pretends_changes_nothing(suite, ask, upstream):
    pretended = (
        ("penstock-tenant", "other"),
        ("x-request-id", "../../etc"),
        ("penstock-steps-bin", b"\x90"),
        ("grpc-metadata-penstock-tenant", "other"),
    )
    await ask(chat("from demo"), metadata=pretended)
    # Had it been kept for the tenant 'other', that tenant would find it now.
    response, _ = await ask(chat("from demo"), key=suite.OTHER_KEY)
    assert response.cache.status == pb.CacheResult.STATUS_MISS
    rows = await suite.ledger_after_close()
    assert [row["tenant"] for row in rows] == ["demo", "other"]
    assert rows[0]["request_id"] != "../../etc"
    assert "penstock-tenant" not in str(upstream.requests[0].headers)


async def test_public_port_serves_the_public_services_and_nothing_else(suite):
    stub = reflection_pb2_grpc.ServerReflectionStub(suite.channel)

    async def questions():
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async for reply in stub.ServerReflectionInfo(questions()):
        names = {service.name for service in reply.list_services_response.service}
    assert names == {
        "penstock.gateway.v1.AdminService",
        "penstock.gateway.v1.BudgetService",
        "penstock.gateway.v1.ChatService",
        "penstock.gateway.v1.EmbeddingService",
        "penstock.gateway.v1.ExperimentService",
        "penstock.gateway.v1.LedgerService",
        "penstock.gateway.v1.FeedbackService",
        "penstock.gateway.v1.JobService",
        "penstock.gateway.v1.KnowledgeService",
        "penstock.gateway.v1.ModelService",
        "penstock.gateway.v1.PromptService",
        "penstock.gateway.v1.ReviewService",
        "penstock.gateway.v1.StatusService",
        "penstock.gateway.v1.UsageService",
        "penstock.gateway.v1.WebhookService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    for internal in ("/penstock.router.v1.RouterService/Route", "/penstock.inference.v1.InferenceService/Generate"):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await suite.channel.unary_unary(internal)(b"")
        assert failed.value.code() is Code.UNIMPLEMENTED


@pytest.mark.parametrize("name", ["", "penstock.gateway.v1.ChatService", "penstock.gateway.v1.ModelService"])
async def test_health_is_told_without_a_key(suite, name):
    stub = health_pb2_grpc.HealthStub(suite.channel)
    checked = await stub.Check(health_pb2.HealthCheckRequest(service=name))
    assert checked.status == health_pb2.HealthCheckResponse.SERVING
