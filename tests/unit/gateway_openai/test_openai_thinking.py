"""Signed reasoning in OpenAI's format: what callers are given and hand back is, block for block, what the provider gave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    Candidate,
    ContentEvent,
    Finished,
    FinishReason,
    Message,
    Reasoning,
    ReasoningDelta,
    Started,
    Text,
    TextDelta,
    ToolCallDelta,
)
from penstock_gateway.surfaces.wire_formats.format import USUAL_FORM
from penstock_gateway.surfaces.wire_formats.openai.chat.parse import parse_chat_request
from penstock_gateway.surfaces.wire_formats.openai.chat.render import ChunkRenderer, render_whole
from penstock_inference.adapters.providers.carried import blocks_of

WHO = Candidate(upstream="anthropic", model="opus")
ORIGIN = "anthropic/opus#a1b2c3d4"
BEGIN = Started(generation_id="g", answered_by=WHO)
END = Finished(reason=FinishReason.TOOL_CALLS, answered_by=WHO)


def thought(text: str, signature: bytes, origin: str = ORIGIN) -> list[ContentEvent]:
    """Return a block as a stream brings it: in two pieces, then its signature."""
    pieces = [text[: len(text) // 2], text[len(text) // 2 :]]
    return [
        *[ReasoningDelta(text=piece) for piece in pieces if piece],
        ReasoningDelta(signature=signature, origin=origin),
    ]


def redacted(data: bytes) -> list[ContentEvent]:
    return [ReasoningDelta(hidden=data, origin=ORIGIN)]


def call(index: int, **more: Any) -> list[ContentEvent]:
    return [
        ToolCallDelta(index=index, id=f"toolu_{index}", name="f", **more),
        ToolCallDelta(index=index, arguments_json_fragment='{"z": 1, "a": 2}'),
    ]


def summed(events: Sequence[Any]) -> Answer:
    answer = Answer()
    for event in events:
        answer.add(event)
    return answer


def streamed(events: Sequence[Any]) -> dict[str, Any]:
    """Return the message that a client makes of the stream: texts and lists joined, as its library does."""
    frames = ChunkRenderer("chatcmpl-1", 0, include_usage=False).render(events)
    message: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": []}
    for line in frames.decode().splitlines():
        for choice in json.loads(line.removeprefix("data: "))["choices"] if line else ():
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            for name in ("thinking_blocks", "reasoning_details"):
                message.setdefault(name, []).extend(delta.get(name, ()))
            for piece in delta.get("tool_calls", ()):
                if "id" in piece:
                    message["tool_calls"].append({name: value for name, value in piece.items() if name != "index"})
                else:
                    message["tool_calls"][-1]["function"]["arguments"] += piece["function"]["arguments"]
    return message


def whole(events: Sequence[Any]) -> dict[str, Any]:
    return json.loads(render_whole([summed(events)], "chatcmpl-1", 0, USUAL_FORM))["choices"][0]["message"]


def handed_back(message: dict[str, Any]) -> Message:
    """Return the turn as the gateway reads it, once a client has sent it back without what is empty."""
    turn = {name: value for name, value in message.items() if value not in (None, [])}
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi?"}, turn, {"role": "user", "content": "And?"}]}
    return parse_chat_request(json.dumps(body).encode()).input.messages[1]


def order_of(message: Message) -> list[Any]:
    """Return a turn's blocks in their order."""
    told: list[Any] = []
    for block in blocks_of(message, "anthropic"):
        if isinstance(block, int):
            told.append(message.tool_calls[block].id)
        elif isinstance(block, Text):
            told.append(block.text)
        else:
            told.append(block)
    return told


TURNS = {
    "one": [*thought("Hm — so.", b"s1"), *call(0)],
    "two": [*thought("Hm.", b"s1"), *thought("And.", b"s2"), *call(0), *call(1)],
    "not shown": [*thought("", b"s1"), *call(0)],
    "redacted between": [*thought("Hm.", b"s1"), *redacted(b"\x00\xff"), *thought("", b"s2"), *call(0)],
    "text between": [*thought("Hm.", b"s1"), TextDelta(text="Let me see é."), *thought("Ah.", b"s2"), *call(0)],
    "text at both ends": [*thought("Hm.", b"s1"), TextDelta(text="A"), *redacted(b"h"), TextDelta(text="B")],
    "after a call": [*thought("Hm.", b"s1"), *call(0), *thought("More.", b"s2"), *call(1)],
    "all": [
        *thought("Hm.", b"s1"), TextDelta(text="One."), *call(0), *thought("", b"s2"), TextDelta(text="Two."), *call(1),
    ],
}  # fmt: skip


@pytest.mark.parametrize("given_as", [streamed, whole])
@pytest.mark.parametrize("name", TURNS)
def test_a_turn_comes_back_block_for_block(name: str, given_as: Any) -> None:
    events = [BEGIN, *TURNS[name], END]
    assert order_of(handed_back(given_as(events))) == order_of(summed(events).message())


@st.composite
def turns(draw: st.DrawFn) -> list[ContentEvent]:
    """Return a turn that begins with a thought, and has no text after a call but behind a thought."""
    events, calls, last = thought(draw(st.text(max_size=3)), b"s0"), 0, "thought"
    for number in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["thought", "redacted", "text", "call"]))
        if kind == "text" and last in ("text", "call"):
            continue
        last = kind
        if kind == "thought":
            events += thought(draw(st.text(max_size=3)), b"s%d" % number, draw(st.sampled_from(["", ORIGIN])))
        elif kind == "redacted":
            events += redacted(draw(st.binary(min_size=1, max_size=3)))
        elif kind == "text":
            events.append(TextDelta(text=draw(st.text(min_size=1, max_size=3))))
        else:
            events += call(calls)
            calls += 1
    return events


@given(turns())
def test_any_turn_comes_back_block_for_block(events: list[ContentEvent]) -> None:
    told = [BEGIN, *events, END]
    expected = order_of(summed(told).message())
    assert order_of(handed_back(streamed(told))) == expected
    assert order_of(handed_back(whole(told))) == expected


def test_an_unknown_signature_is_nobodys_and_comes_as_it_is() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "ZW5j"},
    ]
    turn = handed_back({"role": "assistant", "content": "So.", "thinking_blocks": blocks})
    first, second, text = turn.parts
    assert (first.text, first.signature, first.origin) == ("Hm.", b"EqQB", "")
    assert (second.hidden, second.origin, text) == (b"ZW5j", "", Text(text="So."))
    # For servers of this format, which take them back as they are.
    assert json.loads(first.extra_json) == {"thinking_blocks": blocks}


@pytest.mark.parametrize("altered", ["pk1.", "pk1.!!!", "pk1.AAAA", "pk1.laDEAXPEAAAAA"])
def test_a_wrapped_signature_that_was_altered_is_nothing(altered: str) -> None:
    blocks = [{"type": "thinking", "thinking": "Hm.", "signature": altered}]
    turn = handed_back({"role": "assistant", "content": "So.", "thinking_blocks": blocks})
    assert b"pk1" not in repr(turn).encode()
    assert turn.text == "So."


DETAILS = '{"reasoning_details":[{"type":"reasoning.text","text":"Hm.","signature":"sig"},{"type":"reasoning.encrypted","data":"ZW5j"}]}'
SIGNED_CALL = '{"extra_content":{"google":{"thought_signature":"Cg=="}}}'


@pytest.mark.parametrize("given_as", [streamed, whole])
def test_what_a_provider_gave_beside_comes_back_with_whose_it_is(given_as: Any) -> None:
    events = [
        BEGIN,
        ReasoningDelta(extra_json=DETAILS, origin=ORIGIN),
        *call(0, extra_json=SIGNED_CALL, origin="gemini/flash"),
        END,
    ]
    message = given_as(events)
    assert "pk1x." in json.dumps(message)
    turn = handed_back(message)
    (reasoning,), (made,) = turn.parts, turn.tool_calls
    assert isinstance(reasoning, Reasoning)
    assert (json.loads(reasoning.extra_json), reasoning.origin) == (json.loads(DETAILS), ORIGIN)
    assert (json.loads(made.extra_json), made.origin) == (json.loads(SIGNED_CALL), "gemini/flash")


def test_what_nobody_is_known_for_is_as_the_provider_gave_it() -> None:
    message = whole([BEGIN, ReasoningDelta(extra_json=DETAILS), *call(0, extra_json=SIGNED_CALL), END])
    assert message["reasoning_details"] == json.loads(DETAILS)["reasoning_details"]
    assert message["tool_calls"][0]["extra_content"] == json.loads(SIGNED_CALL)["extra_content"]


def test_a_signature_that_came_in_pieces_is_one_again() -> None:
    pieces = [
        ReasoningDelta(extra_json=json.dumps({"reasoning_details": [{"signature": half}]}), origin=ORIGIN)
        for half in "ab"
    ]
    told = streamed([BEGIN, *pieces, *call(0), END])
    joined = "".join(detail["signature"] for detail in told["reasoning_details"])
    turn = handed_back({**told, "reasoning_details": [{"signature": joined}]})
    assert json.loads(turn.parts[0].extra_json) == {"reasoning_details": [{"signature": "ab"}]}
