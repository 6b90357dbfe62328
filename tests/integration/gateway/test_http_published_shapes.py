"""Answers, whole and streamed, are what OpenAI's published schema says: null or absent exactly as there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest

from penstock_common.testing.openai_upstream import Answer, ToolCall

sys.path.append(str(Path(__file__).parent))
import published_shapes as shapes  # noqa: E402

ANSWERS = {
    "text": (Answer(), {}),
    "reasoning": (Answer(reasoning=["Hm."]), {"reasoning_effort": "low"}),
    "length": (Answer(finish_reason="length"), {}),
    "no usage": (Answer(usage=None), {}),
    "tool": (
        Answer(tokens=[], tool_calls=[ToolCall("look", ('{"a":', "1}"))], finish_reason="tool_calls"),
        {"tools": [{"type": "function", "function": {"name": "look"}}]},
    ),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_whole_answer_has_the_published_shape(suite, upstream, kind):
    answer, asked = ANSWERS[kind]
    upstream.enqueue(answer)
    answered = await suite.ask(**asked)
    completion = msgspec.json.decode(answered.body, type=shapes.Completion)
    assert completion.id.startswith("chatcmpl-")
    # Older than the schema, and read by clients without asking.
    assert b'"annotations":[]' in answered.body


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("usage", [False, True])
async def test_every_chunk_has_the_published_shape(suite, upstream, kind, usage):
    answer, asked = ANSWERS[kind]
    upstream.enqueue(answer)
    answered = await suite.ask(stream=True, stream_options={"include_usage": usage}, **asked)
    chunks = [msgspec.json.decode(json.dumps(chunk), type=shapes.Chunk) for chunk in answered.chunks]
    if not usage:
        assert all(chunk.usage is msgspec.UNSET and chunk.choices for chunk in chunks)
        return
    *before, last = chunks
    assert all(chunk.usage is None for chunk in before)
    assert last.choices == []
    assert isinstance(last.usage, shapes.Usage)


@pytest.mark.parametrize("stream", [False, True])
async def test_text_completion_has_the_published_shape(suite, stream):
    answered = await suite.request(
        "POST", "/v1/completions", headers={"authorization": f"Bearer {suite.KEY}"},
        json={"model": "fast", "prompt": "Hi", "stream": stream, **({"stream_options": {"include_usage": True}} if stream else {})},
    )  # fmt: skip
    bodies = [json.dumps(chunk) for chunk in answered.chunks] if stream else [answered.body]
    assert bodies
    for body in bodies:
        completion = msgspec.json.decode(body, type=shapes.TextCompletion)
        assert stream or isinstance(completion.usage, shapes.Usage)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{}",
        b'{"model": "fast", "messages": []}',
        b'{"model": "gone", "messages": [{"role": "user", "content": "x"}]}',
    ],
)
async def test_refusal_has_the_published_shape(suite, body):
    refused = await suite.post(body)
    assert refused.status in (400, 404)
    msgspec.json.decode(refused.body, type=shapes.Refusal)


async def test_models_have_the_published_shape_and_show_what_they_can_do(serve, document):
    del document["upstreams"][1]["models"][0]["price"]
    document["models"].append({"name": "unpriced", "candidates": ["second/m1"]})
    document["upstreams"][0]["models"][0]["price"] = {"input": "0.15", "cached_input": "0.075", "output": 0}
    suite = await serve()
    head = {"authorization": f"Bearer {suite.KEY}"}
    listed = await suite.request("GET", "/v1/models", headers=head)
    models = {model.id: model for model in msgspec.json.decode(listed.body, type=shapes.ModelList).data}
    fast = models["fast"]
    assert (fast.context_length, fast.max_model_len) == (8000, 8000)
    assert fast.capabilities == ["chat", "json_schema", "tools", "vision"]
    assert fast.pricing == shapes.Pricing(prompt="0.00000015", completion="0", input_cache_read="0.000000075")
    assert models["unpriced"].pricing is msgspec.UNSET
    one = await suite.request("GET", "/v1/models/fast", headers=head)
    assert msgspec.json.decode(one.body, type=shapes.Model) == fast
