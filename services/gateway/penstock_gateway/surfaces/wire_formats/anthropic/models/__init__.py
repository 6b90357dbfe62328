"""``GET /v1/models`` in Anthropic's words, for callers that name a version of its API.

https://platform.claude.com/docs/en/api/models-list
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from penstock_common.llm.types import ModelInfo
from penstock_gateway.surfaces.wire_formats.anthropic.errors import ANTHROPIC
from penstock_gateway.surfaces.wire_formats.format import ModelsFormat


def _model(info: ModelInfo, created: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": "model",
        "id": info.name,
        "display_name": info.name,
        "created_at": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if info.context_window_tokens:
        told["max_input_tokens"] = info.context_window_tokens
    return told


def _render_one(info: ModelInfo, created: int) -> bytes:
    return msgspec.json.encode(_model(info, created))


def _render_list(infos: Iterable[ModelInfo], created: int) -> bytes:
    data = [_model(info, created) for info in infos]
    ids = [model["id"] for model in data]
    body = {"data": data, "has_more": False, "first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
    return msgspec.json.encode(body)


FORMAT = ModelsFormat(family=ANTHROPIC, path="/v1/models", render_list=_render_list, render_one=_render_one)
