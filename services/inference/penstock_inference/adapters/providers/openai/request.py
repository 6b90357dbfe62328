"""From a generation's input to the body of ``POST /chat/completions``.

Schemas go verbatim. What an upstream cannot honour is refused, never dropped:
the exception is a model's earlier reasoning, and what else came with it, where a server takes none back.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from penstock_common.llm.types import (
    ContentPart,
    File,
    GenerationInput,
    Image,
    JsonObject,
    Message,
    Reasoning,
    ResponseFormat,
    Role,
    SamplingParams,
    Text,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from penstock_inference.adapters.providers.openai.dialect import Dialect
from penstock_inference.adapters.providers.openai.extras import add_extras
from penstock_inference.domain.failure import AttemptFailed, FailureKind, unsupported
from penstock_inference.domain.tiers import is_tier_field

# Fields that decide what is asked of whom and what it costs; a caller's extra field never sets one.
_OURS = frozenset(
    {
        "model", "messages", "stream", "stream_options", "n", "best_of", "max_tokens", "max_completion_tokens",
        "temperature", "top_p", "top_k", "stop", "seed", "frequency_penalty", "presence_penalty", "tools",
        "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "logprobs", "top_logprobs",
    }
)  # fmt: skip

_DEFAULT_SAMPLING = SamplingParams()
_ENCODER = msgspec.json.Encoder()
_RAW = msgspec.json.Decoder(msgspec.Raw)
_EXTRA = msgspec.json.Decoder(dict[str, msgspec.Raw])

_CHOICE_WORDS = {
    ToolChoiceMode.AUTO: "auto",
    ToolChoiceMode.NONE: "none",
    ToolChoiceMode.REQUIRED: "required",
}
_SAMPLING_FIELDS = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")


class _Turn(msgspec.Struct, gc=False):
    """A turn of text alone, which nearly all are; half the cost of a dictionary."""

    role: Role
    content: str


def body_from_input(value: GenerationInput, model: str, dialect: Dialect, *, whole: bool = False) -> bytes:
    """Return the request's JSON; it asks for a stream and for usage, or for a ``whole`` answer, which has it always.

    Raises:
        AttemptFailed: UNSUPPORTED for a field this upstream cannot honour, BAD_REQUEST for JSON that is none.
    """
    body: dict[str, Any] = {"model": model, "messages": _turns(value.messages, dialect), "stream": not whole}
    if dialect.stream_options and not whole:
        body["stream_options"] = {"include_usage": True}
    if value.sampling is not _DEFAULT_SAMPLING and value.sampling != _DEFAULT_SAMPLING:
        _add_sampling(body, value.sampling, dialect)
    if value.tools:
        body["tools"] = [_tool(tool, index) for index, tool in enumerate(value.tools)]
    if value.tool_choice is not None:
        _add_tool_choice(body, value.tool_choice)
    if value.response_format is not None:
        body["response_format"] = _response_format(value.response_format)
    if value.extra_json:
        _add_extra(body, value.extra_json, dialect)
    return _ENCODER.encode(body)


def _turns(messages: tuple[Message, ...], dialect: Dialect) -> list[_Turn | dict[str, Any]]:
    turns: list[_Turn | dict[str, Any]] = []
    for message in messages:
        parts = message.parts
        if message.tool_calls or message.tool_call_id or message.name or len(parts) != 1:
            turns.append(_message(message, dialect))
            continue
        part = parts[0]
        if dialect.reasoned_turns and message.role is Role.ASSISTANT:
            turns.append(_message(message, dialect))
        elif type(part) is Text and (message.role is not Role.DEVELOPER or dialect.developer_role):
            turns.append(_Turn(message.role, part.text))
        else:
            turns.append(_message(message, dialect))
    return turns


def _message(message: Message, dialect: Dialect) -> dict[str, Any]:
    role = message.role
    if role is Role.DEVELOPER and not dialect.developer_role:
        role = Role.SYSTEM
    turn: dict[str, Any] = {"role": role.value, "content": _content(message.parts, dialect)}
    if message.name:
        turn["name"] = message.name
    if message.tool_call_id:
        turn["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments_json}}
            for call in message.tool_calls
        ]
    if role is Role.ASSISTANT:
        add_extras(turn, message, dialect)
    return turn


def _content(parts: tuple[ContentPart, ...], dialect: Dialect) -> str | list[dict[str, Any]] | None:
    if len(parts) > 1:
        # It has a place of its own.
        parts = tuple([part for part in parts if not isinstance(part, Reasoning)])
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    content: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, Image):
            content.append({"type": "image_url", "image_url": _image(part, dialect)})
        elif isinstance(part, File):
            content.append({"type": "file", "file": _file(part, dialect)})
    return content or None


def _image(image: Image, dialect: Dialect) -> dict[str, str]:
    url = image.url or _data_url(image.media_type, image.data)
    if not url.startswith("data:") and not dialect.fetches_urls:
        raise unsupported("image_url", "must be a data: URL for this upstream")
    return {"url": url, "detail": image.detail} if image.detail else {"url": url}


def _file(file: File, dialect: Dialect) -> dict[str, str]:
    if not dialect.files:
        raise unsupported("file")
    return {"filename": file.name, "file_data": _data_url(file.media_type, file.data)}


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type or 'application/octet-stream'};base64,{base64.b64encode(data).decode()}"


def _add_sampling(body: dict[str, Any], sampling: SamplingParams, dialect: Dialect) -> None:
    if sampling.top_logprobs is not None:
        raise unsupported("top_logprobs")
    for name in _SAMPLING_FIELDS:
        setting = getattr(sampling, name)
        if setting is not None:
            body[name] = setting
    if sampling.top_k is not None:
        if not dialect.top_k:
            raise unsupported("top_k")
        body["top_k"] = sampling.top_k
    if sampling.max_output_tokens is not None:
        body[dialect.max_tokens_field] = sampling.max_output_tokens
    if sampling.stop:
        body["stop"] = sampling.stop
    if sampling.reasoning_effort:
        body["reasoning_effort"] = sampling.reasoning_effort


def _tool(tool: Tool, index: int) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_json:
        function["parameters"] = _verbatim(tool.parameters_json, f"tools[{index}].parameters")
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _add_tool_choice(body: dict[str, Any], choice: ToolChoice) -> None:
    if choice.mode is ToolChoiceMode.NAMED:
        body["tool_choice"] = {"type": "function", "function": {"name": choice.tool_name}}
    elif choice.mode is not None:
        body["tool_choice"] = _CHOICE_WORDS[choice.mode]
    if choice.parallel is not None:
        body["parallel_tool_calls"] = choice.parallel


def _response_format(wanted: ResponseFormat) -> dict[str, Any]:
    if isinstance(wanted, JsonObject):
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name}
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.schema_json:
        schema["schema"] = _verbatim(wanted.schema_json, "response_format.json_schema.schema")
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


def _verbatim(text: str, field: str) -> msgspec.Raw:
    """Return the text as it stands, once it is known to be one JSON value: nothing may break out of it."""
    try:
        return _RAW.decode(text)
    except msgspec.DecodeError:
        raise AttemptFailed(FailureKind.BAD_REQUEST, f"{field} is not valid JSON") from None


def _add_extra(body: dict[str, Any], extra_json: str, dialect: Dialect) -> None:
    try:
        extra = _EXTRA.decode(extra_json)
    except msgspec.DecodeError:
        raise AttemptFailed(FailureKind.BAD_REQUEST, "extra_json is not a JSON object") from None
    for name, setting in extra.items():
        takes = dialect.passthrough or (dialect.service_tiers and is_tier_field(name))
        if name in _OURS or not takes:
            raise unsupported(name)
        body[name] = setting
