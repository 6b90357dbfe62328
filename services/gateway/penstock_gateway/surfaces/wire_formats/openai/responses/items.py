"""Turns the items of a request's input into the suite's turns.

What the model said is items of their own here, texts, reasoning and calls, and one turn of the assistant's there, in the same
order. An item that the vocabulary has no word for stays as it is written, for providers that speak this format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from penstock_common.errors import InvalidRequest
from penstock_common.llm.extras import joined_extras
from penstock_common.llm.types import ContentPart, Message, Opaque, Reasoning, Role, Text, ToolCall
from penstock_gateway.surfaces.wire_formats.json_body import check_json, shortened
from penstock_gateway.surfaces.wire_formats.openai.fields import is_null
from penstock_gateway.surfaces.wire_formats.openai.responses import request_wire as wire
from penstock_gateway.surfaces.wire_formats.openai.responses.content import content_of, needed, output_of
from penstock_gateway.surfaces.wire_formats.openai.responses.encrypted import opened, reasoning_in
from penstock_gateway.surfaces.wire_formats.openai.responses.namespaces import flat_name

FORMAT = "openai_responses"
"""The word of opaque blocks that are this format's."""

Verbatim = Callable[[int], msgspec.Raw]
"""Returns an item as it is written, by its number."""
_ROLES = {role.value: role for role in (Role.SYSTEM, Role.DEVELOPER, Role.USER, Role.ASSISTANT)}
_BETWEEN_SUMMARIES = "\n\n"
_ARGUMENTS = msgspec.json.Decoder(str)


class _Turn(msgspec.Struct):
    """A turn of the assistant's, as its items come."""

    parts: list[ContentPart]
    calls: list[ToolCall]
    extras: dict[str, tuple[str, str]]
    """What came beside calls, and whose it is, by the calls' ids."""

    def message(self) -> Message:
        """Return the turn; calls that follow all else stand where they do by themselves."""
        calls = [self._call(call) for call in self.calls]
        return Message(role=Role.ASSISTANT, parts=tuple(self.parts), tool_calls=tuple(calls))

    def _call(self, call: ToolCall) -> ToolCall:
        extra_json, origin = self.extras.get(call.id, ("", ""))
        before = None if call.parts_before == len(self.parts) else call.parts_before
        return msgspec.structs.replace(call, parts_before=before, extra_json=extra_json, origin=origin)


def is_reference(item: wire.Item) -> bool:
    """Return whether an item stands for another, which is kept under its id."""
    return item.type == "item_reference" or (item.type is None and item.role is None and bool(item.id))


def messages_of(items: Sequence[wire.Item], verbatim: Verbatim) -> list[Message]:
    """Return the turns that the items make.

    Raises:
        InvalidRequest: if an item lacks what its type needs, or a call or an output stands alone.
    """
    messages: list[Message] = []
    turn: _Turn | None = None
    for index, item in enumerate(items):
        if is_reference(item):
            # What it stands for takes its place before anybody is asked.
            continue
        path = f"input[{index}]"
        said = _said(item, path)
        if said is None:
            if turn is None:
                turn = _Turn([], [], {})
            _add(turn, item, path, lambda index=index: verbatim(index))
            continue
        if turn is not None:
            _end(turn, messages)
            turn = None
        messages.append(said)
    if turn is not None:
        _end(turn, messages)
    return messages


def check_outputs(messages: Sequence[Message]) -> None:
    """Check that each output answers a call that stands before it.

    Raises:
        InvalidRequest: if one does not.
    """
    called: set[str] = set()
    for message in messages:
        if message.tool_calls:
            called.update([call.id for call in message.tool_calls])
        elif message.tool_call_id and message.tool_call_id not in called:
            shown = shortened(message.tool_call_id)
            raise InvalidRequest(f"No tool call found for function call output with call_id {shown}.", field="input")


def _end(turn: _Turn, messages: list[Message]) -> None:
    if turn.parts or turn.calls:
        messages.append(turn.message())


def _said(item: wire.Item, path: str) -> Message | None:
    """Return the turn that an item is by itself; None where it is the assistant's."""
    kind = item.type
    if kind in ("function_call_output", "custom_tool_call_output"):
        parts = output_of(item.output, f"{path}.output")
        if item.call_id is None and item.name:
            # What an agent says of its own accord, in the name of a function that nobody called.
            told = ".".join(name for name in (item.namespace, item.name) if name)
            return Message(role=Role.USER, parts=(Text(text=f"{told}:"), *parts))
        return Message(role=Role.TOOL, parts=parts, tool_call_id=needed(item.call_id, f"{path}.call_id"))
    if kind not in (None, "message") or (kind is None and item.role is None):
        return None
    role = _ROLES.get(needed(item.role, f"{path}.role"))
    if role is None:
        known = ", ".join(f"'{name}'" for name in _ROLES)
        text = f"'{path}.role' must be one of {known}, but is '{shortened(item.role or '')}'."
        raise InvalidRequest(text, field=f"{path}.role")
    if role is Role.ASSISTANT:
        return None
    return Message(role=role, parts=content_of(item.content, f"{path}.content"))


def _add(turn: _Turn, item: wire.Item, path: str, verbatim: Callable[[], msgspec.Raw]) -> None:
    kind = item.type
    if kind == "message" or (kind is None and item.role is not None):
        turn.parts += content_of(item.content, f"{path}.content", may_be_empty=True)
    elif kind == "reasoning":
        _add_reasoning(turn, item)
    elif kind in ("function_call", "custom_tool_call"):
        turn.calls.append(_call(item, path, len(turn.parts)))
    elif kind is None:
        needed(item.type, f"{path}.type")
    else:
        raw = verbatim()
        check_json(raw, path)
        turn.parts.append(Opaque(format=FORMAT, json=bytes(raw).decode()))


def _add_reasoning(turn: _Turn, item: wire.Item) -> None:
    """Add reasoning: what was proven counts before what is shown of it."""
    sealed = opened(item.encrypted_content, item.id or "") if item.encrypted_content else None
    if sealed is not None and sealed.call_id:
        given = joined_extras(turn.extras.get(sealed.call_id, ("", ""))[0], sealed.extra_json)
        turn.extras[sealed.call_id] = given, sealed.origin
        return
    parts = item.content if isinstance(item.content, list) else []
    shown = _BETWEEN_SUMMARIES.join([part.text or "" for part in item.summary or ()]) or "".join(
        [part.text or "" for part in parts]
    )
    if sealed is None:
        if shown:
            turn.parts.append(Reasoning(text=shown))
        return
    if shown and not sealed.text:
        # Its hidden content stands in the place of what is shown.
        turn.parts.append(Reasoning(text=shown))
    turn.parts.append(reasoning_in(sealed))


def _call(item: wire.Item, path: str, parts_before: int) -> ToolCall:
    call_id = needed(item.call_id, f"{path}.call_id")
    name = flat_name(item.namespace, needed(item.name, f"{path}.name"))
    if item.type == "custom_tool_call":
        said = needed(item.input, f"{path}.input")
        return ToolCall(id=call_id, name=name, arguments_json=said, is_custom=True, parts_before=parts_before)
    if is_null(item.arguments):
        arguments = ""
    else:
        try:
            arguments = _ARGUMENTS.decode(item.arguments)
        except msgspec.DecodeError:
            text = f"'{path}.arguments' must be a string of JSON, as the model wrote it."
            raise InvalidRequest(text, field=f"{path}.arguments") from None
    return ToolCall(id=call_id, name=name, arguments_json=arguments, parts_before=parts_before)
