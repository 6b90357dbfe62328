"""From the turns of a conversation to a chat completion's messages."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock_common.llm.images import image_type
from penstock_common.llm.types import ContentPart, File, Image, Message, Reasoning, Role, Text, ToolCall
from penstock_inference.adapters.providers.carried import Use
from penstock_inference.adapters.providers.http.large_data import LargeData
from penstock_inference.adapters.providers.openai.dialect import Dialect
from penstock_inference.adapters.providers.openai.extras import add_extras
from penstock_inference.domain.failure import unsupported
from penstock_inference.domain.unsupported import FieldPolicy

BREAKPOINT = {"mode": "explicit"}
"""Of OpenAI's prompt cache: a prefix may end after the part that has it."""
_FAILED = "Error: "
_SHOWN_NEXT = "It is shown in the next message."


class Turn(msgspec.Struct, gc=False):
    """A turn of text alone, which nearly all are; half the cost of a dictionary."""

    role: Role
    content: str


AnyTurn = Turn | dict[str, Any]


class Sending(msgspec.Struct):
    """What turns are written for, and what joins the body beside them.

    ``large`` is data that is written as the body is sent; ``shown`` what stands in the answers of tools that has no place
    there, by the place of the message.
    """

    dialect: Dialect
    policy: FieldPolicy
    breakpoints: bool
    large: LargeData
    shown: dict[int, list[dict[str, Any]]] = {}


def turns_from(messages: tuple[Message, ...], sending: Sending) -> list[AnyTurn]:
    """Return the messages.

    Raises:
        AttemptFailed: UNSUPPORTED for a part that the upstream cannot be sent.
    """
    turns: list[AnyTurn] = []
    dialect, breakpoints = sending.dialect, sending.breakpoints
    # Members are found through their class only slowly.
    assistant, developer = Role.ASSISTANT, Role.DEVELOPER
    for index, message in enumerate(messages):
        parts = message.parts
        if message.tool_calls or message.tool_call_id or message.name or len(parts) != 1:
            turns.append(_message(message, sending, index))
            continue
        part = parts[0]
        if dialect.reasoned_turns and message.role is assistant:
            turns.append(_message(message, sending, index))
        elif (
            type(part) is Text
            and (message.role is not developer or dialect.developer_role)
            and not (part.citations_json or (breakpoints and part.cache_breakpoint))
        ):
            turns.append(Turn(message.role, part.text))
        else:
            turns.append(_message(message, sending, index))
    return _with_what_is_shown(turns, sending.shown) if sending.shown else turns


def _message(message: Message, sending: Sending, index: int) -> dict[str, Any]:
    role, dialect = message.role, sending.dialect
    if role is Role.DEVELOPER and not dialect.developer_role:
        role = Role.SYSTEM
    content = _content(message, sending, index)
    if role is Role.TOOL:
        content = _of_tool(content, message, sending, index)
    turn: dict[str, Any] = {"role": role.value, "content": content}
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


def _content(message: Message, sending: Sending, index: int) -> str | list[dict[str, Any]] | None:
    parts = message.parts
    content: list[dict[str, Any]] = []
    for place, part in enumerate(parts):
        if isinstance(part, Reasoning):
            if part.hidden or (part.text and not sending.dialect.extras):
                sending.policy.drop(Use.REASONING.value)
            continue
        content += _pieces(part, sending, f"input.messages[{index}].parts[{place}]")
    if all(piece.keys() == {"type", "text"} for piece in content) and (
        len(content) == 1 or (message.role is Role.ASSISTANT and content)
    ):
        # Servers other than OpenAI's refuse an assistant's turn of several; beside one stood what has a place of its own.
        return "".join([piece["text"] for piece in content])
    return content or None


def _pieces(part: ContentPart, sending: Sending, path: str) -> list[dict[str, Any]]:
    """Return one part as the format has it: one piece, or two where what the model is told of a document stands before it."""
    pieces: list[dict[str, Any]] = []
    if isinstance(part, Text):
        pieces.append({"type": "text", "text": part.text})
        if part.citations_json:
            sending.policy.drop(Use.CITATIONS.value)
    elif isinstance(part, Image):
        pieces.append({"type": "image_url", "image_url": _image(part, sending, path)})
    elif isinstance(part, File):
        file = {"type": "file", "file": _file(part, sending, path)}
        pieces += [{"type": "text", "text": part.context}, file] if part.context else [file]
        if part.with_citations:
            sending.policy.drop(Use.CITATIONS.value)
    if sending.breakpoints and part.cache_breakpoint:
        pieces[-1]["prompt_cache_breakpoint"] = BREAKPOINT
    return pieces


def _image(image: Image, sending: Sending, path: str) -> dict[str, str]:
    url = image.url or sending.large.url(image_type(image.data, image.media_type), image.data)
    if not url.startswith("data:") and not sending.dialect.fetches_urls:
        raise unsupported(f"{path}.image.url", "must be a data: URL for this upstream")
    return {"url": url, "detail": image.detail} if image.detail else {"url": url}


def _file(file: File, sending: Sending, path: str) -> dict[str, str]:
    if not sending.dialect.files:
        raise unsupported(f"{path}.file")
    if file.url:
        raise unsupported(f"{path}.file.url", "is not fetched by this upstream; send the document itself")
    if file.id:
        return {"file_id": file.id}
    return {"filename": file.name, "file_data": sending.large.url(file.media_type, file.data)}


def _of_tool(
    content: str | list[dict[str, Any]] | None, message: Message, sending: Sending, index: int
) -> str | list[dict[str, Any]] | None:
    """Return the content of a tool's answer: text, which says of itself that the call failed where it did."""
    pieces: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    texts = [piece for piece in pieces if piece["type"] == "text"]
    if len(texts) < len(pieces):
        sending.shown[index] = [piece for piece in pieces if piece["type"] != "text"]
        texts = texts or [{"type": "text", "text": _SHOWN_NEXT}]
    if message.is_error:
        texts = texts or [{"type": "text", "text": ""}]
        texts[0] = {**texts[0], "text": failed(texts[0]["text"])}
    if len(texts) == 1 and texts[0].keys() == {"type", "text"}:
        return texts[0]["text"]
    return texts or None


def failed(text: str) -> str:
    """Return what a tool answered so that it says of itself that the call failed; formats without a field are told so."""
    return text if text.lower().startswith("error") else f"{_FAILED}{text}"


def _with_what_is_shown(turns: list[AnyTurn], shown: dict[int, list[dict[str, Any]]]) -> list[AnyTurn]:
    """Return the turns with a user's one after each run of tools' answers that had more than text."""
    told: list[AnyTurn] = []
    waiting: list[dict[str, Any]] = []
    for index, turn in enumerate(turns):
        if waiting and not (isinstance(turn, dict) and turn["role"] == Role.TOOL.value):
            told.append({"role": Role.USER.value, "content": waiting})
            waiting = []
        told.append(turn)
        waiting = [*waiting, *shown.get(index, ())]
    if waiting:
        told.append({"role": Role.USER.value, "content": waiting})
    return told
