"""The answers of OpenAI's API as its published schema describes them, read as strictly as the strictest client reads.

Written from https://github.com/openai/openai-openapi: what may be ``null`` is ``| None``, what may be absent is
``| UnsetType``, and neither stands for the other. Fields of ours are named here one by one.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType


class Shape(Struct, kw_only=True, forbid_unknown_fields=True):
    """An object that knows all its fields."""


class Link(Shape):
    end_index: int
    start_index: int
    url: str
    title: str


class Annotation(Shape):
    type: Literal["url_citation"]
    url_citation: Link


class CalledFunction(Shape):
    name: str
    arguments: str


class CalledTool(Shape):
    name: str
    input: str


class Call(Shape, tag_field="type"):
    id: str
    extra_content: Any | UnsetType = UNSET
    """Not OpenAI's: what Gemini gives beside a call and wants back."""


class FunctionCall(Call, tag="function", kw_only=True):
    function: CalledFunction


class CustomCall(Call, tag="custom", kw_only=True):
    custom: CalledTool


class Alternative(Shape):
    token: str
    logprob: float
    bytes: list[int] | None


class Token(Alternative):
    top_logprobs: list[Alternative]


class Logprobs(Shape):
    content: list[Token] | None
    refusal: list[Token] | None


class PromptDetails(Shape):
    cached_tokens: int
    audio_tokens: int
    cache_write_tokens: int
    """Since GPT-5.6."""


class CompletionDetails(Shape):
    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Usage(Shape):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class Message(Shape):
    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[Annotation] | UnsetType = UNSET
    tool_calls: list[FunctionCall | CustomCall] | UnsetType = UNSET
    function_call: CalledFunction | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    """Not OpenAI's: what vLLM and DeepSeek call a model's reasoning; below, what others give beside it and want back."""
    reasoning_details: Any | UnsetType = UNSET
    thinking_blocks: Any | UnsetType = UNSET
    extra_content: Any | UnsetType = UNSET


FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class Choice(Shape):
    index: int
    message: Message
    logprobs: Logprobs | None
    finish_reason: FinishReason


class Completion(Shape):
    """``POST /v1/chat/completions``."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    system_fingerprint: str | UnsetType = UNSET
    service_tier: str | UnsetType | None = UNSET


class FunctionPiece(Shape):
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class CustomPiece(Shape):
    name: str | UnsetType = UNSET
    input: str | UnsetType = UNSET


class CallPiece(Shape):
    index: int
    id: str | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET
    function: FunctionPiece | UnsetType = UNSET
    custom: CustomPiece | UnsetType = UNSET
    extra_content: Any | UnsetType = UNSET


class Delta(Shape):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    tool_calls: list[CallPiece] | UnsetType = UNSET
    function_call: FunctionPiece | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning_details: Any | UnsetType = UNSET
    thinking_blocks: Any | UnsetType = UNSET
    extra_content: Any | UnsetType = UNSET


class ChunkChoice(Shape):
    index: int
    delta: Delta
    finish_reason: FinishReason | None
    logprobs: Logprobs | UnsetType | None = UNSET


class Chunk(Shape):
    """One event of a streamed chat completion; ``usage`` is null, or absent where nobody asked for it."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | UnsetType | None = UNSET
    system_fingerprint: str | UnsetType = UNSET
    service_tier: str | UnsetType | None = UNSET
    x_penstock: dict[str, Any] | UnsetType = UNSET


class TextLogprobs(Shape):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(Shape):
    text: str
    index: int
    logprobs: TextLogprobs | None
    finish_reason: Literal["stop", "length", "content_filter"] | None


class TextCompletion(Shape):
    """``POST /v1/completions``, whole; in a stream ``usage`` may be null or absent, and the last has an extension."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage | UnsetType | None = UNSET
    system_fingerprint: str | UnsetType = UNSET
    x_penstock: dict[str, Any] | UnsetType = UNSET


class Error(Shape):
    message: str
    type: str
    param: str | None
    code: str | None


class Refusal(Shape):
    """Every error."""

    error: Error


class Pricing(Shape):
    """Ours, in OpenRouter's words."""

    prompt: str
    completion: str
    input_cache_read: str


class Model(Shape):
    """``GET /v1/models/{id}``; the last four are not OpenAI's."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    context_length: int | UnsetType = UNSET
    max_model_len: int | UnsetType = UNSET
    capabilities: list[str] | UnsetType = UNSET
    pricing: Pricing | UnsetType = UNSET


class ModelList(Shape):
    """``GET /v1/models``."""

    object: Literal["list"]
    data: list[Model]
