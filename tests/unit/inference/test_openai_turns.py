"""How turns of the vocabulary become messages of a chat completion, byte for byte."""

import json

import pytest

from penstock_common.llm.types import (
    File,
    GenerationInput,
    Image,
    Message,
    Opaque,
    Reasoning,
    Role,
    SamplingParams,
    Text,
    Tool,
    ToolCall,
    UnsupportedFields,
)
from penstock_inference.adapters.providers.openai.dialect import DIALECTS
from penstock_inference.adapters.providers.openai.request import body_from_input
from penstock_inference.domain.failure import AttemptFailed
from penstock_inference.domain.model_facts import ModelFacts
from penstock_inference.domain.unsupported import FieldPolicy

PNG = b"\x89PNG\r\n\x1a\n"
PIECE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def sent(*messages, server="openai", policy=None, facts=None, **more):
    value = GenerationInput(model="m", messages=messages, **more)
    facts = {} if facts is None else {"facts": facts}
    return json.loads(body_from_input(value, "m", DIALECTS[server], policy or FieldPolicy(), **facts))


def turn(role, *parts, **more):
    return Message(role=role, parts=parts, **more)


def texts(*words, **more):
    return [Text(text=word, **more) for word in words]


@pytest.mark.parametrize("server", DIALECTS)
def test_texts_of_an_assistants_turn_are_one_and_those_of_others_stay_several(server):
    said = sent(
        turn(Role.USER, *texts("a", "b")),
        turn(Role.ASSISTANT, *texts("c", "d")),
        turn(
            Role.ASSISTANT,
            Opaque(format="anthropic", json="{}"),
            *texts("e", "f"),
            tool_calls=(ToolCall(id="i", name="f", arguments_json="{}"),),
        ),
        server=server,
    )["messages"]
    assert said[0]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert said[1] == {"role": "assistant", "content": "cd"}
    assert said[2]["content"] == "ef"


def test_reasoning_that_a_server_takes_no_more_is_left_out_and_noted():
    hidden = turn(Role.ASSISTANT, Reasoning(hidden=b"x", origin="a/b"), Text(text="Hi"))
    shown = turn(Role.ASSISTANT, Reasoning(text="Hm.", signature=b"x"), Text(text="Hi"))
    for server, messages, noted in (
        ("openai", (shown,), ("reasoning handed back",)),
        ("openai", (hidden,), ("reasoning handed back",)),
        ("vllm", (hidden,), ("reasoning handed back",)),
        ("vllm", (shown,), ()),
    ):
        policy = FieldPolicy()
        said = sent(*messages, server=server, policy=policy)["messages"][0]
        assert said["content"] == "Hi"
        assert policy.dropped == noted
        assert ("reasoning_content" in said) is (not noted)


def test_a_call_that_failed_is_said_to_have():
    def answer(*words):
        return turn(Role.TOOL, *texts(*words), tool_call_id="c", is_error=True)

    said = sent(answer("no such file"), answer("Error: none"), answer(), answer("a", "b"))["messages"]
    assert [one["content"] for one in said[:3]] == ["Error: no such file", "Error: none", "Error: "]
    assert [piece["text"] for piece in said[3]["content"]] == ["Error: a", "b"]


def test_what_tools_show_comes_after_all_of_their_answers():
    image = Image(data=PNG)
    said = sent(
        turn(Role.TOOL, Text(text="one"), image, tool_call_id="a"),
        turn(Role.TOOL, image, tool_call_id="b"),
        turn(Role.ASSISTANT, Text(text="Seen.")),
        turn(Role.TOOL, image, tool_call_id="c"),
    )["messages"]
    assert said == [
        {"role": "tool", "content": "one", "tool_call_id": "a"},
        {"role": "tool", "content": "It is shown in the next message.", "tool_call_id": "b"},
        {"role": "user", "content": [PIECE, PIECE]},
        {"role": "assistant", "content": "Seen."},
        {"role": "tool", "content": "It is shown in the next message.", "tool_call_id": "c"},
        {"role": "user", "content": [PIECE]},
    ]


def test_documents_by_id_go_to_openai_and_by_url_to_nobody():
    by_id = turn(Role.USER, File(id="file-1", context="From May."))
    assert sent(by_id)["messages"][0]["content"] == [
        {"type": "text", "text": "From May."},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    for server, file in (("openai", File(url="https://a/b.pdf")), ("vllm", File(id="file-1"))):
        with pytest.raises(AttemptFailed) as failed:
            sent(turn(Role.USER, file), server=server, policy=FieldPolicy(UnsupportedFields.DROP))
        assert not failed.value.may_be_dropped


@pytest.mark.parametrize(
    ("server", "facts", "is_sent"),
    [
        ("openai", ModelFacts(), True),
        ("openai", ModelFacts(cache_breakpoints=False), False),
        ("openai", None, False),
        ("vllm", ModelFacts(), False),
    ],
)
def test_ends_of_prefixes_go_to_models_of_openai_that_are_known_to_take_them(server, facts, is_sent):
    policy = FieldPolicy()
    said = sent(turn(Role.USER, Text(text="a", cache_breakpoint=True)), server=server, facts=facts, policy=policy)
    piece = {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}
    assert said["messages"][0]["content"] == ([piece] if is_sent else "a")
    assert policy.dropped == ()


@pytest.mark.parametrize(
    ("efforts", "asked", "given"),
    [
        ((), "max", "max"),
        (("low", "high"), "high", "high"),
        (("low", "medium", "high", "xhigh"), "max", "xhigh"),
        (("low", "medium"), "none", "low"),
        (("none", "low"), "minimal", "low"),
        (("low", "high"), "ultra", "ultra"),
    ],
)
def test_an_effort_that_a_model_does_not_know_is_the_nearest_and_noted(efforts, asked, given):
    policy = FieldPolicy()
    said = sent(
        turn(Role.USER, Text(text="a")),
        sampling=SamplingParams(reasoning_effort=asked),
        facts=ModelFacts(efforts=efforts),
        policy=policy,
    )
    assert said["reasoning_effort"] == given
    assert policy.dropped == (() if asked == given else (f"reasoning_effort={asked}",))


def test_a_tool_that_another_provider_runs_is_never_sent():
    tools = (Tool(name="web_search", opaque=Opaque(format="anthropic", json='{"type":"web_search"}')), Tool(name="f"))
    policy = FieldPolicy(UnsupportedFields.DROP)
    said = sent(turn(Role.USER, Text(text="a")), tools=tools, policy=policy)
    assert [tool["function"]["name"] for tool in said["tools"]] == ["f"]
    assert policy.dropped == ("tools of the provider's",)
    for mode in (UnsupportedFields.REFUSE, UnsupportedFields.PASS):
        with pytest.raises(AttemptFailed, match="input.tools\\[0\\].opaque"):
            sent(turn(Role.USER, Text(text="a")), tools=tools, policy=FieldPolicy(mode))
