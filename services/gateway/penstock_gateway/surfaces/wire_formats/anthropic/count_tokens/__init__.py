"""``POST /v1/messages/count_tokens``: about how many tokens a request has, counted here, so that nobody is asked for it."""

from __future__ import annotations

import msgspec

from penstock_gateway.surfaces.wire_formats.anthropic.errors import ANTHROPIC
from penstock_gateway.surfaces.wire_formats.anthropic.messages.parse import parse_counting_request
from penstock_gateway.surfaces.wire_formats.anthropic.messages.response_wire import CountedTokens
from penstock_gateway.surfaces.wire_formats.format import CountingFormat


def _render(input_tokens: int) -> bytes:
    return msgspec.json.encode(CountedTokens(input_tokens=input_tokens))


FORMAT = CountingFormat(
    family=ANTHROPIC, path="/v1/messages/count_tokens", parse=parse_counting_request, render=_render
)
