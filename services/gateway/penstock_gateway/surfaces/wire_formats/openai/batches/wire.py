"""Batches on the wire: the request's fields, and the objects of the answers.

https://platform.openai.com/docs/api-reference/batch, as read from the types of openai-python 3.52.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from penstock_gateway.surfaces.wire_formats.openai.wire import WireObject


class ExpiresAfter(WireObject):
    """How long after its creation a file goes."""

    anchor: Literal["created_at"]
    seconds: int


class BatchCreation(WireObject):
    """Body of ``POST /v1/batches``."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_expires_after: ExpiresAfter | None = None


class BatchError(msgspec.Struct, kw_only=True):
    """Why a batch failed."""

    code: str
    message: str
    param: str | None
    line: int | None


class BatchErrors(msgspec.Struct, kw_only=True):
    """All that is wrong with a batch's file."""

    object: str = "list"
    data: list[BatchError]


class ByProviders(msgspec.Struct):
    """Lines that providers were handed as batches of their own, and those of them that these have answered."""

    handed_to_providers: int
    answered_by_providers: int


class RequestCounts(msgspec.Struct, kw_only=True):
    """How many lines there are, and how many have ended well and otherwise."""

    total: int
    completed: int
    failed: int


class InputDetails(msgspec.Struct, kw_only=True):
    """Of the input's tokens."""

    cached_tokens: int


class OutputDetails(msgspec.Struct, kw_only=True):
    """Of the output's tokens."""

    reasoning_tokens: int


class BatchUsage(msgspec.Struct, kw_only=True):
    """What the answers used."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class BatchObject(msgspec.Struct, kw_only=True):
    """A batch; moments are Unix seconds, and null until they come."""

    id: str
    object: str = "batch"
    endpoint: str
    model: str | None
    errors: BatchErrors | None
    input_file_id: str
    completion_window: str = "24h"
    status: str
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    usage: BatchUsage
    metadata: dict[str, str] | None
    penstock: ByProviders | msgspec.UnsetType = msgspec.UNSET
    """Where any were handed over."""
