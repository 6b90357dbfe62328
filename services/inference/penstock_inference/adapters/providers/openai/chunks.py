"""The parts of a completion, streamed or whole, that an answer is made of.

What most servers send is decoded into these types at once. ``loose.chunk_of`` makes
them of the rest: nothing but what an answer needs can make it fail.
"""

from __future__ import annotations

import msgspec

ABSENT = msgspec.Raw()


class Function(msgspec.Struct, gc=False):
    """The function of a call, or a piece of it."""

    name: str | None = None
    arguments: str | None = None


class CustomTool(msgspec.Struct, gc=False):
    """The tool of free text of a call, or a piece of it."""

    name: str | None = None
    input: str | None = None


class ToolCall(msgspec.Struct, gc=False):
    """A call, or a piece of it. ``index`` is text where a server numbers its calls by words."""

    index: int | str | None = None
    id: str | None = None
    function: Function | None = None
    custom: CustomTool | None = None
    name: str | None = None
    """This and ``arguments`` stand here where there is no ``function`` around them."""
    arguments: str | None = None
    extra_content: msgspec.Raw = ABSENT


class Delta(msgspec.Struct, gc=False):
    """What a chunk adds to a message, or a message."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None
    """What calls were before there could be several."""
    reasoning_details: msgspec.Raw = ABSENT
    thinking_blocks: msgspec.Raw = ABSENT
    extra_content: msgspec.Raw = ABSENT


class PromptDetails(msgspec.Struct, gc=False):
    """Parts of the tokens that were sent."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(msgspec.Struct, gc=False):
    """Parts of the tokens that came back."""

    reasoning_tokens: int | None = None


class UsageCounts(msgspec.Struct, gc=False):
    """Tokens, as a server counted them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    cached_tokens: int | None = None
    """Moonshot's place for it."""
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's name for it."""


class Choice(msgspec.Struct, gc=False):
    """One alternative."""

    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    """In place of ``delta`` where the answer is whole. In a stream it mostly repeats what came."""
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    usage: UsageCounts | None = None
    """Moonshot's place for it."""
    logprobs: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class GroqsOwn(msgspec.Struct, gc=False):
    """What Groq says beside the format: the usage of a stream."""

    usage: UsageCounts | None = None


class Chunk(msgspec.Struct, gc=False):
    """One event of a stream, or a whole answer."""

    choices: list[Choice] | None = None
    usage: UsageCounts | None = None
    error: msgspec.Raw = ABSENT
    service_tier: object = None
    x_groq: GroqsOwn | None = None


CHUNK = msgspec.json.Decoder(Chunk)
