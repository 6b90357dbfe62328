"""The objects of ``POST /v1/chat/completions`` as they stand on the wire; see ``openai/wire.py``."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from penstock_gateway.surfaces.wire_formats.openai.knowledge import Knowledge
from penstock_gateway.surfaces.wire_formats.openai.wire import ABSENT, StreamOptions, WireObject


class PromptCacheBreakpoint(WireObject):
    """OpenAI's mark that the prompt cache may end a prefix here."""

    mode: Literal["explicit"]
    ttl: str | None = None


class CacheControl(WireObject):
    """Anthropic's form of the same mark, which clients of several vendors send in OpenAI's format too."""

    type: Literal["ephemeral"]
    ttl: str | None = None


class Part(WireObject, tag_field="type"):
    """A piece of a turn's content."""

    prompt_cache_breakpoint: PromptCacheBreakpoint | None = None
    cache_control: CacheControl | None = None


class TextPart(Part, tag="text", kw_only=True):
    """Text."""

    text: str


class RefusalPart(Part, tag="refusal", kw_only=True):
    """The model's earlier refusal."""

    refusal: str


class ImageUrl(WireObject):
    """Where an image is: an http(s) or ``data:`` URL."""

    url: str
    detail: str | None = None


class ImagePart(Part, tag="image_url", kw_only=True):
    """An image."""

    image_url: ImageUrl | str


class FileData(WireObject):
    """A document: inline, or uploaded before."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(Part, tag="file", kw_only=True):
    """A document."""

    file: FileData


class AudioPart(Part, tag="input_audio", kw_only=True):
    """Speech; known in order to be refused by name."""

    input_audio: msgspec.Raw = ABSENT


class CalledFunction(WireObject):
    """The function of a call, its arguments as the model wrote them.

    ``parsed_arguments`` is what OpenAI's SDK made of them; it comes along when
    a client sends the SDK's message back, and says nothing new.
    """

    name: str
    arguments: str
    parsed_arguments: msgspec.Raw = ABSENT


class ToolCall(WireObject, tag_field="type"):
    """A call the model asked for. ``index`` comes along when a client sends a stream's pieces back.

    ``extra_content`` is what a provider gave beside the call and may want back, such as Gemini's thought signature.
    """

    id: str
    index: int | None = None
    extra_content: msgspec.Raw = ABSENT


class FunctionToolCall(ToolCall, tag="function", kw_only=True):
    """A call of a function."""

    function: CalledFunction


class CalledCustomTool(WireObject):
    """The custom tool of a call, and its input as the model wrote it."""

    name: str
    input: str


class CustomToolCall(ToolCall, tag="custom", kw_only=True):
    """A call of a custom tool."""

    custom: CalledCustomTool


class Turn(WireObject):
    """One message of the conversation, of any role.

    ``reasoning_content`` is the field in which vLLM and DeepSeek carry the
    reasoning trace, and in which we send it; ``reasoning`` is the same to OpenRouter.
    ``reasoning_details``, ``thinking_blocks`` and ``extra_content`` are what a provider
    gave beside it and may want back. ``annotations`` and ``parsed`` come
    along when a client sends an answer back, and say nothing to a model.
    """

    role: str
    content: str | list[TextPart | ImagePart | FilePart | RefusalPart | AudioPart] | None = None
    name: str | None = None
    tool_calls: list[FunctionToolCall | CustomToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: msgspec.Raw = ABSENT
    reasoning_details: msgspec.Raw = ABSENT
    thinking_blocks: msgspec.Raw = ABSENT
    extra_content: msgspec.Raw = ABSENT
    annotations: list[msgspec.Raw] | None = None
    parsed: msgspec.Raw = ABSENT
    function_call: CalledFunction | None = None
    audio: msgspec.Raw = ABSENT


class Function(WireObject):
    """A function the model may call."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = ABSENT
    strict: bool | None = None


class FunctionTool(WireObject, tag_field="type", tag="function"):
    """A tool that is a function."""

    function: Function


class Custom(WireObject):
    """A tool whose input is free text, of a grammar where it has a ``format``."""

    name: str
    description: str | None = None
    format: msgspec.Raw = ABSENT


class CustomTool(WireObject, tag_field="type", tag="custom"):
    """A tool of free-form input."""

    custom: Custom


class FunctionName(WireObject):
    """A function, or another tool, by its name."""

    name: str


class FunctionChoice(WireObject, tag_field="type", tag="function"):
    """The function the model must call."""

    function: FunctionName


class CustomChoice(WireObject, tag_field="type", tag="custom"):
    """The custom tool the model must call."""

    custom: FunctionName


class AllowedTools(WireObject):
    """The tools that the model may, or must, choose from."""

    mode: Literal["auto", "required"]
    tools: list[FunctionChoice | CustomChoice]


class AllowedToolsChoice(WireObject, tag_field="type", tag="allowed_tools"):
    """A choice among some of the tools."""

    allowed_tools: AllowedTools


class TextFormat(WireObject, tag_field="type", tag="text"):
    """The default: any text."""


class JsonObjectFormat(WireObject, tag_field="type", tag="json_object"):
    """Any JSON object."""


class Schema(WireObject):
    """A JSON Schema and its name."""

    name: str
    description: str | None = None
    schema: msgspec.Raw = ABSENT
    strict: bool | None = None


class JsonSchemaFormat(WireObject, tag_field="type", tag="json_schema"):
    """JSON that a schema accepts."""

    json_schema: Schema


class Prompt(WireObject):
    """A prompt that is kept here, in the form of OpenAI's Responses API; ``label`` is ours."""

    id: str
    version: str | None = None
    label: str | None = None
    variables: dict[str, Any] | None = None


class ChatCompletionRequest(msgspec.Struct, kw_only=True, gc=False):
    """Body of ``POST /v1/chat/completions``: the fields that Penstock reads.

    ``top_k`` is not OpenAI's, but every open model's server takes it. ``model`` and ``messages`` may be absent where there
    is a ``prompt``.
    """

    model: str = ""
    messages: list[Turn] = []
    prompt: Prompt | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | float | None = None
    max_completion_tokens: int | float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    reasoning_effort: str | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[FunctionTool | CustomTool] | None = None
    functions: list[Function] | None = None
    function_call: str | FunctionName | None = None
    tool_choice: str | FunctionChoice | CustomChoice | AllowedToolsChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    modalities: list[str] | None = None
    service_tier: str | None = None
    store: bool | None = None
    audio: msgspec.Raw = ABSENT
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, str] | None = None
    knowledge: Knowledge | None = None
