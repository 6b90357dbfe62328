"""What OpenAI's formats tell of tokens, and of what is Penstock's own."""

from __future__ import annotations

import msgspec

from penstock_common.llm.types import Finished, Usage
from penstock_gateway.surfaces.wire_formats.answer_head import format_cost_usd
from penstock_gateway.surfaces.wire_formats.format import StreamSummary
from penstock_gateway.surfaces.wire_formats.openai.knowledge import told_json

_encode = msgspec.json.Encoder().encode


class PromptTokensDetails(msgspec.Struct, kw_only=True):
    """Where the input tokens came from."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0
    audio_tokens: int = 0


class CompletionTokensDetails(msgspec.Struct, kw_only=True):
    """What the output tokens were spent on."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class CompletionUsage(msgspec.Struct, kw_only=True):
    """Tokens of one completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


def usage_of(usage: Usage | None) -> CompletionUsage | msgspec.UnsetType:
    """Return the usage as it stands on the wire, where it is known."""
    if usage is None:
        return msgspec.UNSET
    return CompletionUsage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        prompt_tokens_details=PromptTokensDetails(
            cached_tokens=usage.cached_input_tokens, cache_write_tokens=usage.cache_write_input_tokens
        ),
        completion_tokens_details=CompletionTokensDetails(reasoning_tokens=usage.reasoning_tokens),
    )


def usage_json(usage: Usage | None) -> bytes:
    """Return the usage as a stream's last chunk tells it."""
    return b"null" if usage is None else _encode(usage_of(usage))


def extension_json(finished: Finished | None, summary: StreamSummary) -> bytes:
    """Return what a stream's usage chunk tells of Penstock's own: cost, overhead, cache, what stood in, and breaks made good."""
    cost_nano_usd = finished.known_cost_nano_usd if finished else 0
    cost = "null" if cost_nano_usd is None else format_cost_usd(cost_nano_usd)
    overhead_ms = round(summary.overhead_ms, 3)
    told: dict[str, object] = {
        "cost_usd": msgspec.Raw(cost.encode()),
        "overhead_ms": overhead_ms,
        "cache": summary.cache,
    }
    if summary.knowledge is not None:
        told["knowledge"] = msgspec.Raw(told_json(summary.knowledge))
    if summary.dropped:
        told["dropped"] = summary.dropped
    if finished is not None and finished.degraded is not None:
        told["degraded"] = finished.degraded.value
    if finished is not None and finished.stopped_by:
        told["stopped_by"] = finished.stopped_by
    if finished is not None and finished.recoveries:
        told["recovered"] = [
            {
                "from": str(made.broke),
                "cause": made.cause,
                "way": made.way.value,
                "delivered_characters": made.delivered_characters,
            }
            for made in finished.recoveries
        ]
    return _encode(told)
