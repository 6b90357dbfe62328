"""What a response repeats of its request, with OpenAI's defaults where nothing was said: every snapshot has all of it.

The fields, and which of them are never null, are those of openai-python 3.52 and of Open Responses' schema
(https://github.com/openresponses/openresponses, version 2026-04-24). Defaults are told and not sent to any provider.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock_gateway.surfaces.wire_formats.openai.fields import is_null
from penstock_gateway.surfaces.wire_formats.openai.responses import request_wire as wire

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL = msgspec.Raw(b"null")
_OF_FUNCTIONS = ("description", "parameters", "strict")
_PLAIN_TEXT = {"format": {"type": "text"}}


def members_of(request: wire.ResponsesRequest, tools: Sequence[msgspec.Raw]) -> dict[str, Any]:
    """Return the members by name; ``tools`` are the request's, as written."""
    return {
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning": _reasoning(request.reasoning),
        "safety_identifier": request.safety_identifier,
        "background": request.background is True,
        "store": False,
        "temperature": _or(request.temperature, 1.0),
        "top_p": _or(request.top_p, 1.0),
        "presence_penalty": _or(request.presence_penalty, 0.0),
        "frequency_penalty": _or(request.frequency_penalty, 0.0),
        "top_logprobs": request.top_logprobs or 0,
        "text": _text(request.text),
        "tool_choice": _choice(request.tool_choice),
        "tools": [_tool(raw) for raw in tools],
        "truncation": request.truncation or "disabled",
        "service_tier": request.service_tier or "auto",
        "user": request.user,
        "metadata": request.metadata or {},
    }


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _reasoning(asked: wire.Reasoning | None) -> dict[str, Any]:
    if asked is None:
        return {"effort": None, "summary": None}
    return {"effort": asked.effort, "summary": asked.summary or asked.generate_summary}


def _text(asked: wire.TextConfig | None) -> dict[str, Any]:
    if asked is None:
        return _PLAIN_TEXT
    told: dict[str, Any] = dict(_PLAIN_TEXT)
    wanted = asked.format
    if wanted is not None and wanted.type == "json_schema":
        told["format"] = {
            "type": wanted.type,
            "name": wanted.name,
            "description": wanted.description,
            "schema": wanted.schema,
            "strict": wanted.strict,
        }
    elif wanted is not None:
        told["format"] = {"type": wanted.type}
    if asked.verbosity:
        told["verbosity"] = asked.verbosity
    return told


def _choice(asked: str | wire.ToolChoice | None) -> Any:
    if asked is None or isinstance(asked, str):
        return asked or "auto"
    told: dict[str, Any] = {"type": asked.type, "name": asked.name, "mode": asked.mode}
    if asked.tools is not None:
        told["tools"] = [{"type": tool.type, "name": tool.name} for tool in asked.tools]
    return {name: value for name, value in told.items() if value is not None}


def _tool(raw: msgspec.Raw) -> dict[str, msgspec.Raw]:
    tool = _MEMBERS.decode(raw)
    if bytes(tool.get("type", _NULL)) == b'"function"':
        for name in _OF_FUNCTIONS:
            if is_null(tool.get(name, _NULL)):
                tool[name] = _NULL
    return tool
