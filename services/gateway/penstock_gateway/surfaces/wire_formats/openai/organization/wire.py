"""Buckets of usage as OpenAI writes them, https://platform.openai.com/docs/api-reference/usage."""

from __future__ import annotations

from typing import Literal

import msgspec


class _Grouped(msgspec.Struct, frozen=True, kw_only=True):
    """What a result is about; null where it was not asked by, or there is no name."""

    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None


class CompletionsResult(
    _Grouped, frozen=True, kw_only=True, tag_field="object", tag="organization.usage.completions.result"
):
    """What chats used."""

    input_tokens: int
    input_cached_tokens: int
    input_cache_write_tokens: int
    input_uncached_tokens: int
    output_tokens: int
    num_model_requests: int
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    model: str | None = None
    batch: bool | None = None
    service_tier: str | None = None


class EmbeddingsResult(
    _Grouped, frozen=True, kw_only=True, tag_field="object", tag="organization.usage.embeddings.result"
):
    """What embeddings used."""

    input_tokens: int
    num_model_requests: int
    model: str | None = None


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """Money."""

    value: float
    currency: Literal["usd"] = "usd"


class CostsResult(_Grouped, frozen=True, kw_only=True, tag_field="object", tag="organization.costs.result"):
    """What everything cost."""

    amount: Amount
    line_item: str | None = None


Result = CompletionsResult | EmbeddingsResult | CostsResult


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """A turn of the calendar, in Unix seconds; ``end_time`` is not of it."""

    object: Literal["bucket"] = "bucket"
    start_time: int
    end_time: int
    results: list[CompletionsResult | EmbeddingsResult | CostsResult]


class UsagePage(msgspec.Struct, frozen=True, kw_only=True):
    """Buckets one after another."""

    object: Literal["page"] = "page"
    data: list[Bucket]
    has_more: bool
    next_page: str | None
