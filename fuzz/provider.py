"""A provider that answers every request of OpenAI's formats as a healthy one does. A process of its own: prints its port."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

_DIMENSIONS = 8
_MOST_BYTES = 64 << 20
_USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
_HEAD = {"id": "chatcmpl-1", "created": 1_790_000_000, "model": "m"}


async def _asked(request: web.Request) -> dict[str, Any]:
    return json.loads(await request.read())


async def _chat(request: web.Request) -> web.StreamResponse:
    asked = await _asked(request)
    choices = range(asked.get("n") or 1)
    if not asked.get("stream"):
        message = {"role": "assistant", "content": "Let through."}
        whole = [{"index": index, "message": message, "logprobs": None, "finish_reason": "stop"} for index in choices]
        return web.json_response({**_HEAD, "object": "chat.completion", "choices": whole, "usage": _USAGE})
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": index, "delta": delta, "finish_reason": reason}]}
        for delta, reason in (
            ({"role": "assistant", "content": "Let "}, None),
            ({"content": "through."}, None),
            ({}, "stop"),
        )
        for index in choices
    ]
    chunks.append({"choices": [], "usage": _USAGE})
    events = [json.dumps({**_HEAD, "object": "chat.completion.chunk", **chunk}) for chunk in chunks]
    await response.write("".join(f"data: {event}\n\n" for event in (*events, "[DONE]")).encode())
    return response


async def _embeddings(request: web.Request) -> web.Response:
    asked = (await _asked(request))["input"]
    texts = asked if isinstance(asked, list) else [asked]
    data = [{"object": "embedding", "index": index, "embedding": [0.5] * _DIMENSIONS} for index in range(len(texts))]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return web.json_response({"object": "list", "data": data, "model": "v", "usage": usage})


@web.middleware
async def _without_those_who_left(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer; a caller who has gone meanwhile is no error, and no traceback in the log."""
    try:
        return await handler(request)
    except ConnectionError:
        return web.Response()


async def _main() -> None:
    app = web.Application(client_max_size=_MOST_BYTES, middlewares=[_without_those_who_left])
    app.router.add_post("/v1/chat/completions", _chat)
    app.router.add_post("/v1/embeddings", _embeddings)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
