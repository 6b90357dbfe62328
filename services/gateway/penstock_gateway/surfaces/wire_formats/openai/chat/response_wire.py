"""The objects of a whole chat completion as they stand on the wire.

Names, order and defaults are those of OpenAI's own answers: what is always
there stays there, as ``null`` or 0, because clients read it without asking.
"""

from __future__ import annotations

import msgspec

from penstock_gateway.surfaces.wire_formats.openai.usage import CompletionUsage


class AnsweredFunction(msgspec.Struct, kw_only=True):
    """The function of a call, its arguments as the model wrote them."""

    name: str
    arguments: str


class AnsweredToolCall(msgspec.Struct, kw_only=True):
    """A call in a whole answer."""

    id: str
    type: str = "function"
    function: AnsweredFunction
    extra_content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class CompletionMessage(msgspec.Struct, kw_only=True):
    """The assistant's turn in a whole answer."""

    role: str = "assistant"
    content: str | None
    refusal: None = None
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET
    reasoning_details: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    thinking_blocks: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    extra_content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    tool_calls: list[AnsweredToolCall] | msgspec.UnsetType = msgspec.UNSET
    annotations: tuple[()] = ()


class CompletionChoice(msgspec.Struct, kw_only=True):
    """The one alternative of a whole answer."""

    index: int = 0
    message: CompletionMessage
    logprobs: None = None
    finish_reason: str


class ChatCompletion(msgspec.Struct, kw_only=True):
    """A whole answer."""

    id: str
    object: str = "chat.completion"
    created: int
    model: str
    choices: tuple[CompletionChoice]
    usage: CompletionUsage | None
    system_fingerprint: None = None
