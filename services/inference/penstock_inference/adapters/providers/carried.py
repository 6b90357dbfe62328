"""What of a request a provider's format can carry: one table per provider, which its code decides by and its docs show.

A table says of every use that a request can make of the vocabulary (``Use``) how the
provider is told of it. What it cannot be told is refused, left out or sent all the same, as
``unsupported`` of the public model says; what would change the answer's meaning is never left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from penstock_common.llm.types import (
    ContentPart,
    File,
    GenerationInput,
    Image,
    JsonObject,
    JsonSchema,
    Message,
    Opaque,
    Reasoning,
    Role,
    Text,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from penstock_inference.domain.failure import unsupported
from penstock_inference.domain.unsupported import FieldPolicy


class Use(Enum):
    """A thing that a request can ask for; the value is its name in the docs and in what was dropped."""

    TEMPERATURE = "temperature"
    TOP_P = "top_p"
    TOP_K = "top_k"
    MAX_OUTPUT_TOKENS = "max_output_tokens"
    STOP = "stop"
    SEED = "seed"
    FREQUENCY_PENALTY = "frequency_penalty"
    PRESENCE_PENALTY = "presence_penalty"
    REASONING_EFFORT = "reasoning_effort"
    LOGPROBS = "logprobs"
    CHOICES = "n"
    TOOLS = "tools"
    CUSTOM_TOOLS = "tools of free text"
    STRICT_TOOLS = "tools.strict"
    TOOL_CHOICE_NONE = "tool_choice: none"
    TOOL_CHOICE_REQUIRED = "tool_choice: required"
    TOOL_CHOICE_NAMED = "tool_choice: one tool"
    ALLOWED_TOOLS = "tool_choice.allowed_tools"
    PARALLEL_TOOLS = "parallel_tool_calls"
    JSON_OBJECT = "response_format: json_object"
    JSON_SCHEMA = "response_format: json_schema"
    IMAGE = "image inline"
    IMAGE_URL = "image by URL"
    IMAGE_DETAIL = "image.detail"
    FILE = "document inline"
    FILE_URL = "document by URL"
    FILE_ID = "document by id"
    CITATIONS = "citations"
    REASONING = "reasoning handed back"
    CACHE_BREAKPOINT = "cache breakpoint"
    CACHE_TTL = "cache_ttl"
    NAME = "a turn's name"
    LATER_SYSTEM = "a system turn within the conversation"
    FAILED_CALL = "tool result that is an error"
    IMAGE_OF_TOOL = "tool result with an image or a document"
    PREFILL = "assistant's turn at the end"


class How(Enum):
    """How a provider is told."""

    YES = "yes"
    CONVERTED = "converted"
    """In words of its own, or by another way to the same end; the note says which."""
    HINT = "no effect"
    """It changes nothing of what is answered: left out, and said so where ``unsupported`` is not ``pass``."""
    NO = "no"
    """As ``unsupported`` says."""
    NEVER = "refused"
    """Without it, it would be another question: refused, whatever ``unsupported`` says."""


@dataclass(frozen=True, slots=True)
class Row:
    """How, and what is to be said about it."""

    how: How
    note: str = ""


# What parts a text that refers to nothing from the next one.
_NO_CITATIONS = "[]"

Table = Mapping[Use, Row]
YES, NO, NEVER, HINT = Row(How.YES), Row(How.NO), Row(How.NEVER), Row(How.HINT)


def converted(note: str) -> Row:
    """Return the row of what is said in other words."""
    return Row(How.CONVERTED, note)


FREE_TEXT = converted(
    "a function of one text, `input`; its grammar is told in words, and nothing holds the model to it"
)
"""The row of tools of free text where functions alone are known; see ``free_text``."""

_SAMPLING = (
    Use.TEMPERATURE, Use.TOP_P, Use.TOP_K, Use.MAX_OUTPUT_TOKENS, Use.STOP, Use.SEED, Use.FREQUENCY_PENALTY,
    Use.PRESENCE_PENALTY, Use.REASONING_EFFORT,
)  # fmt: skip
_MODES = {
    ToolChoiceMode.NONE: Use.TOOL_CHOICE_NONE,
    ToolChoiceMode.REQUIRED: Use.TOOL_CHOICE_REQUIRED,
    ToolChoiceMode.NAMED: Use.TOOL_CHOICE_NAMED,
}


def uses_of(value: GenerationInput) -> dict[Use, str]:
    """Return what a request asks for, each with the contract's path of the first place where it does."""
    uses: dict[Use, str] = {}
    for use, path in _uses(value):
        uses.setdefault(use, path)
    return uses


def left_out(value: GenerationInput, table: Table, policy: FieldPolicy) -> frozenset[Use]:
    """Return what of a request the provider is not told: what ``policy`` leaves out.

    Raises:
        AttemptFailed: UNSUPPORTED for what is refused.
    """
    without: set[Use] = set()
    for use, path in uses_of(value).items():
        row = table[use]
        if row.how is How.NEVER:
            raise unsupported(path, row.note or "is not supported")
        if row.how is How.HINT:
            policy.drop(use.value)
            without.add(use)
        elif row.how is How.NO and not policy.sends(use.value, path, row.note or "is not supported"):
            without.add(use)
    return frozenset(without)


def _uses(value: GenerationInput) -> Iterator[tuple[Use, str]]:
    sampling = value.sampling
    for use in _SAMPLING:
        if getattr(sampling, use.value) not in (None, "", ()):
            yield use, f"input.sampling.{use.value}"
    if sampling.top_logprobs is not None:
        yield Use.LOGPROBS, "input.sampling.top_logprobs"
    if sampling.choices is not None and sampling.choices > 1:
        yield Use.CHOICES, "input.sampling.choices"
    yield from _uses_of_tools(value.tools)
    if value.tool_choice is not None:
        yield from _uses_of_choice(value.tool_choice)
    if isinstance(value.response_format, JsonObject):
        yield Use.JSON_OBJECT, "input.response_format.json_object"
    elif isinstance(value.response_format, JsonSchema):
        yield Use.JSON_SCHEMA, "input.response_format.json_schema"
    yield from _uses_of_turns(value.messages)


def _uses_of_tools(tools: tuple[Tool, ...]) -> Iterator[tuple[Use, str]]:
    for index, tool in enumerate(tools):
        path = f"input.tools[{index}]"
        yield (Use.CUSTOM_TOOLS, f"{path}.custom_json") if tool.custom_json else (Use.TOOLS, path)
        if tool.strict:
            yield Use.STRICT_TOOLS, f"{path}.strict"
        if tool.cache_breakpoint:
            yield from _cache_uses(path, tool.cache_ttl)


def _uses_of_choice(choice: ToolChoice) -> Iterator[tuple[Use, str]]:
    if choice.mode in _MODES:
        yield _MODES[choice.mode], "input.tool_choice"
    if choice.allowed_tools:
        yield Use.ALLOWED_TOOLS, "input.tool_choice.allowed_tools"
    if choice.parallel is not None:
        yield Use.PARALLEL_TOOLS, "input.tool_choice.parallel"


def _uses_of_turns(messages: tuple[Message, ...]) -> Iterator[tuple[Use, str]]:
    began = False
    for index, message in enumerate(messages):
        path = f"input.messages[{index}]"
        if message.role in (Role.SYSTEM, Role.DEVELOPER):
            if began:
                yield Use.LATER_SYSTEM, path
        else:
            began = True
        if message.name:
            yield Use.NAME, f"{path}.name"
        if message.is_error:
            yield Use.FAILED_CALL, f"{path}.is_error"
        for place, part in enumerate(message.parts):
            where = f"{path}.parts[{place}]"
            if message.role is Role.TOOL and isinstance(part, Image | File):
                yield Use.IMAGE_OF_TOOL, where
            yield from _uses_of_part(part, where)
    if messages and messages[-1].role is Role.ASSISTANT:
        yield Use.PREFILL, f"input.messages[{len(messages) - 1}]"


def _uses_of_part(part: ContentPart, path: str) -> Iterator[tuple[Use, str]]:
    if isinstance(part, Image):
        yield (Use.IMAGE_URL, f"{path}.image.url") if part.url else (Use.IMAGE, f"{path}.image")
        if part.detail:
            yield Use.IMAGE_DETAIL, f"{path}.image.detail"
    elif isinstance(part, File):
        use = Use.FILE_URL if part.url else Use.FILE_ID if part.id else Use.FILE
        yield use, f"{path}.file"
        if part.with_citations:
            yield Use.CITATIONS, f"{path}.file.with_citations"
    elif isinstance(part, Reasoning):
        yield Use.REASONING, f"{path}.reasoning"
    elif isinstance(part, Text) and part.citations_json not in ("", _NO_CITATIONS):
        yield Use.CITATIONS, f"{path}.citations_json"
    if part.cache_breakpoint:
        yield from _cache_uses(path, part.cache_ttl)


def _cache_uses(path: str, ttl: str) -> Iterator[tuple[Use, str]]:
    yield Use.CACHE_BREAKPOINT, f"{path}.cache_breakpoint"
    if ttl:
        yield Use.CACHE_TTL, f"{path}.cache_ttl"


def blocks_of(message: Message, own: str) -> Iterator[ContentPart | int]:
    """Yield a turn's parts in their order and, by its number, each call where it stands.

    ``own`` is the provider's format: opaque blocks of others are left out.
    """
    calls = sorted(
        range(len(message.tool_calls)),
        key=lambda number: _place(message.tool_calls[number].parts_before, len(message.parts)),
    )
    waiting = iter([*calls])
    number = next(waiting, None)
    for place, part in enumerate(message.parts):
        while number is not None and _place(message.tool_calls[number].parts_before, len(message.parts)) <= place:
            yield number
            number = next(waiting, None)
        if not (isinstance(part, Opaque) and part.format != own):
            yield part
    while number is not None:
        yield number
        number = next(waiting, None)


def _place(parts_before: int | None, count: int) -> int:
    return count if parts_before is None else min(parts_before, count)
