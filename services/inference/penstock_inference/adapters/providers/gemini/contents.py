"""From a conversation to Gemini's ``systemInstruction`` and ``contents``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from penstock_common.llm.images import image_type
from penstock_common.llm.types import ContentPart, File, Image, Message, Opaque, Reasoning, Role, Text, ToolCall
from penstock_inference.adapters.providers.carried import blocks_of
from penstock_inference.adapters.providers.gemini.reader import FORMAT
from penstock_inference.adapters.providers.gemini.signatures import NO_SIGNATURE, signature_of_call, text_of
from penstock_inference.adapters.providers.gemini.table import OF_GOOGLE
from penstock_inference.adapters.providers.http.large_data import LargeData
from penstock_inference.adapters.providers.http.verbatim import arguments_of, is_object, verbatim
from penstock_inference.domain.failure import AttemptFailed, FailureKind, unsupported

_INSTRUCTIONS = (Role.SYSTEM, Role.DEVELOPER)
_ADDRESSES_OF_GOOGLE = ("gs://", "https://generativelanguage.googleapis.com/")

_Object = dict[str, Any]


class Conversation:
    """The turns of one request, in Gemini's form. ``data`` takes what is inline."""

    def __init__(self, messages: Sequence[Message], data: LargeData, *, any_url: bool) -> None:
        """Take the turns; ``any_url``: addresses are passed on, whoever serves them."""
        self._messages = messages
        self._data = data
        self._any_url = any_url
        self._names: dict[str, str] = {}

    @property
    def _beginning(self) -> int:
        """How many turns are instructions at the beginning."""
        turns = enumerate(self._messages)
        return next((index for index, turn in turns if turn.role not in _INSTRUCTIONS), len(self._messages))

    def system_instruction(self) -> _Object | None:
        """Return the instructions that the conversation begins with; None where there are none."""
        parts = [part for index in range(self._beginning) for part in self._parts(index)]
        return {"parts": parts} if parts else None

    def contents(self) -> list[_Object]:
        """Return the turns after them.

        Raises:
            AttemptFailed: UNSUPPORTED for what cannot be told, BAD_REQUEST for calls that are no objects, and answers to none.
        """
        contents: list[_Object] = []
        numbered = [*enumerate(self._messages)][self._beginning :]
        for is_tool, turns in groupby(numbered, key=lambda turn: turn[1].role is Role.TOOL):
            if is_tool:
                contents.append({"role": "user", "parts": self._answers([index for index, _ in turns])})
            else:
                contents += [content for index, _ in turns if (content := self._content(index))["parts"]]
        return contents

    def _content(self, index: int) -> _Object:
        if self._messages[index].role is Role.ASSISTANT:
            return {"role": "model", "parts": self._model_parts(index)}
        return {"role": "user", "parts": [*self._parts(index)]}

    def _parts(self, index: int) -> Iterator[Any]:
        for place, part in enumerate(self._messages[index].parts):
            told = self._part(part, f"input.messages[{index}].parts[{place}]")
            if told is not None:
                yield told

    def _part(self, part: ContentPart, path: str) -> Any:
        """Return a part of any turn; None for one that has no place there."""
        if isinstance(part, Text):
            return {"text": part.text}
        if isinstance(part, Image | File):
            return self._media(part, path)
        if isinstance(part, Opaque) and part.format == FORMAT:
            return verbatim(part.json, f"{path}.opaque.json")
        return None

    def _media(self, part: Image | File, path: str) -> _Object:
        is_image = isinstance(part, Image)
        address = part.url if is_image else part.id or part.url
        if not address:
            media_type = image_type(part.data, part.media_type) if is_image else part.media_type
            data = self._data.base64(part.data)
            return {"inlineData": {"mimeType": media_type or "application/octet-stream", "data": data}}
        is_id = isinstance(part, File) and bool(part.id)
        if not (is_id or self._any_url or address.startswith(_ADDRESSES_OF_GOOGLE)):
            raise unsupported(f"{path}.image.url" if is_image else f"{path}.file.url", f"{OF_GOOGLE} for this upstream")
        file: _Object = {"mimeType": part.media_type} if part.media_type else {}
        return {"fileData": {**file, "fileUri": address}}

    def _model_parts(self, index: int) -> list[Any]:
        """Return what a model's turn was, each signature on the part that it came with."""
        message, parts = self._messages[index], list[Any]()
        is_first_call = True
        for block in blocks_of(message, FORMAT):
            if isinstance(block, int):
                parts.append(self._call(message.tool_calls[block], is_first=is_first_call))
                is_first_call = False
            elif isinstance(block, Reasoning):
                _add_thought(parts, block)
            else:
                told = self._part(block, f"input.messages[{index}]")
                if told is not None:
                    parts.append(told)
        return parts

    def _call(self, call: ToolCall, *, is_first: bool) -> _Object:
        if call.id:
            self._names[call.id] = call.name
        identity = {"id": call.id} if call.id else {}
        part: _Object = {"functionCall": {**identity, "name": call.name, "args": arguments_of(call)}}
        # Of calls made at once the first has the signature of all. Without any, Gemini refuses the turn.
        signature = signature_of_call(call.extra_json) or (NO_SIGNATURE if is_first else "")
        return {**part, "thoughtSignature": signature} if signature else part

    def _answers(self, indices: Sequence[int]) -> list[_Object]:
        """Return the results of calls that were made at once, in the calls' order."""
        order = {identity: place for place, identity in enumerate(self._names)}
        by_call = sorted(indices, key=lambda index: order.get(self._messages[index].tool_call_id, len(order)))
        return [self._answer(index) for index in by_call]

    def _answer(self, index: int) -> _Object:
        message, path = self._messages[index], f"input.messages[{index}]"
        name = self._names.get(message.tool_call_id) or message.name
        if not name:
            field = f"{path}.tool_call_id"
            raise AttemptFailed(FailureKind.BAD_REQUEST, f"{field} is no call of the conversation", parameter=field)
        media = [
            self._media(part, f"{path}.parts[{place}]")
            for place, part in enumerate(message.parts)
            if isinstance(part, Image | File)
        ]
        identity = {"id": message.tool_call_id} if message.tool_call_id else {}
        answer: _Object = {**identity, "name": name, "response": _response(message)}
        return {"functionResponse": {**answer, "parts": media} if media else answer}


def _add_thought(parts: list[Any], thought: Reasoning) -> None:
    """Add what Gemini can check of a thought: see ``signatures``. One without a signature is not missed."""
    signature = text_of(thought.hidden or thought.signature)
    if not signature:
        return
    if thought.text:
        parts.append({"text": thought.text, "thought": True, "thoughtSignature": signature})
    elif thought.signature and parts and isinstance(parts[-1], dict) and set(parts[-1]) == {"text"}:
        parts[-1]["thoughtSignature"] = signature
    else:
        parts.append({"text": "", "thoughtSignature": signature})


def _response(message: Message) -> Any:
    """Return a result as the object that it has to be: itself where it is one, else by the name that Google gives it."""
    text = message.text
    told = msgspec.Raw(text.encode()) if is_object(text) else text
    if message.is_error:
        return {"error": told}
    return told if isinstance(told, msgspec.Raw) else {"output": told}
