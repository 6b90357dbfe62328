"""Any answer that a wire can carry, read and handed back as history, is in the next request what it was."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_common.llm.types import Message, Role, Text, Tool
from penstock_faults import script
from penstock_faults.script import Answer, Block, Thought, ToolCall

sys.path.insert(0, str(Path(__file__).parent))

from conversations import WEATHER, asked, user  # noqa: E402
from wires import WIRES, Told, Wire, as_document  # noqa: E402

CITATION = {
    "type": "char_location", "cited_text": "x", "document_index": 0, "document_title": "a.pdf", "start_char_index": 0,
    "end_char_index": 1,
}  # fmt: skip
CITATION_OF_BEDROCK = {
    "title": "a.pdf", "sourceContent": [{"text": "x"}], "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 1}},
}  # fmt: skip
NO_SIGNATURE = "skip_thought_signature_validator"

words = st.text(st.sampled_from('aZé日👋"\\ \n<'), min_size=1, max_size=6).filter(str.strip)
pieces = st.lists(words, min_size=1, max_size=3).map(tuple)
signed = st.binary(min_size=3, max_size=9).map(lambda data: base64.b64encode(data).decode())
values = st.one_of(words, st.integers(-9, 9), st.lists(st.booleans(), max_size=2))


def cut(text: str) -> tuple[str, ...]:
    """A call's arguments in pieces."""
    return (text[:1], text[1:7], text[7:]) if len(text) > 7 else (text,)


def blocks_of(wire: Wire) -> st.SearchStrategy[tuple[Block, ...]]:
    """Answers that a wire can carry."""
    citation = CITATION_OF_BEDROCK if wire.format == "bedrock" else CITATION
    cited = st.just((citation,)) if wire.citations else st.just(())
    text = st.builds(script.Text, pieces=pieces, citations=st.one_of(st.just(()), cited), signature=_signature(wire))
    signs = wire.signatures or wire.format == "openai_responses"
    thought = st.builds(Thought, pieces=pieces, signature=signed if signs else st.just(""))
    hidden = st.builds(Thought, hidden=signed)
    call = st.builds(
        ToolCall,
        name=st.sampled_from(("weather", "clock")),
        fragments=st.dictionaries(words, values, max_size=2).map(json.dumps).map(cut),
        signature=_signature(wire),
    )
    kinds = [text, thought, call, *([hidden] if wire.hidden else [])]
    return st.lists(st.one_of(kinds), min_size=1, max_size=5).map(_numbered)


def _signature(wire: Wire) -> st.SearchStrategy[str]:
    return st.one_of(st.just(""), signed) if wire.format == "gemini" else st.just("")


def _numbered(blocks: list[Block]) -> tuple[Block, ...]:
    return tuple(
        ToolCall(name=block.name, fragments=block.fragments, signature=block.signature, id=f"call_{number}")
        if isinstance(block, ToolCall)
        else block
        for number, block in enumerate(blocks)
    )


def expected(blocks: Iterable[Block], wire: Wire) -> list[Told]:
    """What the next request has of an answer."""
    told = list(_expected(blocks, wire))
    if wire.ordered:
        return told
    # One text, one reasoning, and the calls after them.
    kinds = {kind: [block for block in told if block[0] == kind] for kind in ("reasoning", "text", "call")}
    joined = [
        (kind, "".join(block[1] for block in kinds[kind]), *kinds[kind][0][2:])
        for kind in ("reasoning", "text")
        if kinds[kind]
    ]
    return [*joined, *kinds["call"]]


def _expected(blocks: Iterable[Block], wire: Wire) -> Iterator[Told]:
    gemini = wire.format == "gemini"
    has_called = False
    for block in blocks:
        said = "" if isinstance(block, ToolCall) else "".join(block.pieces)
        if isinstance(block, ToolCall):
            signature = block.signature or ("" if has_called else NO_SIGNATURE)
            has_called = True
            arguments = json.loads("".join(block.fragments))
            yield "call", block.id if wire.ids else "", block.name, arguments, *([signature] if gemini else [])
        elif isinstance(block, Thought):
            if wire.format == "openai_responses":
                yield "hidden", block.hidden or block.signature, said
            elif block.hidden:
                yield "hidden", block.hidden
            elif wire.reasoning:
                yield "reasoning", said, block.signature
        else:
            beside = {
                "anthropic": [list(block.citations)],
                "bedrock": [list(block.citations)],
                "gemini": [block.signature],
            }
            yield "text", said, *beside.get(wire.format, [])


def merged(told: Iterable[Told], wire: Wire) -> list[Told]:
    """Neighbours of text with nothing beside it as one: no reader knows where one ended.

    Of Gemini's the signature at the end of a text is that of all of it, as a stream has it.
    """
    run: list[Told] = []
    for block in told:
        ends = _is_plain(block) or (wire.format == "gemini" and block[0] == "text")
        if run and _is_plain(run[-1]) and ends and run[-1][0] == block[0]:
            run[-1] = (block[0], run[-1][1] + block[1], *block[2:])
        else:
            run.append(block)
    return run


def _is_plain(block: Told) -> bool:
    return block[0] in ("text", "reasoning") and not any(block[2:])


def history(message: Message) -> tuple[Message, ...]:
    """The conversation that goes on after an answer: its calls are answered, or the user says more."""
    results = [Message(role=Role.TOOL, parts=(Text(text="fine"),), tool_call_id=call.id) for call in message.tool_calls]
    return (user("Hi?"), message, *(results or [user("Go on.")]))


TOOLS = (WEATHER, Tool(name="clock", parameters_json='{"type":"object"}'))


@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize("name", WIRES)
async def test_what_was_answered_is_handed_back(name: str, whole: bool, stage_of):
    wire, stage = WIRES[name], await stage_of(name)

    async def asked_for(*turns: Message, whole: bool = False) -> Message:
        outcome = await stage.caller.ask("first/m", value=asked(*turns, tools=TOOLS), whole=whole)
        assert outcome.error is None
        return outcome.answer.message()

    for blocks in examples_of(blocks_of(wire)):
        finish = "tool_calls" if any(isinstance(block, ToolCall) for block in blocks) else "stop"
        stage.plays(Answer(blocks=blocks, finish_reason=finish))
        answer = await asked_for(user("Hi?"), whole=whole)
        await asked_for(*history(answer))
        told = [_meant(block) for block in wire.told(stage.last.body)]
        assert merged(told, wire) == merged(expected(blocks, wire), wire), blocks


def _meant(block: Told) -> Told:
    return (*block[:3], as_document(block[3]), *block[4:]) if block[0] == "call" else block


def examples_of(strategy: st.SearchStrategy[Any]) -> list[Any]:
    """What a strategy makes, the shortest first: what is held of it is asked in the loop that runs."""
    examples: list[Any] = []

    @settings(max_examples=30, database=None)
    @given(strategy)
    def collect(example: Any) -> None:
        examples.append(example)

    collect()
    return sorted(examples, key=len)
