"""The scripted upstream on OpenAI's wire, asked over a raw socket."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from penstock_faults.gates import Gates
from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.named import SCRIPTS, SEEN
from penstock_faults.record import Record
from penstock_faults.script import OTHER_TOKENS, TEXT, TOKENS, Answer, Break, Pace, Script, Step, ToolCall, once

HELLO = [{"role": "user", "content": "Hello"}]


def request(path: str = "/v1/chat/completions", **body) -> bytes:
    data = json.dumps({"model": "m", "messages": HELLO, **body}).encode()
    return b"POST %b HTTP/1.1\r\ncontent-length: %d\r\nauthorization: Bearer sk-secret\r\n\r\n%b" % (
        path.encode(), len(data), data,
    )  # fmt: skip


@asynccontextmanager
async def connected(upstream):
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def raw(upstream, data: bytes) -> tuple[bytes, bool]:
    """Everything that comes back on a connection until its end, and whether that was a reset."""
    async with connected(upstream) as (reader, writer):
        writer.write(data)
        got = b""
        try:
            while piece := await reader.read(65536):
                got += piece
        except ConnectionError:
            return got, True
        return got, False


async def asked(upstream, path: str = "/v1/chat/completions", **body) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a response that ends well."""
    async with connected(upstream) as (reader, writer):
        writer.write(request(path, **body))
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        content = b""
        while size := int(await reader.readline(), 16):
            content += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        headers = dict(line.split(": ", 1) for line in lines)
        return int(first.split()[1]), headers, content


def text_of(stream: bytes) -> str:
    """The text of a stream's chunks."""
    events = [event[6:] for event in stream.decode().split("\n\n") if event.startswith("data: {")]
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def test_a_stream_has_role_text_reason_usage_and_end():
    async with ScriptedUpstream(SCRIPTS["good"]) as upstream:
        status, headers, body = await asked(upstream, stream=True)
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    assert text_of(body) == TEXT
    assert b'"finish_reason": "stop"' in body
    assert b'"completion_tokens": 17' in body
    assert body.endswith(b"data: [DONE]\n\n")


async def test_a_whole_answer_is_one_document():
    async with ScriptedUpstream(SCRIPTS["good"]) as upstream:
        _, headers, body = await asked(upstream)
    document = json.loads(body)
    assert headers["content-type"] == "application/json"
    assert document["choices"][0]["message"]["content"] == TEXT
    assert document["usage"]["completion_tokens"] == len(TOKENS)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_call_in_pieces_is_the_same_call(stream):
    script = Script(steps=(Step(answer=Answer(tokens=(), finish_reason="tool_calls", tool_calls=(
        ToolCall(name="weather", fragments=('{"city"', ': "Oslo"}')),
    ))),))  # fmt: skip
    async with ScriptedUpstream(script) as upstream:
        _, _, body = await asked(upstream, stream=stream)
    if stream:
        chunks = [json.loads(event[6:]) for event in body.decode().split("\n\n") if event.startswith("data: {")]
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
        assert "".join(call["function"]["arguments"] for call in calls) == '{"city": "Oslo"}'
        assert calls[0]["function"]["name"] == "weather"
    else:
        (call,) = json.loads(body)["choices"][0]["message"]["tool_calls"]
        assert call["function"] == {"name": "weather", "arguments": '{"city": "Oslo"}'}


async def test_embeddings_are_the_same_for_the_same_text():
    async with ScriptedUpstream(SCRIPTS["good"]) as upstream:
        _, _, body = await asked(upstream, "/v1/embeddings", input=["a", "b", "a"])
    first, second, third = (entry["embedding"] for entry in json.loads(body)["data"])
    assert first == third != second


PREFIX = "".join(TOKENS[:3])[:-2]


@pytest.mark.parametrize(
    ("script", "more", "status", "text"),
    [
        ("good", {}, 200, TEXT[len(PREFIX) :]),
        ("refuses-prefill", {}, 400, ""),
        ("ignores-prefill", {}, 200, TEXT),
        ("continues-when-asked", {}, 200, TEXT),
        ("continues-when-asked", {"continue_final_message": True}, 200, TEXT[len(PREFIX) :]),
        ("other-answer", {}, 200, "".join(OTHER_TOKENS)),
    ],
)
async def test_a_beginning_is_gone_on_from_refused_or_passed_over(script, more, status, text):
    messages = [*HELLO, {"role": "assistant", "content": PREFIX}]
    async with ScriptedUpstream(SCRIPTS[script]) as upstream:
        answered, _, body = await asked(upstream, stream=True, messages=messages, **more)
    assert (answered, text_of(body)) == (status, text)
    if status == 400:
        assert "prefill" in json.loads(body)["error"]["message"]


async def test_every_byte_on_the_wire_can_be_the_last():
    async with ScriptedUpstream(SCRIPTS["good"]) as upstream, connected(upstream) as (reader, writer):
        writer.write(request(stream=True))
        whole = await reader.readuntil(b"\r\n0\r\n\r\n")
    steps = tuple(once(Step(broken=Break(by="close", wire_bytes=number))) for number in range(1, len(whole), 7))
    async with ScriptedUpstream(Script(steps=steps)) as upstream:
        for number in range(1, len(whole), 7):
            got, was_reset = await raw(upstream, request(stream=True))
            assert (got, was_reset) == (whole[:number], False)


async def test_a_reset_is_one_and_a_close_is_none():
    async with ScriptedUpstream(SCRIPTS["cut-reset"]) as upstream:
        got, was_reset = await raw(upstream, request(stream=True))
    assert was_reset
    async with ScriptedUpstream(SCRIPTS["cut-close"]) as upstream:
        got, was_reset = await raw(upstream, request(stream=True))
    assert not was_reset
    assert got.count(b"data: ") == 4
    assert not got.endswith(b"0\r\n\r\n")


async def test_what_is_held_waits_for_its_gate():
    gates = Gates()
    async with ScriptedUpstream(SCRIPTS["cut-close"], gates=gates) as upstream, connected(upstream) as (reader, writer):
        writer.write(request(stream=True))
        await reader.readuntil(TOKENS[2].encode())
        assert upstream.record.concurrent == 1
        gates.open(SEEN)
        assert b"[DONE]" not in await reader.read()


@pytest.mark.parametrize(
    ("name", "header", "value"),
    [
        ("429-two-seconds", "retry-after", "2"),
        ("429-milliseconds", "retry-after-ms", "1500"),
        ("429-garbage", "retry-after", "soon"),
        ("429-negative", "retry-after", "-1"),
    ],
)
async def test_retry_after_has_its_forms(name, header, value):
    async with ScriptedUpstream(SCRIPTS[name]) as upstream:
        status, headers, _ = await asked(upstream)
    assert (status, headers[header]) == (429, value)


async def test_a_date_says_when():
    async with ScriptedUpstream(SCRIPTS["429-date"]) as upstream:
        _, headers, _ = await asked(upstream)
    assert headers["retry-after"].endswith(" GMT")


async def test_steps_are_met_in_turn_and_then_all_is_well():
    script = Script(steps=(Step(times=2, status=500), once(Step(status=429))))
    async with ScriptedUpstream(script) as upstream:
        assert [(await asked(upstream))[0] for _ in range(4)] == [500, 500, 429, 200]


async def test_a_client_that_leaves_is_seen_to_leave():
    async with ScriptedUpstream(SCRIPTS["silence"]) as upstream:
        async with connected(upstream) as (_, writer):
            writer.write(request())
            seen = await upstream.record.next_request()
        await asyncio.wait_for(seen.left.wait(), 60)
    assert seen.left_at is not None and seen.left_at >= seen.at
    assert upstream.record.open_connections == 0


async def test_what_was_seen_is_told_without_the_key():
    told = []
    async with ScriptedUpstream(SCRIPTS["good"], record=Record(told.append)) as upstream:
        await asked(upstream)
    (seen,) = told
    document = seen.document()
    assert document["body"]["messages"] == HELLO
    assert document["sent_bytes"] > 0
    assert "sk-secret" not in json.dumps(document)


async def test_connections_are_kept_and_counted():
    async with ScriptedUpstream(SCRIPTS["good"]) as upstream, connected(upstream) as (reader, writer):
        for _ in range(3):
            writer.write(request())
            await reader.readuntil(b"\r\n0\r\n\r\n")
    assert len(upstream.record.requests) == 3
    assert len(upstream.record.connections) == 1
    assert upstream.record.most_concurrent == 1


@pytest.mark.parametrize("name", ["streams-only", "whole-only"])
async def test_some_answer_in_their_own_way_whatever_is_asked(name):
    async with ScriptedUpstream(SCRIPTS[name]) as upstream:
        _, headers, _ = await asked(upstream, stream=name == "whole-only")
    assert headers["content-type"].startswith("text/event-stream" if name == "streams-only" else "application/json")


async def test_tokens_keep_their_pace():
    script = Script(steps=(Step(answer=Answer(tokens=("a", "b", "c")), pace=Pace(token_seconds=0.02)),))
    async with ScriptedUpstream(script) as upstream:
        _, _, body = await asked(upstream, stream=True)
    assert text_of(body) == "abc"
    (seen,) = upstream.record.requests
    assert seen.ended_at - seen.at >= 0.04


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - {"slow", "first-token-late", "paced", "bimodal"}))
async def test_every_script_by_name_can_be_played_and_left(name):
    async with ScriptedUpstream(SCRIPTS[name]) as upstream:
        async with connected(upstream) as (_, writer):
            writer.write(request(stream=True))
            seen = await upstream.record.next_request()
        assert seen.streams
    assert upstream.record.open_connections == 0
