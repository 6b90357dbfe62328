"""Tokens of an answer: what the upstream counted, or what we reckon where it did not."""

from __future__ import annotations

import math

import msgspec

from penstock_common.llm.events import Answer
from penstock_common.llm.types import GenerationInput, Image, Text, Usage

BYTES_PER_TOKEN = 4
"""English text and code, byte-pair vocabularies of 50,000 to 200,000 entries (OpenAI's rule of thumb)."""
TOKENS_PER_TURN = 4
"""What a chat template puts around a turn (OpenAI's cookbook: 3 and the role)."""
TOKENS_PER_IMAGE = 765
TOKENS_PER_SMALL_IMAGE = 85
"""OpenAI's price of a 1024 x 1024 image in high and in low detail."""
# The counters of the contract are uint32.
_MOST_TOKENS = 2**32 - 1


def settled_usage(reported: Usage | None, value: GenerationInput, answer: Answer, window_tokens: int) -> Usage:
    """Return the upstream's figures where they can be true, ours where they are missing or cannot.

    ``window_tokens`` bounds what can be true; 0 where unknown.
    """
    most = window_tokens or _MOST_TOKENS
    if reported is None:
        return Usage(
            input_tokens=estimated_input_tokens(value), output_tokens=estimated_output_tokens(answer), estimated=True
        )
    input_tokens, output_tokens = reported.input_tokens, reported.output_tokens
    if not 0 < input_tokens <= most:
        input_tokens = estimated_input_tokens(value)
    if not 0 <= output_tokens <= most or (output_tokens == 0 and _said_anything(answer)):
        output_tokens = estimated_output_tokens(answer)
    if input_tokens == reported.input_tokens and output_tokens == reported.output_tokens:
        return _bounded(reported)
    return _bounded(
        msgspec.structs.replace(reported, input_tokens=input_tokens, output_tokens=output_tokens, estimated=True)
    )


def estimated_input_tokens(value: GenerationInput) -> int:
    """Return about how many tokens the conversation and its tools take."""
    tokens = sum(_tokens_of(tool.name + tool.description + tool.parameters_json) for tool in value.tools)
    for message in value.messages:
        tokens += TOKENS_PER_TURN
        tokens += sum(_tokens_of(call.name + call.arguments_json) for call in message.tool_calls)
        for part in message.parts:
            if isinstance(part, Text):
                tokens += _tokens_of(part.text)
            elif isinstance(part, Image):
                tokens += TOKENS_PER_SMALL_IMAGE if part.detail == "low" else TOKENS_PER_IMAGE
    return tokens


def estimated_output_tokens(answer: Answer) -> int:
    """Return about how many tokens the answer took."""
    calls = sum(_tokens_of(call.name + call.arguments_json) for call in answer.tool_calls)
    return _tokens_of(answer.text) + _tokens_of(answer.reasoning) + calls


def _tokens_of(text: str) -> int:
    return math.ceil(len(text.encode(errors="replace")) / BYTES_PER_TOKEN)


def _said_anything(answer: Answer) -> bool:
    return bool(answer.text or answer.reasoning or answer.tool_calls)


def _bounded(usage: Usage) -> Usage:
    """Return the usage with every part no larger than its whole."""
    cached = usage.cached_input_tokens
    written = usage.cache_write_input_tokens
    reasoning = usage.reasoning_tokens
    inputs, outputs = usage.input_tokens, usage.output_tokens
    if 0 <= cached <= inputs and 0 <= written <= inputs and 0 <= reasoning <= outputs:
        return usage
    return msgspec.structs.replace(
        usage,
        cached_input_tokens=_clip(cached, inputs),
        cache_write_input_tokens=_clip(written, inputs),
        reasoning_tokens=_clip(reasoning, outputs),
        estimated=True,
    )


def _clip(part: int, whole: int) -> int:
    return min(max(0, part), whole)
