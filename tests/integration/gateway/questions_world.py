"""A suite with a server that reranks, moderates and takes what passes as it is."""

from __future__ import annotations

import io
import json
from typing import Any

from penstock_common.testing.plain_upstream import PlainUpstream

RAW = {
    "paths": [
        {"path": "/images/generations", "methods": ["POST"], "price": "0.04"},
        {"path": "/audio/**", "methods": ["POST"]},
        {"path": "/files/**", "methods": ["GET", "POST", "DELETE"], "price": 0},
    ]
}


def add_server(document: dict[str, Any], server: PlainUpstream, **more: Any) -> None:
    """Add the upstream ``plain``, and the models ``rank`` and ``omni-moderation-latest``."""
    models = [
        {"name": "rr", "context_window": 8192, "capabilities": ["rerank"], "price": {"input": 1}},
        {"name": "omni", "context_window": 32768, "capabilities": ["moderation"], "price": {"input": 0}},
    ]
    entry = {
        "name": "plain", "provider": "openai_compatible", "base_url": f"{server.url}/v1", "api_key": "sk-upstream-0123",
        "region": "eu", "models": models, "raw": RAW, **more,
    }  # fmt: skip
    document["upstreams"].append(entry)
    document["models"] += [
        {"name": "rank", "candidates": ["plain/rr"]},
        {"name": "omni-moderation-latest", "candidates": ["plain/omni"]},
    ]


async def post(suite: Any, path: str, *, key: str = "", head: Any = None, **body: Any) -> Any:
    """Return the answer to a JSON body."""
    headers = {"authorization": f"Bearer {key or suite.KEY}", "content-type": "application/json", **(head or {})}
    return await suite.request("POST", path, data=io.BytesIO(json.dumps(body).encode()), headers=headers)
