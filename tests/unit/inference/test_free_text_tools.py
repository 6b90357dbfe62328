"""Tools of free text as functions: what the model writes comes back as the text, wherever its pieces are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.types import GenerationInput, Message, Role, Tool, ToolCall
from penstock_inference.adapters.providers.free_text import TextInArguments, as_functions

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def read(arguments: str, *cuts: int) -> str:
    places = [0, *sorted(cut % (len(arguments) + 1) for cut in cuts), len(arguments)]
    reader = TextInArguments()
    pieces = [arguments[start:end] for start, end in zip(places, places[1:], strict=False)]
    return "".join(map(reader.add, pieces)) + reader.end()


@given(texts, st.lists(st.integers(0, 200), max_size=5), st.booleans(), st.sampled_from([None, 2]))
def test_the_text_is_what_the_model_wrote(text, cuts, ascii_only, indent):
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only, indent=indent)
    assert read(arguments, *cuts) == text


def test_it_comes_as_it_is_written():
    reader = TextInArguments()
    assert [reader.add(piece) for piece in ('{"inp', 'ut": "*** Be', "gin\\", "n\\u00", "e9\\ud83d", '\\udc4b"', "}")] == [
        "", "*** Be", "gin", "\n", "é", "👋", "",
    ]  # fmt: skip
    assert reader.end() == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("*** Begin Patch\n", "*** Begin Patch\n"),
        ('{"patch":"x"}', '{"patch":"x"}'),
        ('{"input":5}', '{"input":5}'),
        ('{"a":1,"input":"x"}', '{"a":1,"input":"x"}'),
        ("{}", ""),
        ("", ""),
        ('{"input":"line\nof its own"}', "line\nof its own"),
        ('{"input":"cut', "cut"),
        ('{"input":"\\ud83d lone"}', "\ufffd lone"),
        ("x" * 200, "x" * 200),
    ],
)
def test_what_is_of_no_such_form_comes_back_as_it_is(arguments, text):
    for cut in range(len(arguments) + 1):
        assert read(arguments, cut) == text, cut


def test_tools_and_calls_before_are_functions():
    call = ToolCall(id="c", name="patch", arguments_json='a"b', is_custom=True)
    other = ToolCall(id="d", name="f", arguments_json="{}")
    turn = Message(role=Role.ASSISTANT, tool_calls=(call, other))
    grammar = '{"type":"grammar","grammar":{"syntax":"lark","definition":"start: x"}}'
    tools = (Tool(name="patch", description="d", custom_json=grammar), Tool(name="f", parameters_json="{}"))
    made = as_functions(GenerationInput(model="m", messages=(turn,), tools=tools))
    assert made.messages[0].tool_calls == (
        ToolCall(id="c", name="patch", arguments_json='{"input":"a\\"b"}'), other
    )  # fmt: skip
    schema = json.loads(made.tools[0].parameters_json)
    assert (schema["required"], schema["additionalProperties"]) == (["input"], False)
    assert "start: x" in schema["properties"]["input"]["description"]
    assert (made.tools[0].custom_json, made.tools[1]) == ("", tools[1])
