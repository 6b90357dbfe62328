"""Counting tokens where nobody who knows tells us."""

from __future__ import annotations

from penstock_common.llm.types import GenerationInput, Reasoning, Text

# Common tokenizers put about four bytes of English text into a token.
_BYTES_PER_TOKEN = 4


def estimated_tokens(text: str) -> int:
    """Return about how many tokens ``text`` has; at least 1 unless it is empty."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


def estimated_input_tokens(request: GenerationInput) -> int:
    """Return about how many tokens the conversation has, images not counted."""
    return sum(
        estimated_tokens(part.text)
        for message in request.messages
        for part in message.parts
        if isinstance(part, Text | Reasoning)
    )
