"""The texts of a request by surface, and the request with others in their places.

What providers sign or match is never touched: reasoning with a signature or hidden content, the ids and names of calls, and
blocks that one format alone knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from penstock_common.llm.types import ContentPart, File, GenerationInput, Message, Reasoning, Role, Text, ToolCall
from penstock_gateway.domain.guardrails.pipeline.json_texts import values_of, with_strings
from penstock_gateway.domain.guardrails.pipeline.rule import Surface

Change = Callable[[str, Surface], Awaitable[str]]
"""Returns what stands in the place of a text."""
ChangeCall = Callable[[ToolCall], Awaitable[ToolCall]]

SURFACES = {
    Role.SYSTEM: Surface.SYSTEM,
    Role.DEVELOPER: Surface.SYSTEM,
    Role.USER: Surface.INPUT,
    Role.ASSISTANT: Surface.INPUT,
    Role.TOOL: Surface.TOOL_RESULT,
}
_PLAIN = frozenset({"text/plain", "text/markdown", "text/csv", "text/html", "text/xml", "application/json"})


def is_quoted(member: str) -> bool:
    """Return whether a citation's member says something, and is no mark that a provider takes back."""
    return member != "type" and not member.startswith("encrypted") and not member.endswith(("_id", "index"))


async def with_texts(request: GenerationInput, change: Change, change_call: ChangeCall) -> GenerationInput:
    """Return the request with its texts changed, oldest first; itself where none was."""
    messages = [await _message(one, change, change_call) for one in request.messages]
    if all(new is old for new, old in zip(messages, request.messages, strict=True)):
        return request
    return msgspec.structs.replace(request, messages=tuple(messages))


async def _message(message: Message, change: Change, change_call: ChangeCall) -> Message:
    surface = SURFACES[message.role]
    parts = [await _part(part, surface, change) for part in message.parts]
    calls = [await change_call(call) for call in message.tool_calls]
    if all(new is old for new, old in zip((*parts, *calls), (*message.parts, *message.tool_calls), strict=True)):
        return message
    return msgspec.structs.replace(message, parts=tuple(parts), tool_calls=tuple(calls))


async def _part(part: ContentPart, surface: Surface, change: Change) -> ContentPart:
    if isinstance(part, File):
        return await _file(part, surface, change)
    if isinstance(part, Text) and part.citations_json:
        part = await _cited(part, surface, change)
    if not isinstance(part, Text | Reasoning) or not part.text:
        return part
    if isinstance(part, Reasoning) and (part.signature or part.hidden):
        return part
    text = await change(part.text, surface)
    # No provider takes an empty text.
    return part if text == part.text else msgspec.structs.replace(part, text=text or " ")


async def _cited(part: Text, surface: Surface, change: Change) -> Text:
    """Return a text whose quotations are as they may be seen."""
    strings = values_of(part.citations_json, is_quoted)
    changed = [(start, end, await change(text, surface)) for start, end, text in strings]
    kept = [new for new, (_, _, old) in zip(changed, strings, strict=True) if new[2] != old]
    return msgspec.structs.replace(part, citations_json=with_strings(part.citations_json, kept)) if kept else part


async def _file(file: File, surface: Surface, change: Change) -> File:
    """Return a file with what the model is told of it changed, and what it holds where that is plain text."""
    context = await change(file.context, surface) if file.context else ""
    data = file.data
    if data and file.media_type.partition(";")[0].strip().lower() in _PLAIN:
        data = await _data(data, surface, change)
    if context == file.context and data is file.data:
        return file
    return msgspec.structs.replace(file, context=context, data=data)


async def _data(data: bytes, surface: Surface, change: Change) -> bytes:
    coding = "utf-8"
    try:
        text = data.decode(coding)
    except UnicodeDecodeError:
        # Every byte is a character of it.
        coding = "latin-1"
        text = data.decode(coding)
    changed = await change(text, surface)
    return data if changed == text else (changed or " ").encode(coding, errors="replace")
