"""Several answers at once, of a server with manners of its own: OpenAI's format goes out, whatever came in."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock_common.testing.openai_upstream import Body, End
from penstock_gateway.surfaces.wire_formats.openai.chat.thinking import unwrapped_extras

sys.path.append(str(Path(__file__).parent))
import published_shapes as shapes  # noqa: E402

SIGNED = {"google": {"thought_signature": "AY89a18Iw=="}}
DETAILS = [{"type": "reasoning.text", "text": "Hm.", "index": 0}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
PINGS = [b": keep-alive\n\n", b"data:\n\n", b"event: ping\ndata: {}\n\n", b"data: null\n\n"]


def opened(told: Any) -> Any:
    """Return a signature as the provider gave it: callers get it wrapped, with whose it is."""
    return json.loads(unwrapped_extras(json.dumps(told))[0])


def chunk(index: object, delta: dict[str, Any], finish: str | None = None) -> bytes:
    document = {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def call(index: object, **piece: Any) -> bytes:
    return chunk(index, {"tool_calls": [piece]})


ODD = [
    chunk(0, {"content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "o"}]}), PINGS[0],
    call("1", id="call_one", extra_content=SIGNED), PINGS[1],
    chunk(0, {"content": "ne"}), chunk(0, {}, "end_turn"),
    call(1, function={"name": "weather"}), PINGS[2],
    call(1, function={"arguments": {"city": "Oslo"}}),
    chunk("1", {"reasoning_details": DETAILS}), chunk(1, {}, "STOP"), PINGS[3],
]  # fmt: skip


@pytest.fixture
async def suite(serve, document):
    """The suite before an upstream that is asked for streams, and waited for after the end of an answer for a moment."""
    document["upstreams"][0].update(whole_answers="stream", timeouts={"end": "100ms"})
    return await serve()


async def asked(suite: Any, stream: bool) -> Any:
    return await asyncio.wait_for(suite.ask(n=2, tools=[WEATHER], stream=stream), 60)


async def test_streamed_choices_of_an_odd_dialect_come_in_openais_form(suite, upstream):
    upstream.enqueue(Body(frames=ODD, end=End.STALL))
    answered = await asked(suite, stream=True)
    assert answered.status == 200
    texts, thoughts, ends = {0: "", 1: ""}, {0: "", 1: ""}, dict[int, str]()
    calls: list[dict[str, Any]] = []
    details: list[Any] = []
    for chunk_ in answered.chunks:
        msgspec.convert(chunk_, shapes.Chunk)
        for choice in chunk_["choices"]:
            number, delta = choice["index"], choice["delta"]
            assert number not in ends
            texts[number] += delta.get("content") or ""
            thoughts[number] += delta.get("reasoning_content") or ""
            details += [(number, detail) for detail in delta.get("reasoning_details", ())]
            calls += [{"choice": number, **piece} for piece in delta.get("tool_calls", ())]
            if choice["finish_reason"]:
                ends[number] = choice["finish_reason"]
    assert (texts, thoughts, ends) == ({0: "one", 1: ""}, {0: "Hm.", 1: ""}, {0: "stop", 1: "tool_calls"})
    assert details == [(1, DETAILS[0])]
    function = {"name": "weather", "arguments": '{"city":"Oslo"}'}
    assert [{**made, "extra_content": opened(made["extra_content"])} for made in calls] == [{
        "choice": 1, "index": 0, "id": "call_one", "type": "function", "function": function, "extra_content": SIGNED,
    }]  # fmt: skip


async def test_whole_choices_of_an_odd_dialect_come_in_openais_form(suite, upstream):
    upstream.enqueue(Body(frames=ODD, end=End.STALL))
    answered = await asked(suite, stream=False)
    assert answered.status == 200
    msgspec.json.decode(answered.body, type=shapes.Completion)
    first, second = answered.json["choices"]
    assert (first["index"], first["message"]["content"], first["finish_reason"]) == (0, "one", "stop")
    assert first["message"]["reasoning_content"] == "Hm."
    assert (second["index"], second["message"]["content"], second["finish_reason"]) == (1, None, "tool_calls")
    assert second["message"]["reasoning_details"] == DETAILS
    (told,) = second["message"]["tool_calls"]
    assert (told["id"], opened(told["extra_content"])) == ("call_one", SIGNED)
    assert told["function"] == {"name": "weather", "arguments": '{"city":"Oslo"}'}
    # The prompt counts once, what was answered for both.
    assert answered.json["usage"]["completion_tokens"] > 2
