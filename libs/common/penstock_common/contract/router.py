"""What the router is asked, and what it answers: a ``Plan``, or the models that callers may name."""

from __future__ import annotations

from penstock_common.llm.types import GenerationInput, Image, JsonSchema, Reasoning, Text, Value

# No common tokenizer puts more than this many bytes of ordinary text into a
# token; so the estimate is a lower bound, and what it refuses never fits.
_MAX_BYTES_PER_TOKEN = 8

_CHAT = frozenset({"chat"})
_WORDS = (Text, Reasoning)


class Requirements(Value, frozen=True):
    """Capabilities a candidate must have, and the least tokens it must take in."""

    capabilities: frozenset[str] = _CHAT
    min_input_tokens: int = 0


class RouteRequest(Value, frozen=True):
    """A public model's name, and what its candidate must be able to; no regions means anywhere."""

    model: str
    requirements: Requirements
    allowed_regions: tuple[str, ...] = ()


def requirements_of(request: GenerationInput) -> Requirements:
    """Return what ``request`` needs."""
    text_bytes, sees = 0, False
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, _WORDS):
                text = part.text
                text_bytes += len(text) if text.isascii() else len(text.encode(errors="replace"))
            elif isinstance(part, Image):
                sees = True
    takes_schema = isinstance(request.response_format, JsonSchema)
    capabilities = _CHAT
    if sees or request.tools or takes_schema:
        needed = (("vision", sees), ("tools", request.tools), ("json_schema", takes_schema))
        capabilities = _CHAT.union(name for name, is_needed in needed if is_needed)
    return Requirements(capabilities=capabilities, min_input_tokens=text_bytes // _MAX_BYTES_PER_TOKEN)
