"""The suite as six processes over certificates both ways: what callers see is what one process shows them."""

from __future__ import annotations

import asyncio
import uuid

import grpc
import openai
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from penstock.gateway.v1 import chat_service_pb2, chat_service_pb2_grpc
from penstock.llm.v1 import generation_pb2, message_pb2
from penstock_common.testing.openai_upstream import Answer, End
from penstock_common.testing.otlp_collector import OtlpCollector

of_the_standing = pytest.mark.asyncio(loop_scope="module")

STEPS = {"validate", "admit", "cache.lookup", "route", "generate", "attempt", "settle"}


def grpc_input(text: str) -> generation_pb2.GenerationInput:
    turn = message_pb2.Message(role=message_pb2.ROLE_USER, parts=[message_pb2.ContentPart(text=text)])
    return generation_pb2.GenerationInput(model="fast", messages=[turn])


@of_the_standing
async def test_callers_of_every_surface_are_answered(standing):
    fleet, upstream = standing
    upstream.enqueue(*[Answer(tokens=["Hel", "lo"])] * 4)
    async with fleet.sdk() as client:
        whole = await client.chat.completions.create(model="fast", messages=[{"role": "user", "content": "a"}])
        stream = await client.chat.completions.create(
            model="fast",
            messages=[{"role": "user", "content": "b"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        models = [model.id async for model in client.models.list()]
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "a"}])
    async with fleet.sdk("key-of-nobody-key-of-nobody") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
    assert whole.choices[0].message.content == "Hello"
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "Hello"
    assert chunks[-1].usage.completion_tokens == 2
    assert models == ["fast"]

    async with fleet.channel() as channel:
        chats = chat_service_pb2_grpc.ChatServiceStub(channel)
        metadata = [("authorization", "Bearer key-of-app-key-of-app")]
        call = chats.StreamChat(
            chat_service_pb2.StreamChatRequest(input=grpc_input("c")), metadata=metadata, timeout=30
        )
        events = [response.event async for response in call]
    assert "".join(event.text_delta.text for event in events if event.HasField("text_delta")) == "Hello"

    body = {"input": {"model": "fast", "messages": [{"role": "ROLE_USER", "parts": [{"text": "d"}]}]}}
    headers = {"authorization": "Bearer key-of-app-key-of-app"}
    async with fleet.session.post(f"{fleet.http}/api/v1/chat", json=body, headers=headers) as response:
        assert response.status == 200, await response.text()


@of_the_standing
async def test_second_request_is_a_hit_and_asks_nobody(standing):
    fleet, upstream = standing
    question = f"What is a hit? {uuid.uuid4()}"
    _, _, first = await fleet.ask(question)
    async with asyncio.timeout(60):
        while "hit" not in (await fleet.ask(question))[2]["x-penstock-cache"]:
            await asyncio.sleep(0.01)
    asked = len(upstream.requests)
    await fleet.ask(question)
    assert first["x-penstock-cache"] == "miss"
    assert len(upstream.requests) == asked


@of_the_standing
async def test_caller_that_leaves_ends_the_upstreams_work(standing):
    fleet, upstream = standing
    upstream.enqueue(Answer(tokens=["12345678"], stop_after=2, end=End.STALL))
    async with fleet.sdk() as client:
        stream = await client.chat.completions.create(
            model="fast", messages=[{"role": "user", "content": "stay"}], stream=True
        )
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        await stream.close()
        async with asyncio.timeout(60):
            await upstream.requests[-1].left.wait()


async def test_request_is_one_trace_over_all_processes(edge, idle_fleet, upgraded, roles, upstream):
    async with OtlpCollector() as collector:
        idle_fleet.document["telemetry"] = {"otlp": collector.endpoint, "sample_ratio": 1}
        await upgraded(idle_fleet)
        await roles(idle_fleet, **{"otlp": collector.endpoint, "trace-sample-ratio": "1"})
        await idle_fleet.ask("trace me", temperature=0)
        async with asyncio.timeout(60):
            while not (names := {span.name for span in collector.spans}) >= STEPS:
                await asyncio.sleep(0.05)
        assert names >= STEPS
        assert len({span.trace_id for span in collector.spans if span.name in STEPS}) == 1


@of_the_standing
async def test_health_answers_and_reflection_lists_the_public_services_alone(standing):
    fleet, _ = standing
    async with fleet.channel() as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        listed = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        names = {service.name async for response in listed for service in response.list_services_response.service}
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert {name.rpartition(".")[0] for name in names} == {
        "penstock.gateway.v1",
        "grpc.health.v1",
        "grpc.reflection.v1",
        "grpc.reflection.v1alpha",
    }


@of_the_standing
@pytest.mark.parametrize("role", ["router", "cache", "inference"])
async def test_stranger_without_a_certificate_is_refused_inside(standing, role):
    fleet, _ = standing
    target = fleet.document["services"][role]["listen"]
    for credentials in (None, grpc.ssl_channel_credentials(fleet.pki.ca.read_bytes())):
        channel = (
            grpc.aio.insecure_channel(target) if credentials is None else grpc.aio.secure_channel(target, credentials)
        )
        async with channel:
            with pytest.raises(grpc.aio.AioRpcError) as told:
                await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert told.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_health_command_sees_each_role_serve_and_end(fleet, run_command):
    for role in ("router", "cache", "inference", "gateway"):
        assert await run_command(fleet, "health", role) == (0, f"{role} is SERVING\n")
        assert await fleet.roles[role].stop() == 0
        code, words = await run_command(fleet, "health", role)
        assert code == 1
        assert "UNREACHABLE" in words
