"""Whatever the vendor answers goes back to it as it came: block for block, through the contract, streamed and whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_common.llm.convert.events import event_from_proto, event_to_proto
from penstock_common.llm.convert.input import input_from_proto, input_to_proto
from penstock_common.llm.events import Answer, merge_deltas
from penstock_common.llm.types import GenerationInput, Message, Role, Text, Tool
from penstock_common.testing import anthropic_answers as answers
from penstock_inference.adapters.providers.anthropic.request import Options, request_of
from penstock_inference.adapters.providers.anthropic.stream import MessageStream, whole_answer
from penstock_inference.domain.upstream import Stopped, UpstreamCall

SAID = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
SIGNED = st.text("abcDEF012+/=", min_size=1, max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
OBJECTS = st.dictionaries(st.text("abcz", min_size=1, max_size=3), JSON, max_size=3)
CITATIONS = st.lists(st.fixed_dictionaries({"type": st.just("char_location"), "cited_text": st.text(max_size=4)}),
                     min_size=1, max_size=3)  # fmt: skip
CALLER = {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}


def block(kind: str, **members: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), **members})


BLOCKS = st.one_of(
    block("text", text=SAID),
    block("text", text=SAID, citations=CITATIONS),
    block("thinking", thinking=st.just("") | SAID, signature=SIGNED),
    block("redacted_thinking", data=SIGNED),
    block("tool_use", id=SIGNED, name=st.just("f"), input=OBJECTS),
    block("tool_use", id=SIGNED, name=st.just("f"), input=OBJECTS, caller=st.just(CALLER)),
    block("tool_use", id=SIGNED, name=st.just("free"), input=st.fixed_dictionaries({"input": st.text(max_size=8)})),
    block("server_tool_use", id=SIGNED, name=st.just("web_search"), input=OBJECTS),
    block("web_search_tool_result", tool_use_id=SIGNED, content=st.lists(OBJECTS, max_size=2)),
)
ASKED = GenerationInput(
    model="m",
    messages=(Message(role=Role.USER, parts=(Text(text="Hi?"),)),),
    tools=(Tool(name="f"), Tool(name="free", custom_json="{}")),
)


def sent_back(answer: Message) -> list[dict[str, Any]]:
    """Return the assistant's blocks in the next request, which has come through the contract."""
    messages = (*ASKED.messages, answer, *ASKED.messages)
    value = input_from_proto(input_to_proto(GenerationInput(model="m", messages=messages, tools=ASKED.tools)))
    call = UpstreamCall(
        model="m", input=value, connect_seconds=1, headers_received=lambda: None, whole_expected=lambda: None
    )
    body = request_of(call, Options()).body
    assert isinstance(body, bytes)
    return json.loads(body)["messages"][1]["content"]


def written(blocks: list[dict[str, Any]]) -> str:
    """Return blocks with the order of what they hold, which decides of the vendor's cache and signatures."""
    return json.dumps([sorted(block.items()) for block in blocks])


def with_ids_of_this_format(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**block, "id": f"toolu_{number}"} if block["type"] == "tool_use" else block
        for number, block in enumerate(blocks)
    ]


@settings(max_examples=50)
@pytest.mark.parametrize("is_whole", [False, True], ids=["streamed", "whole"])
@given(blocks=st.lists(BLOCKS, min_size=1, max_size=7).map(with_ids_of_this_format), pieces=st.integers(1, 9))
def test_an_answer_goes_back_as_it_came(is_whole: bool, blocks: list[dict[str, Any]], pieces: int):
    message = answers.Message(content=blocks, stop_reason="tool_use", pieces=pieces)
    custom = frozenset({"free"})
    events: list[Any] = []
    if is_whole:
        events += whole_answer(message.whole().frames[0], custom)
    else:
        stream = MessageStream(custom)
        for frame in message.streamed().frames:
            events += stream.feed(frame)
    answer = Answer()
    for event in merge_deltas([event for event in events if not isinstance(event, Stopped)]):
        answer.add(event_from_proto(event_to_proto(event)))
    assert written(sent_back(answer.message())) == written(blocks)
