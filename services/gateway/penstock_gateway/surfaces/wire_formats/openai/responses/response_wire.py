"""The response as it stands on the wire: what the vendor's types and Open Responses' schema require is always there.

``completed_at``, ``error``, ``incomplete_details`` and ``usage`` are null until there is something to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class InputDetails(msgspec.Struct, kw_only=True):
    """Of the tokens that came in: what the prompt cache had, and what it took."""

    cached_tokens: int
    cache_write_tokens: int


class OutputDetails(msgspec.Struct, kw_only=True):
    """Of the tokens that went out: what was spent on reasoning."""

    reasoning_tokens: int


class Usage(msgspec.Struct, kw_only=True):
    """Tokens of one response."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class Response(msgspec.Struct, kw_only=True):
    """A response, whole or so far; ``output`` is of items, each with its ``type``."""

    id: str
    object: str = "response"
    created_at: int
    status: str
    completed_at: int | None = None
    error: dict[str, Any] | None = None
    incomplete_details: dict[str, str] | None = None
    model: str
    output: Sequence[Any] = ()
    usage: Usage | None = None
    instructions: str | None = None
    max_output_tokens: int | float | None = None
    max_tool_calls: int | None = None
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    reasoning: dict[str, Any] | None = None
    safety_identifier: str | None = None
    background: bool = False
    store: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    top_logprobs: int = 0
    text: dict[str, Any]
    tool_choice: str | dict[str, Any] = "auto"
    tools: Sequence[Any] = ()
    truncation: str = "disabled"
    service_tier: str = "auto"
    user: str | None = None
    metadata: dict[str, str]


class ResponseDeleted(msgspec.Struct, kw_only=True):
    """That a response was deleted."""

    id: str
    object: str = "response"
    deleted: bool


class ResponseItems(msgspec.Struct, kw_only=True):
    """A page of a request's items."""

    object: str = "list"
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class CountedInput(msgspec.Struct, kw_only=True):
    """About how many tokens a request has."""

    object: str = "response.input_tokens"
    input_tokens: int
