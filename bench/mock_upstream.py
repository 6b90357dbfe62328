"""An OpenAI-compatible provider that answers at once, as cheaply as Python can: the floor that overhead is measured from.

Run: python bench/mock_upstream.py PORT. A streamed answer has 100 tokens.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvicorn

TOKENS = 100

_HEAD = {"id": "chatcmpl-bench", "created": 1, "model": "bench"}
_USAGE = {"prompt_tokens": 10, "completion_tokens": TOKENS, "total_tokens": 10 + TOKENS}


def _chunk(choices: list[dict[str, Any]], **fields: Any) -> bytes:
    body = {**_HEAD, "object": "chat.completion.chunk", "choices": choices, **fields}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _delta(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    return _chunk([{"index": 0, "delta": delta, "finish_reason": finish_reason}])


_FIRST = _delta({"role": "assistant", "content": ""})
_TOKEN = _delta({"content": " token"})
_LAST = _delta({}, "stop") + _chunk([], usage=_USAGE) + b"data: [DONE]\n\n"
_SHORT = _FIRST + _delta({"content": "A short answer."}) + _LAST
_WHOLE = json.dumps(
    {
        **_HEAD,
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "A short answer."}, "finish_reason": "stop"}
        ],
        "usage": _USAGE,
    }
).encode()

_STREAM_HEADERS = [(b"content-type", b"text/event-stream")]
_JSON_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_WHOLE)).encode())]


async def application(_: Any, receive: Any, send: Any) -> None:
    """Answer any request; `"long"` in the body asks for the 100 tokens, each in a write of its own."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if b'"stream":true' not in body.replace(b" ", b""):
        await send({"type": "http.response.start", "status": 200, "headers": _JSON_HEADERS})
        await send({"type": "http.response.body", "body": _WHOLE})
        return
    await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
    if b"long" not in body:
        await send({"type": "http.response.body", "body": _SHORT})
        return
    await send({"type": "http.response.body", "body": _FIRST, "more_body": True})
    for _ in range(TOKENS):
        await send({"type": "http.response.body", "body": _TOKEN, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": _LAST})


if __name__ == "__main__":
    uvicorn.run(application, port=int(sys.argv[1]), log_level="error", access_log=False, lifespan="off")
