"""The objects of a whole chat completion as they stand on the wire.

Names, order and defaults are those of OpenAI's own answers: what is always
there stays there, as ``null`` or 0, because clients read it without asking. What
its published schema lets be absent but not ``null`` is absent: strict readers
refuse the other.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from penstock_gateway.surfaces.wire_formats.openai.usage import CompletionUsage


class AnsweredFunction(msgspec.Struct, kw_only=True):
    """The function of a call, its arguments as the model wrote them."""

    name: str
    arguments: str


class AnsweredCustom(msgspec.Struct, kw_only=True):
    """The custom tool of a call, and its input as the model wrote it."""

    name: str
    input: str


class AnsweredToolCall(msgspec.Struct, kw_only=True):
    """A call in a whole answer; ``type`` says which of the two it has."""

    id: str
    type: Literal["function", "custom"] = "function"
    function: AnsweredFunction | msgspec.UnsetType = msgspec.UNSET
    custom: AnsweredCustom | msgspec.UnsetType = msgspec.UNSET
    extra_content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Logprobs(msgspec.Struct, kw_only=True):
    """The tokens of a text with their probabilities, as the upstream told them."""

    content: msgspec.Raw | None
    refusal: msgspec.Raw | None = None


class CompletionMessage(msgspec.Struct, kw_only=True):
    """The assistant's turn in a whole answer."""

    role: str = "assistant"
    content: str | None
    refusal: str | None = None
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET
    reasoning_details: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    thinking_blocks: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    extra_content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    tool_calls: list[AnsweredToolCall] | msgspec.UnsetType = msgspec.UNSET
    function_call: AnsweredFunction | msgspec.UnsetType = msgspec.UNSET
    annotations: tuple[()] = ()


class CompletionChoice(msgspec.Struct, kw_only=True):
    """One alternative of a whole answer."""

    index: int = 0
    message: CompletionMessage
    logprobs: Logprobs | None = None
    finish_reason: str


class ChatCompletion(msgspec.Struct, kw_only=True):
    """A whole answer."""

    id: str
    object: str = "chat.completion"
    created: int
    model: str
    choices: tuple[CompletionChoice, ...]
    service_tier: str | msgspec.UnsetType = msgspec.UNSET
    usage: CompletionUsage | msgspec.UnsetType = msgspec.UNSET
