"""What callers ask for beside the conversation: it arrives, or the answer says that it did not, or it is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock_common.testing.openai_upstream import Answer, Body, Failure, ToolCall

sys.path.append(str(Path(__file__).parent))
import published_shapes as shapes  # noqa: E402

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 7, "completion_tokens": 6, "total_tokens": 13}
TOKEN = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1, "bytes": None}]}


def whole(*choices: dict[str, Any]) -> Body:
    document = {"object": "chat.completion", "model": "m", "choices": choices, "usage": USAGE}
    return Body(frames=[json.dumps(document).encode()], content_type="application/json")


def streamed(*choices: dict[str, Any]) -> Body:
    chunks = [*({"choices": [choice]} for choice in choices), {"choices": [], "usage": USAGE}]
    return Body(frames=[*(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks), DONE])


def said(index: int, content: str, **more: Any) -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant", "content": content}, "finish_reason": "stop", **more}


def piece(index: int, content: str = "", **more: Any) -> dict[str, Any]:
    return {"index": index, "delta": {"content": content}, "finish_reason": None, **more}


@pytest.fixture
def openai_document(document: dict[str, Any]) -> dict[str, Any]:
    """The configuration with OpenAI as the first upstream, and a server of the format as the second."""
    document["upstreams"][0]["provider"] = "openai"
    return document


NATIVE = {
    "user": "u", "metadata": {"a": "b"}, "safety_identifier": "s", "store": True, "prompt_cache_key": "k",
    "prompt_cache_retention": "24h", "logit_bias": {"50256": -100}, "verbosity": "low",
    "prediction": {"type": "content", "content": "x"}, "web_search_options": {}, "reasoning": {"summary": "auto"},
    "reasoning_effort": "low", "parallel_tool_calls": False, "seed": 0, "top_p": 0, "temperature": 0,
    "presence_penalty": -2,
}  # fmt: skip


async def test_what_openai_takes_reaches_openai(serve, openai_document, upstream):
    suite = await serve()
    answered = await suite.ask(**NATIVE)
    assert answered.status == 200, answered.body
    assert "x-penstock-dropped" not in answered.header
    (request,) = upstream.requests
    assert {name: request.body.get(name) for name in NATIVE} == NATIVE


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hint_that_nobody_takes_is_left_out_and_told(suite, upstream, stream):
    answered = await suite.ask(user="u", metadata={"a": "b"}, store=False, stream=stream)
    assert answered.status == 200
    assert answered.header["x-penstock-dropped"] == "user, metadata"
    assert not upstream.requests[0].body.keys() & {"user", "metadata", "store"}
    # The next user's answer comes from the cache, and nothing of hers was dropped.
    again = await suite.ask(stream=stream)
    assert again.header["x-penstock-cache"].startswith("hit")
    assert "x-penstock-dropped" not in again.header


async def test_what_no_candidate_takes_is_refused_in_the_callers_words_with_the_ways_out(suite, upstream):
    refused = await suite.ask(verbosity="low")
    assert (refused.status, refused.error["code"], refused.error["param"]) == (
        400, "unsupported_parameter", "verbosity",
    )  # fmt: skip
    assert "'verbosity'" in refused.error["message"]
    assert "unsupported: drop" in refused.error["message"]
    assert "passthrough: true" in refused.error["message"]
    assert "extra_json" not in refused.error["message"]
    assert not upstream.requests


@pytest.mark.parametrize("stream", [False, True])
async def test_the_switch_drops_and_the_answer_says_so(serve, document, upstream, stream):
    document["models"][0]["unsupported"] = "drop"
    suite = await serve()
    asked = {"verbosity": "low", "reasoning": {"a": 1}, "x\r\nset-cookie: a": 1, "user": "u"}
    if stream:
        asked["stream_options"] = {"include_usage": True}
    answered = await suite.ask(stream=stream, **asked)
    assert answered.status == 200, answered.body
    assert answered.header["x-penstock-dropped"] == "verbosity, reasoning, (another field), user"
    assert "set-cookie" not in answered.header
    assert not upstream.requests[0].body.keys() & asked.keys() - {"stream_options"}
    if stream:
        assert answered.chunks[-1]["x_penstock"]["dropped"][:2] == ["verbosity", "reasoning"]
    told = await suite.ask(verbosity="low", reasoning={"a": 1}, stream=stream, **{"x\r\nset-cookie: a": 1})
    assert told.header["x-penstock-cache"].startswith("hit")
    assert told.header["x-penstock-dropped"] == "verbosity, reasoning, (another field)"


async def test_the_switch_passes_what_it_does_not_know(serve, document, upstream):
    document["models"][0]["unsupported"] = "pass"
    suite = await serve()
    answered = await suite.ask(verbosity="low")
    assert answered.status == 200
    assert "x-penstock-dropped" not in answered.header
    assert upstream.requests[0].body["verbosity"] == "low"
    # What decides who answers and what it costs has fields of its own, and is not passed.
    assert (await suite.ask(best_of=2)).status == 400


async def test_candidates_that_take_a_field_come_first_and_the_others_step_in(
    serve, openai_document, upstream, second_upstream
):
    openai_document["models"][1].update(candidates=["second/m1", "first/m1"], unsupported="drop")
    suite = await serve()
    answered = await suite.ask(model="safe", verbosity="low")
    assert answered.header["x-penstock-upstream"] == "first"
    assert "x-penstock-dropped" not in answered.header
    assert not second_upstream.requests
    upstream.enqueue(Failure(503), Failure(503))
    answered = await suite.ask(model="safe", verbosity="high")
    assert (answered.header["x-penstock-upstream"], answered.header["x-penstock-dropped"]) == ("second", "verbosity")
    assert second_upstream.requests[0].body["messages"]


async def test_several_answers_come_whole(suite, upstream):
    upstream.enqueue(whole(said(0, "one"), said(2, "three"), said(1, "two", finish_reason="length")))
    answered = await suite.ask(n=3)
    completion = msgspec.json.decode(answered.body, type=shapes.Completion)
    assert upstream.requests[0].body["n"] == 3
    assert [(choice.index, choice.message.content, choice.finish_reason) for choice in completion.choices] == [
        (0, "one", "stop"), (1, "two", "length"), (2, "three", "stop"),
    ]  # fmt: skip
    assert completion.usage.completion_tokens == 6
    # They are wanted because they differ.
    assert answered.header["x-penstock-cache"] == "bypass; reason=several"


async def test_several_answers_come_streamed_each_under_its_number(suite, upstream):
    upstream.enqueue(
        streamed(
            piece(0, "o"), piece(1, "t"), piece(0, "ne"), piece(0, finish_reason="stop"), piece(1, "wo"),
            piece(1, finish_reason="length"),
        )
    )  # fmt: skip
    answered = await suite.ask(n=2, stream=True, stream_options={"include_usage": True})
    chunks = [msgspec.json.decode(json.dumps(chunk), type=shapes.Chunk) for chunk in answered.chunks]
    texts: dict[int, str] = {0: "", 1: ""}
    ends: dict[int, str] = {}
    roles: list[int] = []
    for chunk in chunks:
        for choice in chunk.choices:
            assert choice.index not in ends
            texts[choice.index] += choice.delta.content or ""
            if choice.delta.role is not msgspec.UNSET:
                roles.append(choice.index)
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
    assert (texts, ends, sorted(roles)) == ({0: "one", 1: "two"}, {0: "stop", 1: "length"}, [0, 1])
    assert chunks[-1].usage.completion_tokens == 6


@pytest.mark.parametrize("stream", [False, True])
async def test_fewer_answers_than_asked_for_are_no_answer(suite, upstream, stream):
    for _ in range(2):
        upstream.enqueue(streamed(piece(0, finish_reason="stop")) if stream else whole(said(0, "one")))
    answered = await suite.ask(n=2, stream=stream)
    assert answered.status == 502
    assert "1 of the 2 choices" in answered.error["message"]


@pytest.mark.parametrize("n", [0, -1, 129])
async def test_how_many_answers_is_bounded(suite, upstream, n):
    refused = await suite.ask(n=n)
    assert (refused.status, refused.error["param"]) == (400, "n")
    assert refused.error["message"].startswith("'n' must be between 1 and 128")
    assert not upstream.requests


@pytest.mark.parametrize("stream", [False, True])
async def test_probabilities_of_tokens_come_as_the_upstream_gives_them(suite, upstream, stream):
    told = {"content": [TOKEN], "refusal": None}
    upstream.enqueue(
        streamed(piece(0, "a", logprobs=told), piece(0, "a", logprobs=told), piece(0, finish_reason="stop"))
        if stream
        else whole(said(0, "aa", logprobs={"content": [TOKEN, TOKEN]}))
    )
    answered = await suite.ask(logprobs=True, top_logprobs=1, stream=stream)
    asked = upstream.requests[0].body
    assert (asked["logprobs"], asked["top_logprobs"]) == (True, 1)
    if stream:
        chunks = [msgspec.json.decode(json.dumps(chunk), type=shapes.Chunk) for chunk in answered.chunks]
        tokens = [token for chunk in chunks for choice in chunk.choices for token in _tokens(choice.logprobs)]
    else:
        tokens = msgspec.json.decode(answered.body, type=shapes.Completion).choices[0].logprobs.content
    assert [msgspec.to_builtins(token) for token in tokens] == [TOKEN, TOKEN]


def _tokens(logprobs: Any) -> list[Any]:
    return logprobs.content if logprobs else []


@pytest.mark.parametrize("stream", [False, True])
async def test_functions_are_answered_in_their_own_form(suite, upstream, stream):
    upstream.enqueue(Answer(tokens=[], tool_calls=[ToolCall("look", ('{"a":', "1}"))], finish_reason="tool_calls"))
    answered = await suite.ask(
        functions=[{"name": "look", "parameters": {"type": "object"}}], function_call={"name": "look"}, stream=stream
    )
    asked = upstream.requests[0].body
    assert asked["tools"] == [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    if not stream:
        choice = msgspec.json.decode(answered.body, type=shapes.Completion).choices[0]
        assert choice.message.function_call == shapes.CalledFunction(name="look", arguments='{"a":1}')
        assert (choice.finish_reason, choice.message.tool_calls) == ("function_call", msgspec.UNSET)
        return
    chunks = [msgspec.json.decode(json.dumps(chunk), type=shapes.Chunk) for chunk in answered.chunks]
    calls = [choice.delta.function_call for chunk in chunks for choice in chunk.choices if choice.delta.function_call]
    assert calls[0].name == "look"
    assert "".join(call.arguments for call in calls) == '{"a":1}'
    assert chunks[-1].choices[0].finish_reason == "function_call"


@pytest.mark.parametrize("stream", [False, True])
async def test_custom_tools_are_called_with_free_text(serve, openai_document, upstream, stream):
    suite = await serve()
    first = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "run", "input": "ls "}}
    rest = {"index": 0, "custom": {"input": "-l"}}
    call = {"id": "c", "type": "custom", "custom": {"name": "run", "input": "ls -l"}}
    upstream.enqueue(
        streamed(
            {"index": 0, "delta": {"tool_calls": [first]}}, {"index": 0, "delta": {"tool_calls": [rest]}},
            piece(0, finish_reason="tool_calls"),
        )
        if stream
        else whole({"index": 0, "message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"})
    )  # fmt: skip
    tool = {"type": "custom", "custom": {"name": "run", "description": "d", "format": {"type": "text"}}}
    answered = await suite.ask(tools=[tool], tool_choice={"type": "custom", "custom": {"name": "run"}}, stream=stream)
    assert upstream.requests[0].body["tools"] == [tool]
    if not stream:
        (told,) = msgspec.json.decode(answered.body, type=shapes.Completion).choices[0].message.tool_calls
        assert msgspec.to_builtins(told) == call
        return
    chunks = [msgspec.json.decode(json.dumps(chunk), type=shapes.Chunk) for chunk in answered.chunks]
    calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    assert (calls[0].id, calls[0].type, calls[0].custom.name) == ("c", "custom", "run")
    assert "".join(call.custom.input for call in calls) == "ls -l"


async def complete(suite, **body):
    return await suite.request(
        "POST", "/v1/completions", json={"model": "fast", **body}, headers={"authorization": f"Bearer {suite.KEY}"}
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_several_prompts_have_their_choices_in_order(suite, upstream, stream):
    for text in ("x", "y", "z"):
        upstream.enqueue(Answer(tokens=[text]))
    body = {"prompt": ["a", "b", "c"], "echo": True, "stream": stream}
    if stream:
        body["stream_options"] = {"include_usage": True}
    answered = await complete(suite, **body)
    assert answered.status == 200, answered.body
    assert [request.body["messages"][0]["content"] for request in upstream.requests] == ["a", "b", "c"]
    if not stream:
        told = msgspec.json.decode(answered.body, type=shapes.TextCompletion)
        assert [(choice.index, choice.text) for choice in told.choices] == [(0, "ax"), (1, "by"), (2, "cz")]
        assert (told.usage.prompt_tokens, told.usage.completion_tokens) == (21, 3)
        assert answered.header["x-penstock-cost-usd"] == "0.000027"
    else:
        texts = {0: "", 1: "", 2: ""}
        for chunk in answered.chunks:
            for choice in chunk["choices"]:
                texts[choice["index"]] += choice["text"]
        assert texts == {0: "ax", 1: "by", 2: "cz"}
        assert answered.chunks[-1]["usage"]["prompt_tokens"] == 21
        assert answered.chunks[-1]["x_penstock"]["cost_usd"] == 0.000027
        assert answered.frames.count("data: [DONE]") == 1
    rows = await suite.ledger_after_close()
    assert [row["cost_nano_usd"] for row in rows] == [9000, 9000, 9000]
    assert len({row["request_id"] for row in rows}) == 1


async def test_several_prompts_count_as_several_requests(suite):
    answered = await suite.request(
        "POST", "/v1/completions", json={"model": "fast", "prompt": ["a", "b", "c", "d"]},
        headers={"authorization": f"Bearer {suite.FREE_KEY}"},
    )  # fmt: skip
    assert answered.status == 429


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": "a", "echo": True, "logprobs": 1}, "echo"),
        ({"prompt": "a", "best_of": 2}, "best_of"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "a", "logprobs": 21}, "top_logprobs"),
    ],
)
async def test_what_no_completion_carries_is_refused_by_name(suite, upstream, body, param):
    refused = await complete(suite, **body)
    assert (refused.status, refused.error["param"]) == (400, param)
    assert not upstream.requests


async def test_completions_of_several_answers_have_probabilities_in_the_older_form(suite, upstream):
    upstream.enqueue(whole(said(0, "aa", logprobs={"content": [TOKEN, TOKEN]}), said(1, "b")))
    answered = await complete(suite, prompt="x", n=2, logprobs=1)
    told = msgspec.json.decode(answered.body, type=shapes.TextCompletion)
    assert [choice.text for choice in told.choices] == ["aa", "b"]
    assert told.choices[0].logprobs == shapes.TextLogprobs(
        tokens=["a", "a"], token_logprobs=[-0.5, -0.5], top_logprobs=[{"b": -1}, {"b": -1}], text_offset=[0, 1]
    )
    assert told.choices[1].logprobs is None


@pytest.mark.parametrize(
    "asked",
    [
        {"n": 1}, {"logprobs": False}, {"store": False}, {"modalities": ["text"]}, {"tools": []}, {"stop": []},
        {"response_format": {"type": "text"}}, {"frequency_penalty": 0}, {"parallel_tool_calls": True},
        {"stream_options": None}, {"functions": []}, {"metadata": {}}, {"user": ""}, {"service_tier": "auto"},
        {"max_tokens": 100.0}, {"stop": None}, {"audio": None},
    ],
)  # fmt: skip
async def test_what_says_what_is_so_anyway_is_never_refused(suite, asked):
    answered = await suite.ask(**asked)
    assert answered.status == 200, answered.body
    assert "x-penstock-dropped" not in answered.header


async def test_sound_is_refused_and_says_why(suite):
    for asked, param in (({"modalities": ["text", "audio"]}, "modalities"), ({"audio": {"voice": "alloy"}}, "audio")):
        refused = await suite.ask(**asked)
        assert (refused.status, refused.error["code"], refused.error["param"]) == (400, "unsupported_parameter", param)
