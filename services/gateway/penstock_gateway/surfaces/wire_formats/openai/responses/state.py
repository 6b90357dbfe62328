"""What a request says of responses that are kept, and how those are: with the items that a later request goes on from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock_common.errors import InvalidRequest, PenstockError, UnsupportedParameter
from penstock_common.llm.events import Answer
from penstock_common.llm.types import Message, Role, Text
from penstock_gateway.surfaces.wire_formats.format import AnswerForm, Kept, ReadRequest, ResponseState, StateFormat
from penstock_gateway.surfaces.wire_formats.item_lists import items_in
from penstock_gateway.surfaces.wire_formats.json_body import read_object
from penstock_gateway.surfaces.wire_formats.openai.fields import is_null
from penstock_gateway.surfaces.wire_formats.openai.responses import request_wire as wire
from penstock_gateway.surfaces.wire_formats.openai.responses.errors import failure_of
from penstock_gateway.surfaces.wire_formats.openai.responses.form import ResponseForm
from penstock_gateway.surfaces.wire_formats.openai.responses.items import check_outputs, is_reference, messages_of
from penstock_gateway.surfaces.wire_formats.openai.responses.queries import (
    looked_for,
    page_of_items,
    render_counted,
    render_deleted,
)
from penstock_gateway.surfaces.wire_formats.openai.responses.response import ID_PREFIX, snapshot
from penstock_gateway.surfaces.wire_formats.openai.responses.whole import items_of_answer

_INPUT = msgspec.json.Decoder(wire.Input)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode
_NOTHING = b"[]"
_IDS = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
}
_OTHER_ID = "item"


def kept_of(request: wire.ResponsesRequest, members: dict[str, msgspec.Raw]) -> ResponseState | None:
    """Return what a request says of kept responses; None where it says that nothing is kept and refers to nothing.

    Raises:
        InvalidRequest: if it refers to a response and to a conversation.
        UnsupportedParameter: for a conversation.
    """
    if not is_null(request.conversation):
        if request.previous_response_id is not None:
            text = "'conversation' and 'previous_response_id' exclude each other; give one of them."
            raise InvalidRequest(text, field="conversation")
        text = "'conversation' is not supported: conversations are not kept here. Use 'previous_response_id'."
        raise UnsupportedParameter(text, parameter="conversation")
    refers = isinstance(request.input, list) and any(is_reference(item) for item in request.input)
    previous = request.previous_response_id
    if request.store is False and not (request.background or refers or previous is not None):
        return None
    if previous == "":
        text = "'previous_response_id' must be the id of a response; leave it out where there is none."
        raise InvalidRequest(text, field="previous_response_id")
    return ResponseState(
        previous=previous or "",
        store=request.store,
        background=request.background is True,
        items=_items_of(request, members),
        refers=refers,
    )


def with_kept(read: ReadRequest, kept: Kept) -> ReadRequest:
    """Return a request whose response says whether it is stored, with all that it goes on from.

    Raises:
        InvalidRequest: if an item lacks what its type needs.
    """
    form = read.form
    assert isinstance(form, ResponseForm), "a form of this format's"
    members = {**form.members, "store": kept.store}
    read = msgspec.structs.replace(read, form=msgspec.structs.replace(form, members=members))
    if kept.items is None:
        return read
    messages: list[Message] = []
    instructions = form.members.get("instructions")
    if isinstance(instructions, str) and instructions:
        messages.append(Message(role=Role.SYSTEM, parts=(Text(text=instructions),)))
    written = items_in(kept.items)
    messages += messages_of(_parsed(kept.items), lambda index: written[index])
    check_outputs(messages)
    return msgspec.structs.replace(read, input=msgspec.structs.replace(read.input, messages=tuple(messages)))


def input_items(items: bytes, response_id: str) -> bytes:
    """Return a request's own items as they are listed: each with an id, a type and a status."""
    name = response_id.removeprefix(ID_PREFIX)
    return _encode([_listed(raw, f"{name}_i{index}") for index, raw in enumerate(items_in(items))])


def output_items(answer: Answer, response_id: str, form: AnswerForm) -> bytes:
    """Return the items of an answer, with what proves its reasoning."""
    assert isinstance(form, ResponseForm), "a form of this format's"
    if answer.finished is None:
        return _NOTHING
    return _encode(items_of_answer(answer, response_id, msgspec.structs.replace(form, with_encrypted=True)))


def render_snapshot(
    response_id: str, created: int, form: AnswerForm, status: str, error: PenstockError | None = None
) -> bytes:
    """Return the body of a response that has no answer: not yet, or not any more."""
    assert isinstance(form, ResponseForm), "a form of this format's"
    more: dict[str, Any] = {}
    if error is not None:
        failure = failure_of(error)
        more["error"] = {"code": failure["code"], "message": failure["message"]}
    return _encode(snapshot((response_id, created, form.model), form, status, **more))


def _items_of(request: wire.ResponsesRequest, members: dict[str, msgspec.Raw]) -> bytes:
    if isinstance(request.input, str):
        if not request.input:
            return _NOTHING
        content = [{"type": "input_text", "text": request.input}]
        return _encode([{"type": "message", "role": "user", "content": content}])
    return bytes(members["input"]) if request.input else _NOTHING


def _parsed(items: bytes) -> Sequence[wire.Item]:
    return read_object(_INPUT, b'{"input":%b}' % items).input


def _listed(raw: msgspec.Raw, name: str) -> dict[str, Any]:
    item: dict[str, Any] = dict(_MEMBERS.decode(raw))
    kind = msgspec.json.decode(item["type"]) if "type" in item else "message"
    told: dict[str, Any] = {"id": f"{_IDS.get(kind, _OTHER_ID)}_{name}", "type": kind, "status": "completed"} | {
        member: value for member, value in item.items() if not is_null(value)
    }
    if kind == "message" and bytes(item.get("content", _NOTHING))[:1] == b'"':
        is_said = bytes(item.get("role", b"")) == b'"assistant"'
        told["content"] = [{"type": "output_text" if is_said else "input_text", "text": item["content"]}]
        if is_said:
            told["content"][0]["annotations"] = []
    return told


STATE = StateFormat(
    form=ResponseForm,
    with_kept=with_kept,
    snapshot=render_snapshot,
    output_items=output_items,
    input_items=input_items,
    looked_for=looked_for,
    listed=page_of_items,
    deleted=render_deleted,
    counted=render_counted,
)
