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
