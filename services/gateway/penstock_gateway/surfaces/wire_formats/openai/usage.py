"""What OpenAI's formats tell of tokens."""

from __future__ import annotations

import msgspec

from penstock_common.llm.types import Usage

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
