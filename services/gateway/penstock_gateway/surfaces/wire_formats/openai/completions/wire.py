"""The objects of ``POST /v1/completions``, the older format: of its requests, and of its whole answers."""

from __future__ import annotations

import msgspec

from penstock_gateway.surfaces.wire_formats.openai.knowledge import Knowledge
from penstock_gateway.surfaces.wire_formats.openai.usage import CompletionUsage
from penstock_gateway.surfaces.wire_formats.openai.wire import StreamOptions


class CompletionRequest(msgspec.Struct, kw_only=True, gc=False):
    """Body of ``POST /v1/completions``, the older format: the fields that Penstock reads."""

    model: str
    prompt: str | list[str | int | list[int]]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    n: int | None = None
    best_of: int | None = None
    echo: bool | None = None
    logprobs: int | None = None
    suffix: str | None = None
    user: str | None = None
    knowledge: Knowledge | None = None


class TextLogprobs(msgspec.Struct, kw_only=True):
    """The tokens of a text with their probabilities; offsets in characters."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(msgspec.Struct, kw_only=True):
    """One alternative of a whole completion."""

    text: str
    index: int = 0
    logprobs: TextLogprobs | None = None
    finish_reason: str


class TextCompletion(msgspec.Struct, kw_only=True):
    """A whole completion, in the older format."""

    id: str
    object: str = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: CompletionUsage | msgspec.UnsetType = msgspec.UNSET
