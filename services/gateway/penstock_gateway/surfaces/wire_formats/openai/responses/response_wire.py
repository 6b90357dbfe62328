"""The objects of answers as they stand on the wire, for whoever reads of them: ``echo`` and ``response`` write them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class TokenDetails(msgspec.Struct, kw_only=True):
    """Of the input's tokens."""

    cached_tokens: int
    cache_write_tokens: int


class OutputDetails(msgspec.Struct, kw_only=True):
    """Of the output's tokens."""

    reasoning_tokens: int


class ResponseUsage(msgspec.Struct, kw_only=True):
    """What an answer used."""

    input_tokens: int
    input_tokens_details: TokenDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ResponseError(msgspec.Struct, kw_only=True):
    """Why there is no answer."""

    code: str
    message: str


class ResponseObject(msgspec.Struct, kw_only=True):
    """A response; every member is there, null where it says nothing. Moments are Unix seconds."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None
    status: Literal["completed", "failed", "in_progress", "cancelled", "queued", "incomplete"]
    error: ResponseError | None
    incomplete_details: dict[str, Any] | None
    model: str
    output: list[dict[str, Any]]
    usage: ResponseUsage | None
    previous_response_id: str | None
    store: bool
    background: bool
    instructions: str | None
    metadata: dict[str, str]


class ResponseDeleted(msgspec.Struct, kw_only=True):
    """That a response was deleted."""

    id: str
    object: Literal["response"] = "response"
    deleted: bool


class ResponseItems(msgspec.Struct, kw_only=True):
    """A page of a request's items."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class CountedInput(msgspec.Struct, kw_only=True):
    """About how many tokens a request has."""

    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int
