"""What a request needs of a model."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_common.llm.types import ContentPart, GenerationInput, Image, JsonSchema, Reasoning, Text

# No common tokenizer puts more than this many bytes of ordinary text into a
# token; so the estimate is a lower bound, and what it refuses never fits.
_MAX_BYTES_PER_TOKEN = 8


@dataclass(frozen=True, slots=True)
class Requirements:
    """Capabilities a candidate must have, and the least tokens it must take in."""

    capabilities: frozenset[str]
    min_input_tokens: int


def requirements_of(request: GenerationInput) -> Requirements:
    """Return what ``request`` needs."""
    capabilities = {"chat"}
    if request.tools:
        capabilities.add("tools")
    if isinstance(request.response_format, JsonSchema):
        capabilities.add("json_schema")
    text_bytes = 0
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, Image):
                capabilities.add("vision")
            else:
                text_bytes += _text_bytes(part)
    return Requirements(frozenset(capabilities), text_bytes // _MAX_BYTES_PER_TOKEN)


def _text_bytes(part: ContentPart) -> int:
    return len(part.text.encode()) if isinstance(part, Text | Reasoning) else 0
