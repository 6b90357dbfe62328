"""What of an answer reaches a caller of its provider's own format: its values, but for what docs/requests.md names as left out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from penstock_common.testing.plain_upstream import PlainUpstream, answering  # noqa: E402

QUESTION = {"role": "user", "content": "Hi"}
LOGPROBS = {
    "content": [{"token": "Hé", "logprob": -1e-5, "bytes": [72, 195, 169], "top_logprobs": []}],
    "refusal": None,
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1.0,\n"b":"\\u00e9"}'}}
USAGE = {
    "prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 3, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
    },
}  # fmt: skip
# What Penstock does not read is told as it came; of a stream, what stands in its last chunks: docs/requests.md says so.
UNREAD = {"system_fingerprint": "fp_1", "provider": "vendor", "x_vendor": {"a": 1}}
OURS = {"id", "created", "model"}


@pytest.fixture
async def server(document: dict[str, Any]) -> Any:
    async with PlainUpstream() as server:
        entry = {
            "name": "plain", "provider": "openai_compatible", "base_url": f"{server.url}/v1", "api_key": "sk-upstream-0123",
            "models": [{"name": "m", "context_window": 8192, "capabilities": ["chat", "tools", "reasoning"], "price": {"input": 1}}],
        }  # fmt: skip
        document["upstreams"].append(entry)
        document["models"].append({"name": "same", "candidates": ["plain/m"]})
        yield server


async def ask(suite: Any, **more: Any) -> Any:
    head = {"authorization": f"Bearer {suite.KEY}"}
    body = {"model": "same", "messages": [QUESTION], **more}
    answer = await suite.request("POST", "/v1/chat/completions", json=body, headers=head)
    assert answer.status == 200, answer.body
    return answer


def whole(message: dict[str, Any], finish_reason: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "refusal": None, "annotations": [], **message}}
    choice |= {"logprobs": None, "finish_reason": finish_reason, **more}
    return {
        "id": "chatcmpl-theirs", "object": "chat.completion", "created": 1, "model": "m-2026", "choices": [choice],
        "usage": USAGE, "service_tier": "default", **UNREAD,
    }  # fmt: skip


ANSWERS = [
    whole({"content": "Hé\n\u2028\U0001f600"}),
    whole({"content": "Hé"}, logprobs=LOGPROBS),
    whole({"content": None, "tool_calls": [CALL]}, "tool_calls"),
    whole({"content": "Hi", "tool_calls": [CALL, {**CALL, "id": "call_2"}]}, "tool_calls"),
    whole({"content": "Hi", "reasoning_content": "so"}, "length"),
    whole({"content": "Hi", "reasoning_details": [{"type": "reasoning.text", "text": "x", "signature": "s"}]}),
    whole({"content": None, "refusal": "No."}),
]


async def test_a_whole_answer_comes_back_in_its_values(serve: Any, server: PlainUpstream) -> None:
    suite = await serve()
    for place, answer in enumerate(ANSWERS):
        server.usual = answering(answer)
        asked = {"logprobs": True} if answer["choices"][0]["logprobs"] else {}
        # Each is another question, as answers are remembered.
        told = (await ask(suite, messages=[{"role": "user", "content": f"Hi {place}"}], **asked)).json
        assert set(answer) <= set(told)
        for name in set(told) - OURS:
            assert without_wrapped(told[name]) == answer[name], (place, name)


def without_wrapped(value: Any) -> Any:
    """Return a value with the signature as the provider gave it: a caller's says, besides, whose it is."""
    if isinstance(value, dict):
        if str(value.get("signature", "")).startswith("pk1x."):
            value = {**value, "signature": "s"}
        return {name: without_wrapped(member) for name, member in value.items()}
    return [without_wrapped(member) for member in value] if isinstance(value, list) else value


async def test_a_streamed_answer_comes_back_in_its_values(serve: Any, server: PlainUpstream) -> None:
    def chunk(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason, **more}]
        return {"id": "theirs", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}

    piece = {"index": 0, "function": {"arguments": '{"a": 1.0}'}}
    chunks = [
        chunk({"role": "assistant", "content": "", "refusal": None}) | {"x_begun": 1},
        chunk({"reasoning_content": "so"}),
        chunk({"content": "Hé"}, logprobs=LOGPROBS),
        chunk({"content": "\u2028"}),
        chunk(
            {
                "tool_calls": [
                    {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
                ]
            }
        ),
        chunk({"tool_calls": [piece]}),
        chunk({}, "tool_calls") | {"service_tier": "priority", **UNREAD},
        {**chunk({}), "choices": [], "usage": USAGE},
    ]
    frames = "".join(f"data: {json.dumps(each)}\n\n" for each in chunks) + "data: [DONE]\n\n"
    server.usual = answering(frames.encode(), lines="Content-Type: text/event-stream\r\n")
    suite = await serve()
    answer = await ask(suite, stream=True, stream_options={"include_usage": True}, logprobs=True)
    told = [json.loads(line[6:]) for line in answer.frames if line.startswith("data: {")]
    # A call is told once its name and its arguments are those of a call.
    call = chunks.pop(5)["choices"][0]["delta"]["tool_calls"][0]["function"]
    chunks[4]["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] = call["arguments"]
    assert [without_ours(each) for each in told] == [without_ours(each) for each in chunks]
    for each in told[-2:]:
        assert {name: each[name] for name in UNREAD} == UNREAD


def without_ours(chunk: dict[str, Any]) -> dict[str, Any]:
    left = {name: value for name, value in chunk.items() if name not in OURS | {"x_penstock", *UNREAD, "x_begun"}}
    return {**left, "usage": chunk.get("usage")}
