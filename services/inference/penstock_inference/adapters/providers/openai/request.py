"""From a generation's input to the body of ``POST /chat/completions``.

Schemas go verbatim. What an upstream cannot honour is refused, or left out where
the request's policy says so and the answer tells; never dropped in silence. The
exception is a model's earlier reasoning, and what else came with it, where a server takes none back.
"""

from __future__ import annotations

import base64
import secrets
from typing import Any

import msgspec

from penstock_common.http.body import Body, BodyWithData
from penstock_common.llm.hints import HINTS
from penstock_common.llm.images import image_type
from penstock_common.llm.types import (
    ContentPart,
    File,
    GenerationInput,
    Image,
    JsonObject,
    Message,
    ResponseFormat,
    Role,
    SamplingParams,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
)
from penstock_inference.adapters.providers.openai.dialect import Dialect
from penstock_inference.adapters.providers.openai.extras import add_extras
from penstock_inference.adapters.providers.openai.fields import READ
from penstock_inference.domain.failure import AttemptFailed, FailureKind, unsupported
from penstock_inference.domain.model_facts import UNKNOWN_MODEL, ModelFacts
from penstock_inference.domain.tiers import is_tier_field
from penstock_inference.domain.unsupported import FieldPolicy

_DEFAULT_SAMPLING = SamplingParams()
_ENCODER = msgspec.json.Encoder()
_RAW = msgspec.json.Decoder(msgspec.Raw)
_EXTRA = msgspec.json.Decoder(dict[str, msgspec.Raw])

_CHOICE_WORDS = {
    ToolChoiceMode.AUTO: "auto",
    ToolChoiceMode.NONE: "none",
    ToolChoiceMode.REQUIRED: "required",
}
_SMALLEST_TOP_P = 1e-6
_LARGE_DATA_BYTES = 64 * 1024
# Stands for large data until the body is sent. Nobody but this process knows it, so nobody can write it into a request.
_DATA_MARK = secrets.token_hex(16)
_NO_FORMAT = "{}"
_SAMPLING_FIELDS = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
_REFUSABLE_FIELDS = (*_SAMPLING_FIELDS, "top_k", "stop")


class _Turn(msgspec.Struct, gc=False):
    """A turn of text alone, which nearly all are; half the cost of a dictionary."""

    role: Role
    content: str


def body_from_input(
    value: GenerationInput,
    model: str,
    dialect: Dialect,
    policy: FieldPolicy | None = None,
    *,
    whole: bool = False,
    is_continued: bool = False,
    facts: ModelFacts = UNKNOWN_MODEL,
) -> bytes | Body:
    """Return the request's JSON, in which large data is written only as it is sent.

    It asks for a stream and for usage, or for a ``whole`` answer, which has it always.

    ``policy`` decides of the fields that this upstream cannot honour, or this model by its ``facts``, and notes those left
    out; None refuses them.

    Raises:
        AttemptFailed: UNSUPPORTED for a field this upstream cannot honour, BAD_REQUEST for JSON that is none.
    """
    large: list[bytes] = []
    body: dict[str, Any] = {"model": model, "messages": _turns(value.messages, dialect, large), "stream": not whole}
    if dialect.stream_options and not whole:
        body["stream_options"] = {"include_usage": True}
    if is_continued and dialect.says_continued:
        body["continue_final_message"], body["add_generation_prompt"] = True, False
    if value.sampling is not _DEFAULT_SAMPLING and value.sampling != _DEFAULT_SAMPLING:
        _add_sampling(body, value.sampling, dialect, policy, facts)
    if value.tools:
        body["tools"] = [_tool(tool, index, dialect) for index, tool in _tools_sent(value, dialect)]
    if value.tool_choice is not None:
        _add_tool_choice(body, value.tool_choice, value.tools, dialect)
    if value.response_format is not None:
        body["response_format"] = _response_format(value.response_format)
    if value.extra_json:
        _add_extra(body, value.extra_json, dialect, policy)
    if value.hints_json:
        _add_hints(body, value.hints_json, dialect, policy)
    encoded = _ENCODER.encode(body)
    return BodyWithData(encoded.split(_DATA_MARK.encode()), large) if large else encoded


def _turns(messages: tuple[Message, ...], dialect: Dialect, large: list[bytes]) -> list[_Turn | dict[str, Any]]:
    turns: list[_Turn | dict[str, Any]] = []
    # Members are found through their class only slowly.
    assistant, developer = Role.ASSISTANT, Role.DEVELOPER
    for index, message in enumerate(messages):
        parts = message.parts
        if message.tool_calls or message.tool_call_id or message.name or len(parts) != 1:
            turns.append(_message(message, dialect, index, large))
            continue
        part = parts[0]
        if dialect.reasoned_turns and message.role is assistant:
            turns.append(_message(message, dialect, index, large))
        elif type(part) is Text and (message.role is not developer or dialect.developer_role):
            turns.append(_Turn(message.role, part.text))
        else:
            turns.append(_message(message, dialect, index, large))
    return turns


def _message(message: Message, dialect: Dialect, index: int, large: list[bytes]) -> dict[str, Any]:
    role = message.role
    if role is Role.DEVELOPER and not dialect.developer_role:
        role = Role.SYSTEM
    turn: dict[str, Any] = {"role": role.value, "content": _content(message.parts, dialect, index, large)}
    if message.name:
        turn["name"] = message.name
    if message.tool_call_id:
        turn["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        turn["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if role is Role.ASSISTANT:
        add_extras(turn, message, dialect)
    return turn


def _tool_call(call: ToolCall) -> dict[str, Any]:
    if call.is_custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments_json}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments_json}}


def _content(
    parts: tuple[ContentPart, ...], dialect: Dialect, index: int, large: list[bytes]
) -> str | list[dict[str, Any]] | None:
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    content: list[dict[str, Any]] = []
    for place, part in enumerate(parts):
        path = f"input.messages[{index}].parts[{place}]"
        if isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, Image):
            content.append({"type": "image_url", "image_url": _image(part, dialect, path, large)})
        elif isinstance(part, File):
            content.append({"type": "file", "file": _file(part, dialect, path, large)})
    if len(content) == 1 and content[0]["type"] == "text":
        # Beside it stood reasoning alone, which has a place of its own.
        return content[0]["text"]
    return content or None


def _image(image: Image, dialect: Dialect, path: str, large: list[bytes]) -> dict[str, str]:
    url = image.url or _data_url(image_type(image.data, image.media_type), image.data, large)
    if not url.startswith("data:") and not dialect.fetches_urls:
        raise unsupported(f"{path}.image.url", "must be a data: URL for this upstream")
    return {"url": url, "detail": image.detail} if image.detail else {"url": url}


def _file(file: File, dialect: Dialect, path: str, large: list[bytes]) -> dict[str, str]:
    if not dialect.files:
        raise unsupported(f"{path}.file")
    return {"filename": file.name, "file_data": _data_url(file.media_type, file.data, large)}


def _data_url(media_type: str, data: bytes, large: list[bytes]) -> str:
    """Return the data as a URL; what is large joins ``large`` instead, and a mark stands for it."""
    if len(data) > _LARGE_DATA_BYTES:
        large.append(data)
        encoded = _DATA_MARK
    else:
        encoded = base64.b64encode(data).decode()
    return f"data:{media_type or 'application/octet-stream'};base64,{encoded}"


def _add_sampling(
    body: dict[str, Any], sampling: SamplingParams, dialect: Dialect, policy: FieldPolicy | None, facts: ModelFacts
) -> None:
    if facts is not UNKNOWN_MODEL:
        sampling = _sampling_taken(sampling, facts, policy)
    for name in _SAMPLING_FIELDS:
        setting = getattr(sampling, name)
        if setting is not None:
            body[name] = setting
    if sampling.top_p == 0 and not dialect.zero_top_p:
        body["top_p"] = _SMALLEST_TOP_P
    if sampling.top_k is not None and (dialect.top_k or _sends(policy, "top_k", "input.sampling.top_k")):
        body["top_k"] = sampling.top_k
    if sampling.max_output_tokens is not None:
        body[facts.max_tokens_field or dialect.max_tokens_field] = sampling.max_output_tokens
    if sampling.stop:
        body["stop"] = sampling.stop
    if sampling.reasoning_effort:
        body["reasoning_effort"] = sampling.reasoning_effort
    _add_answers_form(body, sampling, dialect, policy)


def _sampling_taken(sampling: SamplingParams, facts: ModelFacts, policy: FieldPolicy | None) -> SamplingParams:
    """Return the parameters without those that the model does not take; see the policy."""
    left_out = {
        name: getattr(_DEFAULT_SAMPLING, name)
        for name in _REFUSABLE_FIELDS
        if getattr(sampling, name) not in (None, ())
        and not facts.takes_sampling(name, sampling.reasoning_effort)
        and not _sends(policy, name, f"input.sampling.{name}", "is not taken by this model")
    }
    return msgspec.structs.replace(sampling, **left_out) if left_out else sampling


def _add_answers_form(
    body: dict[str, Any], sampling: SamplingParams, dialect: Dialect, policy: FieldPolicy | None
) -> None:
    alternatives, choices = sampling.top_logprobs, sampling.choices
    if alternatives is not None and (dialect.logprobs or _sends(policy, "logprobs", "input.sampling.top_logprobs")):
        body["logprobs"] = True
        if alternatives:
            body["top_logprobs"] = alternatives
    if choices is not None and choices > 1:
        if not dialect.choices:
            # One answer instead of several is another answer: it is never left out.
            raise unsupported("input.sampling.choices")
        body["n"] = choices


def _tools_sent(value: GenerationInput, dialect: Dialect) -> list[tuple[int, Tool]]:
    """Return the tools that the model is told of, with their numbers: not those that it may not call, where it would."""
    allowed = value.tool_choice.allowed_tools if value.tool_choice is not None and not dialect.custom_tools else ()
    return [(index, tool) for index, tool in enumerate(value.tools) if not allowed or tool.name in allowed]


def _tool(tool: Tool, index: int, dialect: Dialect) -> dict[str, Any]:
    if tool.custom_json:
        return _custom_tool(tool, index, dialect)
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_json:
        function["parameters"] = _verbatim(tool.parameters_json, f"input.tools[{index}].parameters_json")
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _custom_tool(tool: Tool, index: int, dialect: Dialect) -> dict[str, Any]:
    path = f"input.tools[{index}].custom_json"
    if not (dialect.custom_tools or dialect.passthrough):
        raise unsupported(path)
    custom: dict[str, Any] = {"name": tool.name}
    if tool.description:
        custom["description"] = tool.description
    if tool.custom_json != _NO_FORMAT:
        custom["format"] = _verbatim(tool.custom_json, path)
    return {"type": "custom", "custom": custom}


def _add_tool_choice(body: dict[str, Any], choice: ToolChoice, tools: tuple[Tool, ...], dialect: Dialect) -> None:
    if choice.mode is ToolChoiceMode.NAMED:
        body["tool_choice"] = _reference(choice.tool_name, tools)
    elif choice.mode is not None and choice.allowed_tools and dialect.custom_tools:
        allowed = [_reference(name, tools) for name in choice.allowed_tools]
        body["tool_choice"] = {
            "type": "allowed_tools",
            "allowed_tools": {"mode": _CHOICE_WORDS[choice.mode], "tools": allowed},
        }
    elif choice.mode is not None:
        body["tool_choice"] = _CHOICE_WORDS[choice.mode]
    if choice.parallel is not None:
        body["parallel_tool_calls"] = choice.parallel


def _reference(name: str, tools: tuple[Tool, ...]) -> dict[str, Any]:
    kind = "custom" if any(tool.name == name and tool.custom_json for tool in tools) else "function"
    return {"type": kind, kind: {"name": name}}


def _response_format(wanted: ResponseFormat) -> dict[str, Any]:
    if isinstance(wanted, JsonObject):
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name}
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.schema_json:
        schema["schema"] = _verbatim(wanted.schema_json, "input.response_format.json_schema.schema_json")
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


def _verbatim(text: str, field: str) -> msgspec.Raw:
    """Return the text as it stands, once it is known to be one JSON value: nothing may break out of it."""
    try:
        return _RAW.decode(text)
    except msgspec.DecodeError:
        raise AttemptFailed(FailureKind.BAD_REQUEST, f"{field} is not valid JSON", parameter=field) from None


def _sends(policy: FieldPolicy | None, name: str, path: str, why: str = "is not supported") -> bool:
    return (policy or FieldPolicy()).sends(name, path, why)


def _add_extra(body: dict[str, Any], extra_json: str, dialect: Dialect, policy: FieldPolicy | None) -> None:
    for name, setting in _members(extra_json, "extra_json").items():
        path = f"input.extra_json.{name}"
        if name in READ:
            raise unsupported(path, "has a field of its own")
        is_tier = is_tier_field(name)
        if dialect.passthrough or name in dialect.fields or (is_tier and dialect.service_tiers):
            body[name] = setting
        elif _sends(policy, name, path):
            if is_tier:
                # It changes the price, and has none here.
                raise unsupported(path)
            body[name] = setting


def _add_hints(body: dict[str, Any], hints_json: str, dialect: Dialect, policy: FieldPolicy | None) -> None:
    for name, setting in _members(hints_json, "hints_json").items():
        if name not in HINTS:
            raise unsupported(f"input.hints_json.{name}", "is no hint")
        if dialect.passthrough or name in dialect.fields:
            body[name] = setting
        elif policy is not None and bytes(setting) != b"false":
            # Who does not know of storing does not store.
            policy.drop(name)


def _members(text: str, field: str) -> dict[str, msgspec.Raw]:
    try:
        return _EXTRA.decode(text)
    except msgspec.DecodeError:
        raise AttemptFailed(FailureKind.BAD_REQUEST, f"{field} is not a JSON object") from None
