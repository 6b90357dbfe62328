"""The one place where a request's bounds are checked, for every surface.

The bounds are those of the contract's comments. A message names the field by its
whole path, as ``field`` does, what was found and what is allowed: a surface with
paths of its own finds the path in the message and puts its own there.
"""

from __future__ import annotations

import re
from typing import cast

import msgspec

from penstock_common.contract.embedding import EmbedRequest
from penstock_common.errors import InvalidRequest
from penstock_common.llm.hints import HINTS
from penstock_common.llm.images import IMAGE_TYPES, image_type
from penstock_common.llm.types import (
    ContentPart,
    File,
    GenerationInput,
    Image,
    JsonSchema,
    Message,
    Opaque,
    Reasoning,
    RequestContext,
    Role,
    SamplingParams,
    Text,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)

MAX_MODEL_LENGTH = 128
MAX_MESSAGES = 2048
MAX_PARTS = 256
MAX_TOOLS = 128
MAX_TOOL_NAME_LENGTH = 64
MAX_STOPS = 8
MAX_STOP_LENGTH = 256
MAX_SCHEMA_BYTES = 256 * 1024
MAX_EXTRA_CHARACTERS = 1024 * 1024
MAX_USER_LENGTH = 256
MAX_FEATURE_LENGTH = 64
MAX_TAGS = 16
MAX_TAG_KEY_LENGTH = 64
MAX_TAG_LENGTH = 512
MAX_EMBEDDING_INPUTS = 2048
MAX_EMBEDDING_INPUT_BYTES = 1024 * 1024
_MAX_BYTES_PER_CHARACTER = 4
_UINT32_MAX = 2**32 - 1
_MAX_SHOWN_BITS = 64
_MAX_SHOWN_TYPE = 64
_MAX_SHOWN_NAME = 64
MAX_CHOICES = 128
OPAQUE_FORMATS = ("anthropic", "openai_responses", "gemini", "bedrock")
# Gemini's and Bedrock's words for an address in a storage.
_OF_STORED_FILES = frozenset({"fileData", "file_data", "fileUri", "file_uri", "s3Location"})
_FILE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,255}")
CACHE_TTLS = ("", "5m", "1h")
_REASONING_EFFORTS = ("", "none", "minimal", "low", "medium", "high", "xhigh", "max")
_NO_WISHES = SamplingParams()
_NOTHING_SAID = RequestContext()


def validate_input(request: GenerationInput, *, may_be_empty: bool = False) -> None:
    """Raise InvalidRequest for the first field that is out of bounds; ``may_be_empty``: a prompt has messages, too."""
    _label("input.model", request.model, 1, MAX_MODEL_LENGTH)
    if not (request.messages or may_be_empty):
        raise InvalidRequest("input.messages must hold at least one message.", field="input.messages")
    _at_most("input.messages", len(request.messages), MAX_MESSAGES, "messages")
    # A member is found through its class only slowly.
    tool = Role.TOOL
    for index, message in enumerate(request.messages):
        parts = message.parts
        # Nearly every turn is one text and nothing else, and may be any: it must not cost a call.
        is_text = len(parts) == 1 and type(parts[0]) is Text and message.role is not tool
        if not is_text or message.tool_calls or message.tool_call_id or parts[0].cache_ttl:
            _validate_message(f"input.messages[{index}]", message)
    if request.tools:
        _validate_tools(request.tools)
    if request.tool_choice is not None:
        _validate_tool_choice(request.tool_choice, request.tools)
    _validate_sampling(request.sampling)
    if isinstance(request.response_format, JsonSchema):
        _validate_schema(request.response_format)
    if request.extra_json:
        _json_object("input.extra_json", request.extra_json)
    if request.hints_json:
        _validate_hints(request.hints_json)


def validate_context(context: RequestContext) -> None:
    """Raise InvalidRequest for the first field that is out of bounds."""
    if context == _NOTHING_SAID:
        return
    _label("context.user", context.user, 0, MAX_USER_LENGTH)
    validate_feature("context.feature", context.feature)
    _at_most("context.tags", len(context.tags), MAX_TAGS, "tags")
    for key, value in context.tags.items():
        _label("context.tags", key, 1, MAX_TAG_KEY_LENGTH)
        _label(f"context.tags[{key}]", value, 0, MAX_TAG_LENGTH)


def validate_feature(path: str, feature: str) -> None:
    """Raise InvalidRequest for what cannot be a feature's name; ``path`` says where it stands."""
    _label(path, feature, 0, MAX_FEATURE_LENGTH)


def validate_embedding_input(request: EmbedRequest) -> None:
    """Raise InvalidRequest for the first field that is out of bounds."""
    _label("model", request.model, 1, MAX_MODEL_LENGTH)
    if not request.texts:
        raise InvalidRequest("inputs must hold at least one text.", field="inputs")
    _at_most("inputs", len(request.texts), MAX_EMBEDDING_INPUTS, "texts")
    _within("dimensions", request.dimensions, 0, _UINT32_MAX)
    for index, text in enumerate(request.texts):
        if not text:
            raise InvalidRequest(f"inputs[{index}] is empty.", field=f"inputs[{index}]")
        # Counting characters first spares encoding what is short.
        if (
            len(text) * _MAX_BYTES_PER_CHARACTER > MAX_EMBEDDING_INPUT_BYTES
            and len(text.encode()) > MAX_EMBEDDING_INPUT_BYTES
        ):
            raise InvalidRequest(
                f"inputs[{index}] may have at most {MAX_EMBEDDING_INPUT_BYTES} bytes; split it.",
                field=f"inputs[{index}]",
            )


def _validate_message(path: str, message: Message) -> None:
    _at_most(f"{path}.parts", len(message.parts), MAX_PARTS, "parts")
    if message.tool_calls and message.role is not Role.ASSISTANT:
        raise InvalidRequest(f"{path}.tool_calls may only stand in an assistant's message.", field=f"{path}.tool_calls")
    if message.role is Role.TOOL and not message.tool_call_id:
        raise InvalidRequest(
            f"{path}.tool_call_id is missing: a tool's message must say which call it answers.",
            field=f"{path}.tool_call_id",
        )
    if message.tool_call_id and message.role is not Role.TOOL:
        raise InvalidRequest(f"{path}.tool_call_id may only stand in a tool's message.", field=f"{path}.tool_call_id")
    if not message.parts and not message.tool_calls and message.role is not Role.TOOL:
        raise InvalidRequest(f"{path}.parts is empty.", field=f"{path}.parts")
    _validate_parts(path, message.parts, message.role)
    for index, call in enumerate(message.tool_calls):
        _length(f"{path}.tool_calls[{index}].extra_json", call.extra_json, 0, MAX_EXTRA_CHARACTERS)


def _validate_parts(path: str, parts: tuple[ContentPart, ...], role: Role) -> None:
    for index, part in enumerate(parts):
        if part.cache_ttl not in CACHE_TTLS:
            raise _no_cache_ttl(f"{path}.parts[{index}]")
        if isinstance(part, Text):
            continue
        where = f"{path}.parts[{index}]"
        if isinstance(part, Image):
            _validate_image(where, part)
        elif isinstance(part, File):
            _validate_file(where, part)
        elif isinstance(part, Reasoning):
            _length(f"{where}.reasoning.extra_json", part.extra_json, 0, MAX_EXTRA_CHARACTERS)
        else:
            if role is not Role.ASSISTANT:
                raise InvalidRequest(
                    f"{where}.opaque may only stand in an assistant's message, as the provider gave it.",
                    field=f"{where}.opaque",
                )
            _validate_opaque(f"{where}.opaque", part)


def _no_cache_ttl(path: str) -> InvalidRequest:
    return InvalidRequest(f"{path}.cache_ttl must be 5m or 1h.", field=f"{path}.cache_ttl")


def _validate_file(path: str, file: File) -> None:
    if not (file.data or file.url or file.id):
        raise InvalidRequest(f"{path}.file.data is empty.", field=f"{path}.file.data")
    if (bool(file.data), bool(file.url), bool(file.id)).count(True) > 1:
        raise InvalidRequest(f"{path}.file needs one of data, url and id.", field=f"{path}.file")
    if file.url and not file.url.startswith(("https://", "http://")):
        raise InvalidRequest(f"{path}.file.url must be http(s).", field=f"{path}.file.url")
    if file.id and _FILE_ID.fullmatch(file.id) is None:
        # An address would be read with the operator's account.
        raise InvalidRequest(
            f"{path}.file.id must be a provider's name of a file, and no address.", field=f"{path}.file.id"
        )


def _validate_opaque(path: str, block: Opaque) -> None:
    if block.format not in OPAQUE_FORMATS:
        raise InvalidRequest(
            f"{path}.format is '{block.format[:_MAX_SHOWN_TYPE]}', and must be one of {', '.join(OPAQUE_FORMATS)}.",
            field=f"{path}.format",
        )
    _length(f"{path}.json", block.json, 1, MAX_EXTRA_CHARACTERS)
    try:
        whole = msgspec.json.decode(block.json)
    except (msgspec.DecodeError, RecursionError):
        whole = None
    if not isinstance(whole, dict):
        raise InvalidRequest(f"{path}.json must be one JSON object.", field=f"{path}.json")
    if _names_a_stored_file(cast("object", whole)):
        raise InvalidRequest(
            f"{path}.json names a file in somebody's storage, which the provider would read with the operator's account.",
            field=f"{path}.json",
        )


def _names_a_stored_file(value: object) -> bool:
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            members = cast("dict[str, object]", found)
            if not _OF_STORED_FILES.isdisjoint(members):
                return True
            waiting += members.values()
        elif isinstance(found, list):
            waiting += cast("list[object]", found)
    return False


def _validate_image(path: str, image: Image) -> None:
    if bool(image.url) == bool(image.data):
        raise InvalidRequest(f"{path}.image needs either a url or data.", field=f"{path}.image")
    if image.url and not image.url.startswith(("https://", "http://")):
        raise InvalidRequest(
            f"{path}.image.url must be http(s); inline data has its own field.", field=f"{path}.image.url"
        )
    if image.data and image_type(image.data, image.media_type) not in IMAGE_TYPES:
        raise InvalidRequest(
            f"{path}.image.media_type is '{image.media_type[:_MAX_SHOWN_TYPE]}', and must be one of {', '.join(IMAGE_TYPES)}.",
            field=f"{path}.image.media_type",
        )
    if image.detail not in ("", "auto", "low", "high", "original"):
        raise InvalidRequest(f"{path}.image.detail must be auto, low, high or original.", field=f"{path}.image.detail")


def _validate_tools(tools: tuple[Tool, ...]) -> None:
    _at_most("input.tools", len(tools), MAX_TOOLS, "tools")
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        path = f"input.tools[{index}]"
        _length(f"{path}.name", tool.name, 1, MAX_TOOL_NAME_LENGTH)
        if tool.name in seen:
            raise InvalidRequest(f"{path}.name: the tool '{tool.name}' is defined twice.", field=f"{path}.name")
        seen.add(tool.name)
        if tool.cache_ttl not in CACHE_TTLS:
            raise _no_cache_ttl(path)
        if tool.opaque is not None:
            _validate_opaque(f"{path}.opaque", tool.opaque)
        if tool.parameters_json:
            _json_object(f"{path}.parameters_json", tool.parameters_json)
        if tool.custom_json:
            _json_object(f"{path}.custom_json", tool.custom_json)


def _validate_tool_choice(choice: ToolChoice, tools: tuple[Tool, ...]) -> None:
    needs_tools = choice.mode in (ToolChoiceMode.REQUIRED, ToolChoiceMode.NAMED)
    if needs_tools and not tools:
        raise InvalidRequest("input.tool_choice asks for a tool, but there are none.", field="input.tool_choice")
    if choice.mode is ToolChoiceMode.NAMED and all(tool.name != choice.tool_name for tool in tools):
        raise InvalidRequest(
            f"input.tool_choice names '{choice.tool_name}', which is not among the tools.", field="input.tool_choice"
        )
    if choice.allowed_tools:
        _validate_allowed_tools(choice, tools)


def _validate_allowed_tools(choice: ToolChoice, tools: tuple[Tool, ...]) -> None:
    path = "input.tool_choice.allowed_tools"
    if choice.mode not in (ToolChoiceMode.AUTO, ToolChoiceMode.REQUIRED):
        raise InvalidRequest(f"{path} may only stand where the model chooses.", field=path)
    known = {tool.name for tool in tools}
    for index, name in enumerate(choice.allowed_tools):
        if name not in known:
            raise InvalidRequest(
                f"{path}[{index}] is '{name[:_MAX_SHOWN_NAME]}', which is not among the tools.",
                field=f"{path}[{index}]",
            )


def _validate_sampling(sampling: SamplingParams) -> None:
    if sampling == _NO_WISHES:
        return
    _within("input.sampling.temperature", sampling.temperature, 0, 2)
    _within("input.sampling.top_p", sampling.top_p, 0, 1)
    _within("input.sampling.top_k", sampling.top_k, 1, _UINT32_MAX)
    _within("input.sampling.max_output_tokens", sampling.max_output_tokens, 1, _UINT32_MAX)
    _within("input.sampling.frequency_penalty", sampling.frequency_penalty, -2, 2)
    _within("input.sampling.presence_penalty", sampling.presence_penalty, -2, 2)
    _within("input.sampling.top_logprobs", sampling.top_logprobs, 0, 20)
    _within("input.sampling.choices", sampling.choices, 1, MAX_CHOICES)
    _within("input.sampling.seed", sampling.seed, -(2**63), 2**63 - 1)
    _at_most("input.sampling.stop", len(sampling.stop), MAX_STOPS, "strings")
    for index, stop in enumerate(sampling.stop):
        _length(f"input.sampling.stop[{index}]", stop, 1, MAX_STOP_LENGTH)
    if sampling.reasoning_effort not in _REASONING_EFFORTS:
        allowed = ", ".join(_REASONING_EFFORTS[1:])
        raise InvalidRequest(
            f"input.sampling.reasoning_effort must be one of {allowed}.", field="input.sampling.reasoning_effort"
        )


def _validate_hints(text: str) -> None:
    for name in _json_object("input.hints_json", text):
        if name not in HINTS:
            path = f"input.hints_json.{name[:_MAX_SHOWN_NAME]}"
            raise InvalidRequest(f"{path} is no hint, of which there are {', '.join(sorted(HINTS))}.", field=path)


def _validate_schema(schema: JsonSchema) -> None:
    path = "input.response_format.json_schema"
    _length(f"{path}.name", schema.name, 1, MAX_TOOL_NAME_LENGTH)
    if schema.schema_json:
        _json_object(f"{path}.schema_json", schema.schema_json)


def _length(path: str, value: str, least: int, most: int) -> None:
    if not least <= len(value) <= most:
        raise InvalidRequest(f"{path} must have {least} to {most} characters, not {len(value)}.", field=path)


def _label(path: str, value: str, least: int, most: int) -> None:
    """Check what the ledger keeps as text; PostgreSQL's cannot hold NUL."""
    _length(path, value, least, most)
    if "\x00" in value:
        raise InvalidRequest(f"{path} must not hold NUL characters.", field=path)


def _at_most(path: str, count: int, most: int, what: str) -> None:
    if count > most:
        raise InvalidRequest(f"{path} may hold at most {most} {what}, not {count}.", field=path)


def _within(path: str, value: float | None, least: float, most: float) -> None:
    # False for NaN; integers of any size compare, where turning one into a float may overflow.
    if value is not None and not least <= value <= most:
        found = "a larger number" if isinstance(value, int) and value.bit_length() > _MAX_SHOWN_BITS else value
        raise InvalidRequest(f"{path} must be between {least} and {most}, not {found}.", field=path)


def _json_object(path: str, text: str) -> dict[str, object]:
    if len(text) > MAX_SCHEMA_BYTES or (not text.isascii() and len(text.encode()) > MAX_SCHEMA_BYTES):
        raise InvalidRequest(f"{path} may have at most {MAX_SCHEMA_BYTES} bytes.", field=path)
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise InvalidRequest(f"{path} is not valid JSON.", field=path) from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"{path} must be a JSON object.", field=path)
    return cast("dict[str, object]", value)
