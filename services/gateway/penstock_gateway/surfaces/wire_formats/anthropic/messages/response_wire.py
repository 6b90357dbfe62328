"""A whole message as it stands on the wire: what the vendor's schema requires is always there."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Usage(msgspec.Struct, kw_only=True):
    """Tokens of one answer; what was read from the prompt cache or written to it is no part of ``input_tokens``."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    cache_creation: dict[str, int]
    output_tokens_details: dict[str, int] | None
    server_tool_use: dict[str, int] | None
    inference_geo: str | None
    service_tier: str | None


class Message(msgspec.Struct, kw_only=True):
    """Body of an answer to ``POST /v1/messages``; ``content`` is of blocks, each with its ``type``."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[dict[str, Any] | msgspec.Raw]
    stop_reason: str | None
    stop_sequence: str | None
    stop_details: dict[str, Any] | None
    container: dict[str, Any] | None
    usage: Usage


class CountedTokens(msgspec.Struct, kw_only=True):
    """Body of an answer to ``POST /v1/messages/count_tokens``."""

    input_tokens: int
