"""The objects of ``POST /v1/responses`` as they stand on the wire.

Names and optionality are those of https://platform.openai.com/docs/api-reference/responses/create, as read from the types
of openai-python 3.52. Objects may have further fields, and there may be further types of items, parts and tools: agents
send what their vendor added last.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from penstock_gateway.surfaces.wire_formats.openai.chat.request_wire import Prompt
from penstock_gateway.surfaces.wire_formats.openai.knowledge import Knowledge
from penstock_gateway.surfaces.wire_formats.openai.wire import ABSENT


class OpenObject(msgspec.Struct, kw_only=True, gc=False):
    """An object that may have further fields."""


class Breakpoint(OpenObject):
    """OpenAI's mark that the prompt cache may end a prefix here."""

    mode: str | None = None


class Part(OpenObject):
    """A piece of a message, of a tool's output, or of reasoning, of whatever type: each type has some of these."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: Breakpoint | None = None


class Item(OpenObject):
    """An item of the input, of whatever type; without one it is a message, or refers to an item by its id."""

    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: str | list[Part] | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: msgspec.Raw = ABSENT
    input: str | None = None
    output: msgspec.Raw = ABSENT
    summary: list[Part] | None = None
    encrypted_content: str | None = None


class Tool(OpenObject):
    """A tool; one that is neither a function nor custom is the provider's own. A namespace has ``tools``."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = ABSENT
    strict: bool | None = None
    format: msgspec.Raw = ABSENT
    tools: list[Tool] | None = None


class ToolName(OpenObject):
    """A tool by its type, and its name where it has one."""

    type: str
    name: str | None = None


class ToolChoice(ToolName):
    """The tool that the model must use, or those that it may choose from."""

    mode: Literal["auto", "required"] | None = None
    tools: list[ToolName] | None = None


class TextFormat(OpenObject):
    """What the answer's text has to be."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = ABSENT
    strict: bool | None = None


class TextConfig(OpenObject):
    """The form of the answer's text, and how much of it there is to be."""

    format: TextFormat | None = None
    verbosity: str | None = None


class Reasoning(OpenObject):
    """How hard the model is to think, and how that is told."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class StreamOptions(OpenObject):
    """What a stream carries besides the answer."""

    include_obfuscation: bool | None = None


class ResponsesRequest(OpenObject):
    """Body of ``POST /v1/responses``: the fields that Penstock reads. ``knowledge`` is its own."""

    model: str = ""
    input: str | list[Item] | None = None
    instructions: str | None = None
    prompt: Prompt | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: msgspec.Raw = ABSENT
    tools: list[Tool] | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | float | None = None
    max_tool_calls: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    reasoning: Reasoning | None = None
    text: TextConfig | None = None
    include: list[str] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    service_tier: str | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    client_metadata: msgspec.Raw = ABSENT
    knowledge: Knowledge | None = None


class VerbatimRequest(OpenObject):
    """What of a request may have to travel on as it is written."""

    input: Any = None
    tools: list[msgspec.Raw] | None = None


class Input(OpenObject):
    """Items of an input, by themselves."""

    input: list[Item]


class VerbatimItems(OpenObject):
    """The items of the input as they are written."""

    input: list[msgspec.Raw]
