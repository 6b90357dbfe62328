"""The texts of a request by surface, and the request with others in their places.

What providers sign or match is never touched: reasoning with a signature or hidden content, the ids and names of calls, and
blocks that one format alone knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from penstock_common.llm.types import ContentPart, GenerationInput, Message, Reasoning, Role, Text, ToolCall
from penstock_gateway.domain.guardrails.pipeline.rule import Surface

Change = Callable[[str, Surface], Awaitable[str]]
"""Returns what stands in the place of a text."""
ChangeCall = Callable[[ToolCall], Awaitable[ToolCall]]

_SURFACES = {
    Role.SYSTEM: Surface.SYSTEM,
    Role.DEVELOPER: Surface.SYSTEM,
    Role.USER: Surface.INPUT,
    Role.ASSISTANT: Surface.INPUT,
    Role.TOOL: Surface.TOOL_RESULT,
}


async def with_texts(request: GenerationInput, change: Change, change_call: ChangeCall) -> GenerationInput:
    """Return the request with its texts changed, oldest first; itself where none was."""
    messages = [await _message(one, change, change_call) for one in request.messages]
    if all(new is old for new, old in zip(messages, request.messages, strict=True)):
        return request
    return msgspec.structs.replace(request, messages=tuple(messages))


async def _message(message: Message, change: Change, change_call: ChangeCall) -> Message:
    surface = _SURFACES[message.role]
    parts = [await _part(part, surface, change) for part in message.parts]
    calls = [await change_call(call) for call in message.tool_calls]
    if all(new is old for new, old in zip((*parts, *calls), (*message.parts, *message.tool_calls), strict=True)):
        return message
    return msgspec.structs.replace(message, parts=tuple(parts), tool_calls=tuple(calls))


async def _part(part: ContentPart, surface: Surface, change: Change) -> ContentPart:
    if not isinstance(part, Text | Reasoning) or not part.text:
        return part
    if isinstance(part, Reasoning) and (part.signature or part.hidden):
        return part
    text = await change(part.text, surface)
    # No provider takes an empty text.
    return part if text == part.text else msgspec.structs.replace(part, text=text or " ")
