"""Inference under an Idempotency-Key over gRPC, and vectors."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import grpc
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from administrator import refused  # noqa: E402
from embedding_world import MODEL, embedding_section  # noqa: E402
from jobs_desk import QUICK  # noqa: E402

from penstock.gateway.v1 import chat_service_pb2, embedding_service_pb2, job_service_pb2  # noqa: E402
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub  # noqa: E402
from penstock.gateway.v1.embedding_service_pb2_grpc import EmbeddingServiceStub  # noqa: E402
from penstock.gateway.v1.job_service_pb2_grpc import JobServiceStub  # noqa: E402
from penstock.llm.v1 import generation_pb2, message_pb2  # noqa: E402
from penstock_common.testing.openai_upstream import Answer  # noqa: E402

HEAD = (("authorization", "Bearer demo-key-demo-key-demo"), ("idempotency-key", "k1"))


@pytest.fixture
def document(document):
    document["jobs"] = QUICK
    return document


def asked(kind=chat_service_pb2.ChatRequest, text="Hi"):
    turn = message_pb2.Message(role=message_pb2.ROLE_USER, parts=[message_pb2.ContentPart(text=text)])
    return kind(input=generation_pb2.GenerationInput(model="fast", messages=[turn]))


async def streamed(suite, head=HEAD):
    call = ChatServiceStub(suite.channel).StreamChat(
        asked(chat_service_pb2.StreamChatRequest), metadata=head, timeout=30
    )
    events = [event async for event in call]
    return events, dict(await call.initial_metadata())


async def test_whole_answer_is_given_again(suite, upstream):
    stub, answers, heads = ChatServiceStub(suite.channel), [], []
    for _ in range(2):
        call = stub.Chat(asked(), metadata=HEAD, timeout=30)
        answers.append(await call)
        heads.append(dict(await call.initial_metadata()))
    assert answers[0] == answers[1]
    assert answers[0].usage.output_tokens
    assert "idempotent-replayed" not in heads[0]
    assert heads[1]["idempotent-replayed"] == "true"
    assert heads[1]["x-penstock-original-request-id"] == heads[0]["x-request-id"] != heads[1]["x-request-id"]
    assert len(upstream.requests) == 1
    status, reason, _ = await refused(stub.Chat(asked(text="Other"), metadata=HEAD, timeout=30))
    assert (status, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED")
    status, reason, _ = await refused(stub.Chat(asked(), metadata=(HEAD[0], ("idempotency-key", "")), timeout=30))
    assert (status, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert [row["outcome"] for row in await suite.ledger_after_close()] == ["ok"]


async def test_stream_is_joined_and_given_again(suite, upstream, hold):
    upstream.enqueue(Answer(tokens=["Hello", " there"], hold={2: hold}))
    asking = [asyncio.ensure_future(streamed(suite)) for _ in range(5)]
    await upstream.next_request()
    status, reason, _ = await refused(
        ChatServiceStub(suite.channel).StreamChat(
            asked(chat_service_pb2.StreamChatRequest), metadata=(*HEAD, ("x-penstock-idempotency", "conflict")), timeout=30
        ).read()
    )  # fmt: skip
    assert (status, reason) == (grpc.StatusCode.ABORTED, "IDEMPOTENCY_IN_PROGRESS")
    hold.set()
    told = [*await asyncio.gather(*asking), await streamed(suite)]
    texts = [
        "".join(event.event.text_delta.text for event in events if event.event.HasField("text_delta"))
        for events, _ in told
    ]
    assert texts == ["Hello there"] * 6
    assert len({events[0].event.started.generation_id for events, _ in told}) == 1
    assert sum("idempotent-replayed" in head for _, head in told) == 5
    assert len(upstream.requests) == 1


async def test_vectors_are_given_again_on_both_surfaces(document, serve, tmp_path_factory):
    document["embedding"] = embedding_section(tmp_path_factory.getbasetemp() / "models")
    suite = await serve()
    request = embedding_service_pb2.EmbedRequest(model=MODEL, inputs=["hello world"])
    calls = [EmbeddingServiceStub(suite.channel).Embed(request, metadata=HEAD, timeout=30) for _ in range(2)]
    first, second = [await call for call in calls]
    assert first == second
    assert [dict(await call.initial_metadata()).get("idempotent-replayed") for call in calls].count("true") == 1
    body = json.dumps({"model": MODEL, "input": "hello world"}).encode()
    head = {"authorization": f"Bearer {suite.KEY}", "idempotency-key": "k2", "content-type": "application/json"}
    answers = [await suite.request("POST", "/v1/embeddings", data=body, headers=head) for _ in range(2)]
    assert answers[0].body == answers[1].body
    assert [each.header.get("idempotent-replayed") for each in answers] == [None, "true"]
    assert len(await suite.ledger_after_close()) == 2


async def test_job_is_submitted_once(suite):
    async def submit(text, key="k3"):
        call = JobServiceStub(suite.channel).SubmitJob(
            job_service_pb2.SubmitJobRequest(chat=asked(text=text)),
            metadata=(HEAD[0], ("idempotency-key", key)),
            timeout=30,
        )
        return (await call).job.id, dict(await call.initial_metadata()).get("idempotent-replayed")

    told = await asyncio.gather(*(submit("Hi") for _ in range(10)))
    assert len({job for job, _ in told}) == 1
    assert [replayed for _, replayed in told].count("true") == 9
    assert (await refused(submit("Other")))[1] == "IDEMPOTENCY_KEY_REUSED"
    assert (await submit("Other", "k4"))[1] is None
    # A chat under the key of a job is another request.
    stub = ChatServiceStub(suite.channel)
    status, _, _ = await refused(stub.Chat(asked(), metadata=(HEAD[0], ("idempotency-key", "k3")), timeout=30))
    assert status == grpc.StatusCode.FAILED_PRECONDITION
