"""From the turns of a conversation to the items of a response's ``input``.

Leading system turns are items like any other and not ``instructions``: they keep their roles, their parts and
their places, and a turn that is added later changes nothing of what stands before it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from penstock_common.llm.encrypted_reasoning import encrypted_in
from penstock_common.llm.images import image_type
from penstock_common.llm.types import ContentPart, File, Image, Message, Opaque, Reasoning, Role, Text, ToolCall
from penstock_inference.adapters.providers.carried import Use, blocks_of
from penstock_inference.adapters.providers.http.large_data import LargeData
from penstock_inference.adapters.providers.http.verbatim import verbatim
from penstock_inference.adapters.providers.openai.turns import BREAKPOINT, failed
from penstock_inference.domain.failure import unsupported
from penstock_inference.domain.unsupported import FieldPolicy

FORMAT = "openai_responses"
"""Whose opaque blocks are items."""


class Sending(msgspec.Struct):
    """What items are written for; ``large`` is data that is written as the body is sent."""

    breakpoints: bool
    policy: FieldPolicy
    large: LargeData
    custom_calls: set[str] = set()
    """Ids of the calls whose input is free text: their answers are items of another type."""


Item = dict[str, Any] | msgspec.Raw


def items_from(messages: tuple[Message, ...], sending: Sending) -> list[Item]:
    """Return the items.

    Raises:
        AttemptFailed: UNSUPPORTED for a part that has no place, BAD_REQUEST for an opaque block that is no JSON.
    """
    items: list[Item] = []
    for index, message in enumerate(messages):
        path = f"input.messages[{index}]"
        if message.role is Role.TOOL:
            items.append(_answer_of_tool(message, sending, path))
        elif message.role is Role.ASSISTANT:
            items += _of_assistant(message, sending, path)
        else:
            content = _content(message, sending, path)
            items.append({"type": "message", "role": message.role.value, "content": content})
    return items


def _of_assistant(message: Message, sending: Sending, path: str) -> list[Item]:
    """Return an assistant's turn: its texts, its reasoning and its calls are items of their own, in their order."""
    items: list[Item] = []
    texts: list[dict[str, Any]] = []
    summary: list[str] = []
    for block in blocks_of(message, FORMAT):
        if isinstance(block, Text):
            texts.append(_text(block, "output_text", sending))
            continue
        if texts:
            items.append({"type": "message", "role": "assistant", "content": texts})
            texts = []
        if isinstance(block, int):
            items.append(_call(message.tool_calls[block], sending))
        elif isinstance(block, Reasoning):
            summary = _add_reasoning(block, summary, items, sending)
        elif isinstance(block, Opaque):
            items.append(verbatim(block.json, f"{path}.opaque"))
        else:
            raise unsupported(f"{path}.parts", "has an image or a document, which no assistant's turn holds here")
    if texts:
        items.append({"type": "message", "role": "assistant", "content": texts})
    if summary:
        sending.policy.drop(Use.REASONING.value)
    return items


def _add_reasoning(part: Reasoning, summary: list[str], items: list[Item], sending: Sending) -> list[str]:
    """Add an item for encrypted reasoning, and return the summary of the next, which stands before it as text.

    Reasoning without, or of other providers, has no item: nobody could read it.
    """
    if part.text:
        summary = [*summary, part.text]
    encrypted = encrypted_in(part.hidden)
    if encrypted is not None:
        told = [{"type": "summary_text", "text": text} for text in summary]
        items.append(
            {
                "type": "reasoning",
                "id": encrypted.id,
                "summary": told,
                "encrypted_content": encrypted.encrypted_content,
            }
        )
        return []
    if part.hidden or part.signature:
        sending.policy.drop(Use.REASONING.value)
        return []
    return summary


def _call(call: ToolCall, sending: Sending) -> Item:
    if call.is_custom:
        sending.custom_calls.add(call.id)
        return {"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": call.arguments_json}
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments_json}


def _answer_of_tool(message: Message, sending: Sending, path: str) -> Item:
    kind = "custom_tool_call_output" if message.tool_call_id in sending.custom_calls else "function_call_output"
    content = _content(message, sending, path)
    if message.is_error:
        if not content or content[0]["type"] != "input_text":
            content.insert(0, {"type": "input_text", "text": ""})
        content[0] = {**content[0], "text": failed(content[0]["text"])}
    is_plain = all(piece.keys() == {"type", "text"} for piece in content) and len(content) <= 1
    output = "".join([piece["text"] for piece in content]) if is_plain else content
    return {"type": kind, "call_id": message.tool_call_id, "output": output}


def _content(message: Message, sending: Sending, path: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for place, part in enumerate(message.parts):
        content += _pieces(part, sending, f"{path}.parts[{place}]")
    return content


def _pieces(part: ContentPart, sending: Sending, path: str) -> list[dict[str, Any]]:
    """Return one part of a turn that is not the assistant's, with what the model is told of a document before it."""
    if isinstance(part, Text):
        return [_text(part, "input_text", sending)]
    if isinstance(part, Image):
        url = part.url or sending.large.url(image_type(part.data, part.media_type), part.data)
        piece = {"type": "input_image", "image_url": url}
        return [_marked({**piece, "detail": part.detail} if part.detail else piece, part, sending)]
    if isinstance(part, File):
        piece = _marked({"type": "input_file", **_file(part, sending)}, part, sending)
        return [{"type": "input_text", "text": part.context}, piece] if part.context else [piece]
    if isinstance(part, Opaque) and part.format == FORMAT:
        raise unsupported(path, "is an item, and stands in an assistant's turn")
    return []


def _text(part: Text, kind: str, sending: Sending) -> dict[str, Any]:
    return _marked({"type": kind, "text": part.text}, part, sending)


def _marked(piece: dict[str, Any], part: ContentPart, sending: Sending) -> dict[str, Any]:
    if sending.breakpoints and part.cache_breakpoint and piece["type"] != "output_text":
        piece["prompt_cache_breakpoint"] = BREAKPOINT
    return piece


def _file(file: File, sending: Sending) -> dict[str, str]:
    if file.id:
        return {"file_id": file.id}
    if file.url:
        return {"file_url": file.url}
    return {"filename": file.name, "file_data": sending.large.url(file.media_type, file.data)}
