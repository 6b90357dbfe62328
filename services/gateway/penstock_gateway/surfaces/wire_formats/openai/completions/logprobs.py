"""From the probabilities of a chat's tokens to the form of the older format."""

from __future__ import annotations

import msgspec

from penstock_gateway.surfaces.wire_formats.openai.completions.wire import TextLogprobs


class _Alternative(msgspec.Struct):
    token: str = ""
    logprob: float = 0.0


class _Token(msgspec.Struct):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[_Alternative] | None = None


_TOKENS = msgspec.json.Decoder(list[_Token])


def text_logprobs(logprobs_json: str, offset: int = 0) -> TextLogprobs | None:
    """Return the tokens of a text that begins at ``offset`` characters; None where nobody told of them."""
    if not logprobs_json:
        return None
    try:
        tokens = _TOKENS.decode(logprobs_json)
    except msgspec.DecodeError:
        return None
    told = TextLogprobs(tokens=[], token_logprobs=[], top_logprobs=[], text_offset=[])
    for token in tokens:
        told.tokens.append(token.token)
        told.token_logprobs.append(token.logprob)
        told.top_logprobs.append({each.token: each.logprob for each in token.top_logprobs or ()})
        told.text_offset.append(offset)
        offset += len(token.token)
    return told
