"""Renders a whole answer as a message of the Messages API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import msgspec

from penstock_common.llm.encrypted_reasoning import is_encrypted
from penstock_common.llm.events import Answer
from penstock_common.llm.types import ContentPart, Opaque, Reasoning, Text, ToolCall
from penstock_gateway.surfaces.wire_formats.anthropic.calls import call_block
from penstock_gateway.surfaces.wire_formats.anthropic.messages import response_wire as wire
from penstock_gateway.surfaces.wire_formats.anthropic.messages.turns import FORMAT
from penstock_gateway.surfaces.wire_formats.anthropic.signatures import wrapped
from penstock_gateway.surfaces.wire_formats.anthropic.usage import end_of, usage_of
from penstock_gateway.surfaces.wire_formats.beside import with_unread
from penstock_gateway.surfaces.wire_formats.format import AnswerForm

_encode = msgspec.json.Encoder().encode
_CITATIONS = msgspec.json.Decoder(list[msgspec.Raw])
_Block = dict[str, Any] | msgspec.Raw


def render_message(answers: Sequence[Answer], message_id: str, created: int, form: AnswerForm) -> bytes:
    """Return the body of a whole answer, of which there is one, complete."""
    del created, form
    (answer,) = answers
    finished = answer.finished
    if finished is None:
        raise ValueError("an answer without finished is not complete")
    message = wire.Message(
        id=message_id,
        model=finished.answered_by.model,
        content=_content(answer),
        **end_of(finished),
        usage=wire.Usage(**usage_of(answer.usage, finished.service_tier)),
    )
    return with_unread(_encode(message), finished, FORMAT)


def _content(answer: Answer) -> list[_Block]:
    blocks: list[_Block] = []
    calls = list(answer.tool_calls)
    for place, part in enumerate(answer.parts):
        while calls and calls[0].parts_before is not None and calls[0].parts_before <= place:
            blocks.append(_call(calls.pop(0)))
        block = _block(part)
        if isinstance(part, Reasoning) and is_encrypted(part.hidden) and blocks and _is_unsigned(blocks[-1]):
            # One block, as this vendor's own: what is shown of the reasoning, and what proves it.
            blocks[-1] = {**blocks[-1], "signature": wrapped(part.hidden, part.origin)}
        elif block is not None:
            blocks.append(block)
    return [*blocks, *map(_call, calls)]


def _is_unsigned(block: _Block) -> TypeGuard[dict[str, Any]]:
    return isinstance(block, dict) and block["type"] == "thinking" and not block["signature"]


def _block(part: ContentPart) -> _Block | None:
    if isinstance(part, Text):
        return _text(part) if part.text else None
    if isinstance(part, Reasoning):
        return _thinking(part)
    return msgspec.Raw(part.json.encode()) if isinstance(part, Opaque) and part.format == FORMAT else None


def _text(part: Text) -> _Block:
    told = _CITATIONS.decode(part.citations_json) if part.citations_json else ()
    cited = [citation for citation in told if b"_location" in bytes(citation)]
    return {"type": "text", "text": part.text, "citations": cited or None}


def _thinking(part: Reasoning) -> _Block | None:
    if part.hidden:
        return {"type": "redacted_thinking", "data": wrapped(part.hidden, part.origin)}
    if not part.text and not part.signature:
        return None
    signature = wrapped(part.signature, part.origin) if part.signature else ""
    return {"type": "thinking", "thinking": part.text, "signature": signature}


def _call(call: ToolCall) -> _Block:
    return call_block(call.id, call.name, _input(call.arguments_json), call.extra_json)


def _input(arguments: str) -> msgspec.Raw | dict[str, Any]:
    """Return a call's arguments, verbatim; what the model wrote that is no object stands as text in one."""
    try:
        msgspec.json.decode(arguments or "{}", type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return {"arguments": arguments}
    return msgspec.Raw((arguments or "{}").encode())
