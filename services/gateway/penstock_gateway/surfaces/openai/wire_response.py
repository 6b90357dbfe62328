"""The objects of chat-completions, completions and models answers as they stand on the wire.

Names, order and defaults are those of OpenAI's own answers: what is always
there stays there, as ``null`` or 0, because clients read it without asking.
"""

from __future__ import annotations

import msgspec


class PromptTokensDetails(msgspec.Struct, kw_only=True):
    """Where the input tokens came from."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0
    audio_tokens: int = 0


class CompletionTokensDetails(msgspec.Struct, kw_only=True):
    """What the output tokens were spent on."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class CompletionUsage(msgspec.Struct, kw_only=True):
    """Tokens of one completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class AnsweredFunction(msgspec.Struct, kw_only=True):
    """The function of a call, its arguments as the model wrote them."""

    name: str
    arguments: str


class AnsweredToolCall(msgspec.Struct, kw_only=True):
    """A call in a whole answer."""

    id: str
    type: str = "function"
    function: AnsweredFunction


class CompletionMessage(msgspec.Struct, kw_only=True):
    """The assistant's turn in a whole answer."""

    role: str = "assistant"
    content: str | None
    refusal: None = None
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET
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


class TextChoice(msgspec.Struct, kw_only=True):
    """The one alternative of a whole completion."""

    text: str
    index: int = 0
    logprobs: None = None
    finish_reason: str


class TextCompletion(msgspec.Struct, kw_only=True):
    """A whole completion, in the older format."""

    id: str
    object: str = "text_completion"
    created: int
    model: str
    choices: tuple[TextChoice]
    usage: CompletionUsage | None
    system_fingerprint: None = None


class Model(msgspec.Struct, kw_only=True):
    """A model that callers may name. ``created`` is in Unix seconds."""

    id: str
    object: str = "model"
    created: int
    owned_by: str = "penstock"


class ModelList(msgspec.Struct, kw_only=True):
    """Body of ``GET /v1/models``."""

    object: str = "list"
    data: list[Model]
