"""A provider that speaks OpenAI's formats over a socket and answers by what it is asked, as a model would.

Tools are called once, all of them that a sentence names; their results are said back. A schema is filled in. Whatever
else is asked gets a sentence, and where an effort is named, a thought before it. A stream comes in small pieces.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

SENTENCE = "The water is let through where it is needed."
REASONING = "Where is it needed?"
DIMENSIONS = 8
_USAGE = {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21}
_PIECE = 7


@asynccontextmanager
async def provider() -> AsyncGenerator[str]:
    """Yield the base URL of a provider that serves meanwhile."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", _chat)
    app.router.add_post("/v1/completions", _chat)
    app.router.add_post("/v1/embeddings", _embeddings)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def _chat(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    if "patience" in json.dumps(asked.get("messages", "")):
        await asyncio.sleep(60)
    message, reason = _message(asked)
    if asked.get("reasoning_effort"):
        message["reasoning_content"] = REASONING
    usage = {**_USAGE, "completion_tokens_details": {"reasoning_tokens": 4 if asked.get("reasoning_effort") else 0}}
    head = {"id": "chatcmpl-1", "created": 1_790_000_000, "model": asked["model"]}
    if not asked.get("stream"):
        choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}]
        return web.json_response({**head, "object": "chat.completion", "choices": choices, "usage": usage})
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    head["object"] = "chat.completion.chunk"
    for delta in _deltas(message):
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        await response.write(_event({**head, "choices": [choice]}))
    await response.write(_event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
    await response.write(_event({**head, "choices": [], "usage": usage}))
    await response.write(b"data: [DONE]\n\n")
    return response


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _deltas(message: dict[str, Any]) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if "reasoning_content" in message:
        deltas.append({"reasoning_content": message["reasoning_content"]})
    content = message["content"] or ""
    deltas += [{"content": content[at : at + _PIECE]} for at in range(0, len(content), _PIECE)]
    for index, call in enumerate(message.get("tool_calls", ())):
        arguments = call["function"]["arguments"]
        begun = {**call, "function": {"name": call["function"]["name"], "arguments": ""}}
        deltas.append({"tool_calls": [{"index": index, **begun}]})
        for at in range(0, len(arguments), _PIECE):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": arguments[at : at + _PIECE]}}]})
    return deltas


def _message(asked: dict[str, Any]) -> tuple[dict[str, Any], str]:
    messages = asked.get("messages") or [{"role": "user", "content": asked.get("prompt", "")}]
    last = messages[-1]
    tools = asked.get("tools") or []
    if tools and last["role"] != "tool" and asked.get("tool_choice") != "none":
        calls = [
            {
                "id": f"call_{index}",
                "type": "function",
                "function": {
                    "name": tool["function"]["name"],
                    "arguments": json.dumps(_instance(tool["function"].get("parameters") or {})),
                },
            }
            for index, tool in enumerate(tools)
        ]
        return {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
    wanted = asked.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return {"role": "assistant", "content": json.dumps(_instance(wanted["json_schema"]["schema"]))}, "stop"
    if wanted.get("type") == "json_object":
        return {"role": "assistant", "content": _first_instance(messages)}, "stop"
    if last["role"] == "tool":
        said = "; ".join(_text(each["content"]) for each in messages if each["role"] == "tool")
        return {"role": "assistant", "content": f"The tools say: {said}"}, "stop"
    return {"role": "assistant", "content": SENTENCE}, "stop"


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _first_instance(messages: list[dict[str, Any]]) -> str:
    """Fill in the schema that a client has written into its instructions; an empty object where there is none."""
    decoder = json.JSONDecoder()
    for message in messages:
        text = _text(message["content"] or "")
        for at in (index for index, letter in enumerate(text) if letter == "{"):
            try:
                found, _ = decoder.raw_decode(text[at:])
            except ValueError:
                continue
            if "properties" in found:
                return json.dumps(_instance(found))
    return "{}"


def _instance(schema: dict[str, Any], defined: dict[str, Any] | None = None) -> Any:
    """Return something that fits a schema, made of the plainest values."""
    defined = defined or schema.get("$defs", {})
    if "$ref" in schema:
        return _instance(defined[schema["$ref"].rpartition("/")[2]], defined)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return _instance(schema["anyOf"][0], defined)
    kind = schema.get("type", "object")
    if kind == "object":
        return {name: _instance(field, defined) for name, field in schema.get("properties", {}).items()}
    if kind == "array":
        return [_instance(schema.get("items", {}), defined)]
    return {"string": "Oslo", "integer": 7, "number": 7.5, "boolean": True, "null": None}[kind]


async def _embeddings(request: web.Request) -> web.Response:
    asked = await request.json()
    texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    data = []
    for index, text in enumerate(texts):
        vector = [float((len(str(text)) + place) % 5) for place in range(DIMENSIONS)]
        packed = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *vector)).decode()
        form: Any = packed if asked.get("encoding_format") == "base64" else vector
        data.append({"object": "embedding", "index": index, "embedding": form})
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return web.json_response({"object": "list", "data": data, "model": asked["model"], "usage": usage})
