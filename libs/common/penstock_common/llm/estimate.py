"""Counting tokens where nobody who knows tells us: the only place that does, for every bill.

An estimate is made of what the model reads, or has written so far, and always marked as one
(``Usage.estimated``). It errs by tens of percent for languages other than English, and it is the same wherever it is made.
"""

from __future__ import annotations

from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    ContentPart,
    File,
    GenerationInput,
    Image,
    JsonSchema,
    Message,
    Opaque,
    Reasoning,
    Text,
)

BYTES_PER_TOKEN = 4
"""English text and code, byte-pair vocabularies of 50,000 to 200,000 entries (OpenAI's rule of thumb)."""
TOKENS_PER_TURN = 4
"""What a chat template puts around a turn (OpenAI's cookbook: 3 and the role)."""
TOKENS_PER_IMAGE = 765
TOKENS_PER_SMALL_IMAGE = 85
"""OpenAI's price of a 1024 x 1024 image in high and in low detail."""
WRAPPING_BYTES = 256
"""What stands around the text of a chat completion, where it came in one piece."""
BYTES_PER_PAGE = 64 * 1024
TOKENS_PER_PAGE = 1500
"""A page of a document, read as text and looked at (Anthropic's "PDF support": 1,500 to 3,000 tokens a page)."""


def estimated_tokens(text: str) -> int:
    """Return about how many tokens ``text`` has; at least 1 unless it is empty."""
    size_bytes = len(text) if text.isascii() else len(text.encode(errors="replace"))
    return -(-size_bytes // BYTES_PER_TOKEN)


def estimated_input_tokens(request: GenerationInput) -> int:
    """Return about how many tokens a model reads of ``request``: every turn, the tools, the schema of the answer."""
    tokens = sum(_tokens_of_turn(message) for message in request.messages)
    for tool in request.tools:
        tokens += estimated_tokens(tool.name + tool.description + tool.parameters_json)
    wanted = request.response_format
    if isinstance(wanted, JsonSchema):
        tokens += estimated_tokens(wanted.name + wanted.description + wanted.schema_json)
    return tokens


def estimated_output_tokens(request: GenerationInput, answer: Answer, unread_bytes: int = 0) -> int:
    """Return about how many tokens ``answer`` has taken so far, never more than ``request`` allows.

    ``unread_bytes`` is how much has come of an answer in one piece, of which nothing can be read before its end.
    """
    tokens = sum(map(_tokens_of_answer, (answer, *answer.more)) if answer.choices else (_tokens_of_answer(answer),))
    tokens += -(-max(0, unread_bytes - WRAPPING_BYTES) // BYTES_PER_TOKEN)
    most = request.sampling.max_output_tokens
    return tokens if most is None else min(tokens, most * (request.sampling.choices or 1))


def _tokens_of_answer(answer: Answer) -> int:
    calls = sum(estimated_tokens(call.name + call.arguments_json) for call in answer.tool_calls)
    return estimated_tokens(answer.text) + estimated_tokens(answer.reasoning) + calls


def _tokens_of_turn(message: Message) -> int:
    calls = sum(estimated_tokens(call.name + call.arguments_json) for call in message.tool_calls)
    return TOKENS_PER_TURN + sum(map(_tokens_of_part, message.parts)) + calls


def _tokens_of_part(part: ContentPart) -> int:
    if isinstance(part, (Text, Reasoning)):
        return estimated_tokens(part.text)
    if isinstance(part, Opaque):
        return estimated_tokens(part.json)
    if isinstance(part, Image):
        return TOKENS_PER_SMALL_IMAGE if part.detail == "low" else TOKENS_PER_IMAGE
    return _tokens_of_file(part)


def _tokens_of_file(file: File) -> int:
    if not file.data:
        # Nobody here has seen it.
        return TOKENS_PER_PAGE
    if file.media_type.startswith("text/"):
        return -(-len(file.data) // BYTES_PER_TOKEN)
    return -(-len(file.data) // BYTES_PER_PAGE) * TOKENS_PER_PAGE
