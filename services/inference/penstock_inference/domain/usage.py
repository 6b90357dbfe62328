"""Tokens of an answer: what the upstream counted, or what we reckon where it did not."""

from __future__ import annotations

import msgspec

from penstock_common.llm.estimate import estimated_input_tokens, estimated_output_tokens
from penstock_common.llm.events import Answer
from penstock_common.llm.types import Finished, GenerationInput, Usage

# The counters of the contract are uint32.
_MOST_TOKENS = 2**32 - 1


def settled_usage(reported: Usage | None, value: GenerationInput, answer: Answer, window_tokens: int) -> Usage:
    """Return the upstream's figures where they can be true, ours where they are missing or cannot.

    ``window_tokens`` bounds what can be true; 0 where unknown.
    """
    most = window_tokens or _MOST_TOKENS
    if reported is None:
        return Usage(
            input_tokens=estimated_input_tokens(value),
            output_tokens=estimated_output_tokens(value, answer),
            estimated=True,
        )
    input_tokens, output_tokens = reported.input_tokens, reported.output_tokens
    if not 0 < input_tokens <= most:
        input_tokens = estimated_input_tokens(value)
        # Parts of a whole that cannot be true are none: they might make the estimate cheaper.
        reported = msgspec.structs.replace(
            reported, cached_input_tokens=0, cache_write_input_tokens=0, cache_write_1h_input_tokens=0
        )
    if not 0 <= output_tokens <= most or (output_tokens == 0 and _said_anything(answer)):
        output_tokens = estimated_output_tokens(value, answer)
    if input_tokens == reported.input_tokens and output_tokens == reported.output_tokens:
        return _bounded(reported)
    return _bounded(
        msgspec.structs.replace(reported, input_tokens=input_tokens, output_tokens=output_tokens, estimated=True)
    )


def counted_tokens(reported: Usage | None, window_tokens: int) -> int | None:
    """Return how many tokens the upstream says an answer took, question included; None where that cannot be true."""
    if reported is None:
        return None
    tokens = reported.input_tokens + reported.output_tokens
    return tokens if 0 < tokens <= (window_tokens or _MOST_TOKENS) else None


def interrupted_usage(
    reported: Usage | None, value: GenerationInput, answer: Answer, unread_bytes: int, window_tokens: int
) -> Usage:
    """Return what an answer that nobody waits for any longer has cost: what the upstream has counted so far, if it has.

    Its count of what it wrote may be a placeholder, or older than what has come: the larger figure is nearer. An answer that
    never ends is owed for up to the window that it can have had.
    """
    usage = settled_usage(reported, value, answer, 0)
    output_tokens = max(usage.output_tokens, estimated_output_tokens(value, answer, unread_bytes))
    output_tokens = min(output_tokens, window_tokens or _MOST_TOKENS)
    return msgspec.structs.replace(usage, output_tokens=output_tokens, estimated=True)


def _said_anything(answer: Answer) -> bool:
    return bool(answer.text or answer.reasoning or answer.tool_calls or answer.choices)


def _bounded(usage: Usage) -> Usage:
    """Return the usage with every part no larger than its whole; what was remembered is not written, too."""
    cached, written, for_an_hour = (
        usage.cached_input_tokens,
        usage.cache_write_input_tokens,
        usage.cache_write_1h_input_tokens,
    )
    inputs, outputs, reasoning = usage.input_tokens, usage.output_tokens, usage.reasoning_tokens
    # Nearly every usage is as it should be: it must not cost a call.
    if cached >= 0 <= for_an_hour <= written <= inputs - cached and 0 <= reasoning <= outputs:
        return usage
    cached = _clip(cached, inputs)
    written = _clip(written, inputs - cached)
    for_an_hour, reasoning = _clip(for_an_hour, written), _clip(reasoning, outputs)
    return msgspec.structs.replace(
        usage,
        cached_input_tokens=cached,
        cache_write_input_tokens=written,
        cache_write_1h_input_tokens=for_an_hour,
        reasoning_tokens=reasoning,
        estimated=True,
    )


def _clip(part: int, whole: int) -> int:
    return min(max(0, part), whole)


def costing_more(finished: Finished, more_nano_usd: int, *, has_unknown: bool) -> Finished:
    """Return the end of an answer beside which something else was asked that is paid, too."""
    prices = finished.unit_prices
    if has_unknown and not prices.is_unknown:
        prices = msgspec.structs.replace(prices, is_unknown=True)
    return msgspec.structs.replace(finished, cost_nano_usd=finished.cost_nano_usd + more_nano_usd, unit_prices=prices)
