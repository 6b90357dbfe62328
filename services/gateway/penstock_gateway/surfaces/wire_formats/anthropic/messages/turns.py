"""Turns the conversation of a Messages request into the suite's vocabulary, block by block, in their order.

A block that the vocabulary has no word for stays as it is written, for providers that speak this format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from penstock_common.errors import InvalidRequest
from penstock_common.llm.encrypted_reasoning import is_encrypted
from penstock_common.llm.types import ContentPart, Message, Opaque, Reasoning, Role, Text, ToolCall
from penstock_gateway.surfaces.wire_formats.anthropic.calls import beside_a_call
from penstock_gateway.surfaces.wire_formats.anthropic.messages import request_wire as wire
from penstock_gateway.surfaces.wire_formats.anthropic.messages.sources import (
    document_of,
    image_of,
    needed,
    read_at,
    text_of,
    ttl_of,
)
from penstock_gateway.surfaces.wire_formats.anthropic.signatures import unwrapped
from penstock_gateway.surfaces.wire_formats.json_body import check_json

FORMAT = "anthropic"
"""The word of opaque blocks that are this format's."""

_RESULT = msgspec.json.Decoder(str | list[wire.Block] | None)
_BLOCKS = msgspec.json.Decoder(list[msgspec.Raw])
_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_NO_INPUT = "{}"
Verbatim = Callable[[int, int], msgspec.Raw]
"""Returns a block as it is written, by the numbers of its turn and its own."""


def system_of(system: str | list[wire.TextBlock]) -> tuple[Message, ...]:
    """Return the turn that the system prompt makes, its blocks kept apart; none for an empty one."""
    if isinstance(system, str):
        return (Message(role=Role.SYSTEM, parts=(Text(text=system),)),) if system else ()
    parts = tuple(
        Text(text=block.text, cache_breakpoint=block.cache_control is not None, cache_ttl=ttl_of(block.cache_control))
        for block in system
    )
    return (Message(role=Role.SYSTEM, parts=parts),) if parts else ()


def turns_of(turns: Sequence[wire.Turn], verbatim: Verbatim) -> tuple[Message, ...]:
    """Return the turns; the results of calls, which are blocks of the user's here, are turns of their own.

    Raises:
        InvalidRequest: if a block lacks what its type needs.
    """
    messages: list[Message] = []
    for index, turn in enumerate(turns):
        role = _ROLES[turn.role]
        if isinstance(turn.content, str):
            messages.append(Message(role=role, parts=(Text(text=turn.content),)))
        elif role is Role.ASSISTANT:
            messages.append(_answer(turn.content, index, verbatim))
        else:
            messages += _said(role, turn.content, index, verbatim)
    return tuple(messages)


def _answer(blocks: Sequence[wire.Block], index: int, verbatim: Verbatim) -> Message:
    parts: list[ContentPart] = []
    calls: list[ToolCall] = []
    for place, block in enumerate(blocks):
        path = f"messages[{index}].content[{place}]"
        if block.type == "tool_use":
            calls.append(_call(block, path, len(parts)))
        else:
            parts += _shown_apart(_part(block, path) or _opaque(block, verbatim(index, place)))
    # Calls that follow all else stand where they do by themselves.
    made = [
        msgspec.structs.replace(call, parts_before=None) if call.parts_before == len(parts) else call for call in calls
    ]
    return Message(role=Role.ASSISTANT, parts=tuple(parts), tool_calls=tuple(made))


def _shown_apart(part: ContentPart) -> Sequence[ContentPart]:
    """Return a part as its provider gave it: OpenAI's encrypted reasoning was told as the signature of what is shown of it."""
    if isinstance(part, Reasoning) and is_encrypted(part.signature):
        hidden = Reasoning(hidden=part.signature, origin=part.origin)
        return (Reasoning(text=part.text), hidden) if part.text else (hidden,)
    return (part,)


def _said(role: Role, blocks: Sequence[wire.Block], index: int, verbatim: Verbatim) -> list[Message]:
    messages: list[Message] = []
    parts: list[ContentPart] = []
    for place, block in enumerate(blocks):
        path = f"messages[{index}].content[{place}]"
        if block.type != "tool_result":
            parts.append(_part(block, path) or _opaque(block, verbatim(index, place)))
            continue
        if parts:
            messages.append(Message(role=role, parts=tuple(parts)))
            parts = []
        messages.append(_result(block, path))
    if parts or not blocks:
        messages.append(Message(role=role, parts=tuple(parts)))
    return messages


def _part(block: wire.Block, path: str) -> ContentPart | None:
    """Return what a block is in the vocabulary; None where it has no word for it."""
    if block.type == "text":
        return text_of(block, path)
    if block.type == "thinking":
        own, origin = unwrapped(block.signature or "")
        return Reasoning(text=needed(block.thinking, f"{path}.thinking"), signature=own, origin=origin)
    if block.type == "redacted_thinking":
        hidden, origin = unwrapped(needed(block.data, f"{path}.data"))
        return Reasoning(hidden=hidden, origin=origin)
    if block.type == "image":
        return image_of(block, path)
    return document_of(block, path) if block.type == "document" else None


def _call(block: wire.Block, path: str, parts_before: int) -> ToolCall:
    arguments = _NO_INPUT
    if block.input is not wire.ABSENT:
        check_json(block.input, f"{path}.input")
        arguments = bytes(block.input).decode()
        if not arguments.startswith("{"):
            raise InvalidRequest(f"'{path}.input' must be an object.", field=f"{path}.input")
    check_json(block.caller, f"{path}.caller")
    return ToolCall(
        id=needed(block.id, f"{path}.id"),
        name=needed(block.name, f"{path}.name"),
        arguments_json=arguments,
        parts_before=parts_before,
        extra_json=beside_a_call(block.caller),
    )


def _result(block: wire.Block, path: str) -> Message:
    content = read_at(_RESULT, block.content, f"{path}.content")
    parts: list[ContentPart] = []
    if isinstance(content, str):
        parts = [Text(text=content)]
    elif content:
        raws = _BLOCKS.decode(block.content)
        for place, inner in enumerate(content):
            parts.append(_part(inner, f"{path}.content[{place}]") or _opaque(inner, raws[place]))
    if parts and block.cache_control is not None:
        ends = {"cache_breakpoint": True, "cache_ttl": ttl_of(block.cache_control)}
        parts[-1] = msgspec.structs.replace(parts[-1], **ends)
    return Message(
        role=Role.TOOL,
        parts=tuple(parts),
        tool_call_id=needed(block.tool_use_id, f"{path}.tool_use_id"),
        is_error=block.is_error is True,
    )


def _opaque(block: wire.Block, raw: msgspec.Raw) -> Opaque:
    check_json(raw, block.type[:64])
    control = block.cache_control
    return Opaque(
        format=FORMAT, json=bytes(raw).decode(), cache_breakpoint=control is not None, cache_ttl=ttl_of(control)
    )
