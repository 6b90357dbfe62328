"""Turns the messages of a chat-completions request into the suite's vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_common.llm.extras import CALL_FIELDS, TURN_FIELDS
from penstock_common.llm.types import ContentPart, File, Image, Message, Reasoning, Role, Text, ToolCall
from penstock_gateway.surfaces.wire_formats.json_body import shortened
from penstock_gateway.surfaces.wire_formats.openai.chat import request_wire as wire
from penstock_gateway.surfaces.wire_formats.openai.chat.extras import extra_members, text_of
from penstock_gateway.surfaces.wire_formats.openai.chat.thinking import (
    BLOCK,
    Block,
    blocks_in,
    laid_out,
    unwrapped_extras,
)
from penstock_gateway.surfaces.wire_formats.openai.data_urls import DATA_SCHEME, file_in, image_in, trimmed
from penstock_gateway.surfaces.wire_formats.openai.fields import is_null

_FUNCTION = "function"
# Asked for in every turn, and a member is found through its class only slowly.
_ASSISTANT, _TOOL = Role.ASSISTANT, Role.TOOL
_ROLES = {**{role.value: role for role in Role}, _FUNCTION: _TOOL}

WirePart = wire.TextPart | wire.ImagePart | wire.FilePart | wire.RefusalPart | wire.AudioPart


def parse_turns(turns: Sequence[wire.Turn]) -> tuple[Message, ...]:
    """Return the conversation.

    Raises:
        InvalidRequest: if there is none, or a turn lacks what its role needs.
        UnsupportedParameter: if a turn holds what Penstock cannot carry.
    """
    if not turns:
        raise InvalidRequest("'messages' must hold at least one message, but is empty.", field="messages")
    return tuple([_turn(turn, index, turns) for index, turn in enumerate(turns)])


def verbatim_object(value: msgspec.Raw, field: str, index: int = 0) -> str:
    """Return an object's JSON text as the caller wrote it, '' where it is unset.

    ``field`` is its path, ``{}`` standing for the index.
    """
    text = bytes(value).decode()
    if text.startswith("{"):
        return text
    if text == "null":
        return ""
    field = field.format(index)
    raise InvalidRequest(f"'{field}' must be an object, but is {shortened(text)}.", field=field)


def _turn(turn: wire.Turn, index: int, turns: Sequence[wire.Turn]) -> Message:
    role = _ROLES.get(turn.role)
    if role is None:
        raise _unknown_role(turn.role, index)
    if turn.audio is not wire.ABSENT and not is_null(turn.audio):
        field = f"messages[{index}].audio"
        raise UnsupportedParameter(f"'{field}' is not supported; send text.", parameter=field)
    if role is _ASSISTANT:
        return _assistant_turn(turn, index)
    if turn.tool_calls or turn.function_call or turn.refusal or turn.reasoning_content:
        raise _assistants_only(turn, index)
    if turn.role == _FUNCTION:
        parts = () if turn.content is None else _content(turn.content, index)
        return Message(role=role, parts=parts, tool_call_id=_call_answered(turn, index, turns))
    if turn.content is None:
        raise InvalidRequest(
            f"'messages[{index}].content' must be a string or an array of parts, but is missing.",
            field=f"messages[{index}].content",
        )
    if (turn.tool_call_id is None) is (role is _TOOL):
        raise _misplaced_tool_call_id(role, index)
    return Message(
        role=role,
        parts=_content(turn.content, index),
        tool_call_id=turn.tool_call_id or "",
        name=turn.name or "",
    )


def _assistant_turn(turn: wire.Turn, index: int) -> Message:
    if turn.tool_call_id is not None:
        raise _misplaced_tool_call_id(Role.ASSISTANT, index)
    tool_calls: tuple[ToolCall, ...] = ()
    if turn.tool_calls:
        tool_calls = tuple([_tool_call(call, index, place) for place, call in enumerate(turn.tool_calls)])
    if turn.function_call is not None:
        called = turn.function_call
        tool_calls = (*tool_calls, ToolCall(id=_call_id(index), name=called.name, arguments_json=called.arguments))
    parts: tuple[ContentPart, ...] = ()
    # A stream's first chunk says content "", so clients send it back beside the calls.
    if turn.content is not None and not (turn.content == "" and tool_calls):
        parts = _content(turn.content, index)
    if turn.refusal:
        parts = (*parts, Text(text=turn.refusal))
    if turn.reasoning_content or not (
        turn.reasoning is turn.reasoning_details is turn.thinking_blocks is turn.extra_content is wire.ABSENT
    ):
        parts, tool_calls = _with_reasoning(turn, index, parts, tool_calls)
    if not parts and not tool_calls:
        raise InvalidRequest(
            f"'messages[{index}].content' must be set where 'tool_calls' is not, but both are missing.",
            field=f"messages[{index}].content",
        )
    return Message(role=_ASSISTANT, parts=parts, tool_calls=tool_calls, name=turn.name or "")


def _with_reasoning(
    turn: wire.Turn, index: int, parts: tuple[ContentPart, ...], calls: tuple[ToolCall, ...]
) -> tuple[tuple[ContentPart, ...], tuple[ToolCall, ...]]:
    """Return the turn's parts and calls with what it says of the model's reasoning, and what came with it."""
    blocks: list[Block] = []
    if turn.thinking_blocks is not wire.ABSENT and not is_null(turn.thinking_blocks):
        blocks = blocks_in(bytes(turn.thinking_blocks))
    is_ours = BLOCK.encode() in bytes(turn.thinking_blocks)
    names = tuple([name for name in TURN_FIELDS if not (is_ours and name == "thinking_blocks")])
    extra_json, origin = unwrapped_extras(extra_members(turn, names, f"messages[{index}]"))
    if not origin and blocks:
        if extra_json:
            first = blocks[0].reasoning
            blocks[0].reasoning = msgspec.structs.replace(first, extra_json=extra_json)
        return laid_out(blocks, parts, calls)
    text = turn.reasoning_content or text_of(turn.reasoning)
    if not text and not extra_json:
        return parts, calls
    return (Reasoning(text=text, extra_json=extra_json, origin=origin), *parts), calls


def _tool_call(call: wire.FunctionToolCall | wire.CustomToolCall, index: int, place: int) -> ToolCall:
    extra_json = origin = ""
    if call.extra_content is not wire.ABSENT:
        given = extra_members(call, CALL_FIELDS, f"messages[{index}].tool_calls[{place}]")
        extra_json, origin = unwrapped_extras(given)
    if isinstance(call, wire.CustomToolCall):
        custom = call.custom
        return ToolCall(
            id=call.id,
            name=custom.name,
            arguments_json=custom.input,
            extra_json=extra_json,
            origin=origin,
            is_custom=True,
        )
    function = call.function
    return ToolCall(
        id=call.id, name=function.name, arguments_json=function.arguments, extra_json=extra_json, origin=origin
    )


def _content(content: str | list[WirePart], index: int) -> tuple[ContentPart, ...]:
    if isinstance(content, str):
        return (Text(text=content),)
    if not content:
        raise InvalidRequest(
            f"'messages[{index}].content' must hold at least one part, but is empty.",
            field=f"messages[{index}].content",
        )
    return tuple([_part(part, f"messages[{index}].content[{place}]") for place, part in enumerate(content)])


def _part(part: WirePart, path: str) -> ContentPart:
    ends_prefix = part.prompt_cache_breakpoint is not None or part.cache_control is not None
    if ends_prefix:
        _refuse_lifetime(part, path)
    if isinstance(part, wire.TextPart):
        return Text(text=part.text, cache_breakpoint=ends_prefix)
    if isinstance(part, wire.ImagePart):
        return _image(part.image_url, f"{path}.image_url", ends_prefix)
    if isinstance(part, wire.FilePart):
        return _file(part.file, f"{path}.file", ends_prefix)
    if isinstance(part, wire.RefusalPart):
        return Text(text=part.refusal, cache_breakpoint=ends_prefix)
    field = f"{path}.input_audio"
    raise UnsupportedParameter(f"'{field}' is not supported; send a transcript as text.", parameter=field)


def _refuse_lifetime(part: WirePart, path: str) -> None:
    for name, mark in (
        ("prompt_cache_breakpoint", part.prompt_cache_breakpoint),
        ("cache_control", part.cache_control),
    ):
        if mark is not None and mark.ttl is not None:
            field = f"{path}.{name}.ttl"
            raise UnsupportedParameter(f"'{field}' is not supported; leave it out.", parameter=field)


def _image(image: wire.ImageUrl | str, path: str, ends_prefix: bool) -> Image:
    # Many write the URL itself where the object belongs.
    field = path if isinstance(image, str) else f"{path}.url"
    url, detail = (image, "") if isinstance(image, str) else (image.url, image.detail or "")
    url = trimmed(url)
    scheme = url[:8].lower()
    if scheme.startswith(DATA_SCHEME):
        media_type, data = image_in(url, field)
        return Image(data=data, media_type=media_type, detail=detail, cache_breakpoint=ends_prefix)
    if scheme.startswith(("https://", "http://")):
        # The domain compares the scheme in lower case.
        scheme = scheme.partition(":")[0]
        return Image(url=scheme + url[len(scheme) :], detail=detail, cache_breakpoint=ends_prefix)
    raise InvalidRequest(
        f"'{field}' must be an http(s) URL or a base64 data: URL, but starts with '{url[:8]}'.", field=field
    )


def _file(file: wire.FileData, path: str, ends_prefix: bool) -> File:
    if file.file_id is not None:
        raise UnsupportedParameter(
            f"'{path}.file_id' is not supported, there is no file store; send 'file_data'.",
            parameter=f"{path}.file_id",
        )
    if file.file_data is None:
        raise InvalidRequest(f"'{path}.file_data' is required, but it is missing.", field=f"{path}.file_data")
    media_type, data = file_in(file.file_data, f"{path}.file_data")
    return File(name=file.filename or "", media_type=media_type, data=data, cache_breakpoint=ends_prefix)


def _call_id(index: int) -> str:
    """Return the id of a call in the older form, which has none: by its turn's number, so that it stays the same."""
    return f"call_of_message_{index}"


def _call_answered(turn: wire.Turn, index: int, turns: Sequence[wire.Turn]) -> str:
    """Return the id of the call that a function's turn answers: the last one of its name."""
    for at in range(index - 1, -1, -1):
        called = turns[at].function_call
        if called is not None and turn.name in (None, called.name):
            return _call_id(at)
    field = f"messages[{index}].name"
    raise InvalidRequest(f"'{field}' must name a function that a message before it calls.", field=field)


def _unknown_role(role: str, index: int) -> InvalidRequest:
    field = f"messages[{index}].role"
    known = ", ".join(f"'{name}'" for name in _ROLES)
    return InvalidRequest(f"'{field}' must be one of {known}, but is '{shortened(role)}'.", field=field)


def _assistants_only(turn: wire.Turn, index: int) -> InvalidRequest:
    name = next(name for name in ("tool_calls", "function_call", "refusal", "reasoning_content") if getattr(turn, name))
    field = f"messages[{index}].{name}"
    return InvalidRequest(
        f"'{field}' is only allowed in an assistant's message, but the role is '{turn.role}'.", field=field
    )


def _misplaced_tool_call_id(role: Role, index: int) -> InvalidRequest:
    field = f"messages[{index}].tool_call_id"
    if role is Role.TOOL:
        return InvalidRequest(f"'{field}' is required in a tool's message, but it is missing.", field=field)
    return InvalidRequest(
        f"'{field}' is only allowed in a tool's message, but the role is '{role.value}'.", field=field
    )
