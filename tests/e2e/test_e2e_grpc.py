"""A caller with gRPC and the contract's stubs, against the public port."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from penstock.gateway.v1 import model_service_pb2
from penstock_common.llm.convert import event_from_proto
from penstock_common.llm.events import StreamInvariants
from penstock_common.testing.openai_upstream import Answer, Failure, NoResponse


async def events_of(call) -> list:
    invariants = StreamInvariants()
    events = []
    async for response in call:
        invariants.observe(event_from_proto(response.event))
        events.append(response.event)
    invariants.end()
    return events


async def failure_of(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        if isinstance(call, grpc.aio.UnaryUnaryCall):
            await call
        else:
            async for _ in call:
                pass
    return caught.value


def details_of(error: grpc.aio.AioRpcError) -> dict[type, object]:
    """Return the status' details by type."""
    raw = dict(error.trailing_metadata())["grpc-status-details-bin"]
    found = {}
    for packed in status_pb2.Status.FromString(raw).details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo, error_details_pb2.BadRequest):
            detail = kind()
            if packed.Unpack(detail):
                found[kind] = detail
    return found


async def test_a_stream_obeys_the_contract(stack, caller, first):
    first.enqueue(Answer(tokens=["Hel", "lo"]))
    events = await events_of(caller.stream("grpc stream"))
    assert events[0].started.answered_by.upstream == "first"
    assert "".join(event.text_delta.text for event in events) == "Hello"
    usage, finished = events[-2].usage, events[-1].finished
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (7, 2, False)
    assert finished.attempts == 1
    assert finished.cost_nano_usd == 7 * 1000 + 2 * 2000
    row = await stack.ledger_row(generation_id=events[0].started.generation_id)
    assert (row["tenant"], row["surface"], row["cost_nano_usd"]) == ("app", "grpc", 11_000)


async def test_the_demonstration_model_streams(caller):
    events = await events_of(caller.stream("What is Penstock?", model="penstock-demo", temperature=0))
    assert "Penstock" in "".join(event.text_delta.text for event in events)


async def test_tokens_arrive_while_the_upstream_still_writes(caller, first):
    rest = asyncio.Event()
    first.enqueue(Answer(tokens=["Hel", "lo"], hold={2: rest}))
    call = caller.stream("grpc early")
    seen = ""
    async for response in call:
        seen += response.event.text_delta.text
        if seen == "Hel":
            rest.set()
    assert seen == "Hello"


async def test_a_whole_chat_sums_the_stream_up(caller, first):
    first.enqueue(Answer(tokens=["Hel", "lo"]))
    response = await caller.chat("grpc whole")
    assert response.message.parts[0].text == "Hello"
    assert (response.upstream, response.model, response.attempts) == ("first", "first-1", 1)


@pytest.mark.parametrize("kind", ["silent", "stalled"])
async def test_a_deadline_is_met_and_ends_the_upstreams_work(caller, first, kind):
    never = asyncio.Event()
    first.enqueue(NoResponse() if kind == "silent" else Answer(hold={2: never}))
    began = time.monotonic()
    error = await failure_of(caller.stream(f"grpc deadline {kind}", timeout=3))
    took = time.monotonic() - began
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert took > 2.9
    request = await first.next_request()
    await asyncio.wait_for(request.left.wait(), 60)


async def test_a_cancelled_call_closes_the_upstreams_connection(caller, first):
    never = asyncio.Event()
    for number in range(3):
        first.enqueue(Answer(hold={2: never}))
        call = caller.stream(f"grpc cancel {number}")
        async for response in call:
            if response.event.text_delta.text:
                break
        request = await first.next_request()
        call.cancel()
        await asyncio.wait_for(request.left.wait(), 60)


async def test_a_call_cancelled_before_the_first_token_closes_the_upstreams_connection(caller, first):
    first.enqueue(NoResponse())
    call = caller.stream("grpc cancel early")
    request = await first.next_request()
    call.cancel()
    await asyncio.wait_for(request.left.wait(), 60)


async def test_a_caller_who_hangs_up_on_the_edge_closes_the_upstreams_connection(stack, first):
    never = asyncio.Event()
    for number in range(3):
        first.enqueue(Answer(hold={2: never}))
        async with stack.open_stream(f"hang up {number}") as response:
            assert response.status == 200
            await response.content.readline()
            request = await first.next_request()
            response.close()
        await asyncio.wait_for(request.left.wait(), 60)


async def test_a_cancelled_stream_is_in_the_ledger(stack, caller, first):
    first.enqueue(Answer(hold={2: asyncio.Event()}))
    call = caller.stream("grpc cancel ledger")
    generation_id = ""
    async for response in call:
        generation_id = generation_id or response.event.started.generation_id
        if response.event.text_delta.text:
            break
    call.cancel()
    row = await stack.ledger_row(generation_id=generation_id)
    assert row["outcome"] == "cancelled"
    assert row["cost_nano_usd"] > 0
    assert row["usage_estimated"]


async def test_health_answers_serving(stack):
    health = health_pb2_grpc.HealthStub(stack.channel)
    for name in ("", "penstock.gateway.v1.ChatService", "penstock.gateway.v1.ModelService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_lists_what_is_public_and_nothing_else(stack):
    stub = reflection_pb2_grpc.ServerReflectionStub(stack.channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    names = {service.name async for answer in call for service in answer.list_services_response.service}
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


@pytest.mark.parametrize(
    "method",
    [
        "/penstock.inference.v1.InferenceService/Generate",
        "/penstock.router.v1.RouterService/Route",
        "/penstock.cache.v1.CacheService/Lookup",
    ],
)
async def test_services_inside_cannot_be_called(stack, method):
    call = stack.channel.unary_unary(method)(b"", timeout=5)
    error = await failure_of(call)
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_models_are_listed(stack):
    metadata = [("authorization", f"Bearer {stack.keys['narrow']}")]
    answer = await stack.models.ListModels(model_service_pb2.ListModelsRequest(), metadata=metadata)
    assert [model.name for model in answer.models] == ["fast"]
    assert answer.models[0].context_window_tokens == 8000


async def test_a_wrong_key_is_unauthenticated(caller):
    error = await failure_of(caller.stream("grpc nobody", key="psk_nobody-nobody-nobody"))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    info = details_of(error)[error_details_pb2.ErrorInfo]
    assert (info.domain, info.reason) == ("penstock.dev", "INVALID_CREDENTIALS")


async def test_an_invalid_field_is_named(caller):
    error = await failure_of(caller.chat("grpc invalid", temperature=9))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    violation = details_of(error)[error_details_pb2.BadRequest].field_violations[0]
    assert violation.field == "input.sampling.temperature"


async def test_the_eleventh_request_in_a_minute_says_when_to_come_back(stack, caller, first):
    key = stack.keys["free-grpc"]
    for number in range(10):
        await caller.chat(f"grpc free {number}", key=key)
    for call in (caller.chat("grpc free 11", key=key), caller.stream("grpc free 12", key=key)):
        error = await failure_of(call)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        details = details_of(error)
        assert details[error_details_pb2.ErrorInfo].metadata["limit"] == "requests_per_minute"
        assert 0 < details[error_details_pb2.RetryInfo].retry_delay.ToTimedelta().total_seconds() <= 60


async def test_the_third_request_at_once_is_refused_on_the_free_tier(stack, caller, first):
    key, rest = stack.keys["pair"], asyncio.Event()
    first.enqueue(*[Answer(hold={2: rest})] * 2)
    streams = [caller.stream(f"grpc pair {number}", key=key) for number in range(2)]
    reading = [asyncio.ensure_future(events_of(stream)) for stream in streams]
    for _ in streams:
        await first.next_request()
    error = await failure_of(caller.stream("grpc pair 3", key=key))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details_of(error)[error_details_pb2.ErrorInfo].metadata["limit"] == "concurrent_requests"
    rest.set()
    await asyncio.gather(*reading)
    assert await events_of(caller.stream("grpc pair 4", key=key))


async def test_a_provider_that_fails_everywhere_is_unavailable(caller, broken):
    for server in broken:
        server.enqueue(*[Failure(500)] * 30)
    error = await failure_of(caller.stream("grpc hopeless", model="hopeless"))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert details_of(error)[error_details_pb2.ErrorInfo].reason in {"UPSTREAM_FAILED", "NO_HEALTHY_UPSTREAM"}
    assert error.details()
