"""Two replicas that keep reasoning together: either goes on with what the other began, and Redis reads nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from penstock_common.background import background_work
from penstock_common.http.client import HttpClient
from penstock_common.llm.types import GenerationInput, Message, Role, Text, ToolCall
from penstock_common.redis_connection import RedisConnection
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import Body, OpenAIUpstream
from penstock_common.testing.redis_server import RedisServer
from penstock_common.testing.thinking_verifier import SignedThinker
from penstock_inference.adapters.shared_reasoning import KEY, SharedReasoning
from penstock_inference.domain.model_facts import ModelFacts, ThinkingBound
from penstock_inference.domain.reasoning.kept import KeptReasoning

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))

from dialect_rows import DONE, sse  # noqa: E402
from thinking_loops import Conversation, Service  # noqa: E402

PATIENCE = timedelta(seconds=20)
SECRET = b"s" * 32
FACTS = {"first": ModelFacts(thinking_bound=ThinkingBound.PREFIX)}


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server


@pytest.fixture
async def replicas(redis):
    """A function that makes replicas before one vendor, ``replicas.vendor``."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(HttpClient())
        server = await stack.enter_async_context(OpenAIUpstream())
        server.otherwise = vendor = SignedThinker()

        async def make(secret: bytes = SECRET) -> Service:
            connection = await stack.enter_async_context(RedisConnection(redis.url, PATIENCE))
            in_background = await stack.enter_async_context(background_work())
            shared = SharedReasoning(connection, secret, in_background)
            await shared.connect()
            return Service(client, {"first": {"a": server}}, {"first": "opus"}, FACTS, KeptReasoning(shared=shared))

        make.vendor = vendor
        make.server = server
        yield make


async def test_either_replica_goes_on_with_what_the_other_began(replicas):
    one, other = await replicas(), await replicas()
    conversation = Conversation(one, "one")
    for number in range(2):
        conversation.ask(f"Why, {number}?")
        conversation.service = other if conversation.service is one else one
        while await conversation.step():
            # Its answer is told before Redis has it: this comes behind what was written.
            await conversation.service.kept.shared.read("nobody", ["nothing"], PATIENCE.total_seconds())
            conversation.service = other if conversation.service is one else one
    assert {told.dropped for told in conversation.told} == {()}
    assert replicas.vendor.refusals == []
    assert replicas.vendor.verified > 0


async def test_redis_holds_it_sealed_for_a_while_and_for_its_tenant(replicas, redis):
    one = await replicas()
    conversation = Conversation(one, "one")
    conversation.ask("Why?")
    assert await conversation.step()
    shared = one.kept.shared
    # Behind what was written.
    await shared.read("nobody", ["nothing"], 1.0)
    with Redis.from_url(redis.url) as client:
        (key,) = client.keys(f"{KEY}*")
        assert 0 < client.pttl(key) <= 3_600_000
        sealed = client.get(key)
    assert b"Thought" not in sealed
    assert b"first/opus" not in sealed
    name = key.decode().removeprefix(KEY)
    assert (await shared.read("acme", [name], 60))[0] is not None
    assert await shared.read("other", [name], 60) == [None]
    with Redis.from_url(redis.url) as client:
        assert client.pttl(key) <= 60_000
        client.set(KEY + "moved", sealed)
        client.set(KEY + "odd", b"\x01odd")
    assert await shared.read("acme", ["moved", "odd", "nothing"], 60) == [None, None, None]


async def test_another_secret_and_an_absent_redis_are_misses(replicas, redis):
    one, stranger = await replicas(), await replicas(b"t" * 32)
    conversation = Conversation(one, "one")
    conversation.ask("Why?")
    assert await conversation.step()
    conversation.service = stranger
    assert await conversation.step()
    assert conversation.told[1].dropped == ("reasoning",)
    redis.stop()
    conversation.service = one
    assert await conversation.step()
    assert one.kept.entries == 2
    assert replicas.vendor.refusals == []


DETAILS = [{"type": "reasoning.encrypted", "data": "ZW5j", "id": "rs_1"}]
CALL = {"index": 0, "id": "call_9f", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLS = Body(
    frames=[
        sse({"choices": [{"index": 0, "delta": {"reasoning_details": DETAILS, "tool_calls": [CALL]}}]}),
        sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        DONE,
    ]
)


@pytest.mark.parametrize("has_key", [True, False], ids=["with a key", "without one"])
async def test_services_share_it_where_they_have_a_key(tmp_path, redis, serve, first, has_key):
    key = tmp_path / "key"
    key.write_bytes(SECRET)
    sections = {"redis": {"cache": redis.url}, "secrets": {"cache_key_file": str(key)} if has_key else {}}
    upstream = first.settings("first", hand_back_extras=True)
    one, other = await serve(upstream, **sections), await serve(upstream, **sections)
    first.enqueue(CALLS)
    answer = (await one.ask("first/m")).answer
    assert answer.parts[0].origin == "first/m"
    bare = Message(role=Role.ASSISTANT, tool_calls=(ToolCall(id="call_9f", name="f", arguments_json="{}"),))
    result = Message(role=Role.TOOL, parts=(Text(text="ok"),), tool_call_id="call_9f")
    value = GenerationInput(model="fast", messages=(*QUESTION.messages, bare, result))
    for replica, knows in ((one, True), (other, has_key)):
        outcome = await replica.ask("first/m", value=value)
        assert outcome.answer.started.dropped == (() if knows else ("reasoning",))
        assert first.requests[-1].body["messages"][1].get("reasoning_details") == (DETAILS if knows else None)


PROCESS = """
import asyncio, sys
sys.path.insert(0, {folder!r})
from dialect_rows import DONE, sse  # noqa: E402
from thinking_loops import *
from penstock_common.testing.thinking_verifier import SignedThinker
from penstock_inference.domain.model_facts import ThinkingBound

async def main():
    async with HttpClient() as client, OpenAIUpstream() as first, OpenAIUpstream() as second:
        first.otherwise, second.otherwise = SignedThinker("a"), SignedThinker("c")
        facts = dict.fromkeys(("first", "second"), ModelFacts(thinking_bound=ThinkingBound.PREFIX))
        service = Service(client, {{"first": {{"a": first}}, "second": {{"c": second}}}}, {{"first": "opus", "second": "x"}}, facts)
        conversation = Conversation(service, "one")
        await conversation.run("Why?")
        service.health.eject("first", "by hand", 60, force=True)
        await conversation.run("And then?")
        for request in [*first.requests, *second.requests]:
            sys.stderr.buffer.write(request.raw_body + b"\\n")

asyncio.run(main())
"""


def test_two_processes_send_the_same_bytes_whatever_their_hash_seeds():
    told = {
        subprocess.run(
            [sys.executable, "-c", PROCESS.format(folder=str(FOLDER))],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True, timeout=60,
        ).stderr
        for seed in ("1", "2")
    }  # fmt: skip
    (bytes_sent,) = told
    assert bytes_sent.count(b"\n") == 8
    assert b'"redacted_thinking"' in bytes_sent
