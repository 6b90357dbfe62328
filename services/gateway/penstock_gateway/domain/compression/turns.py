"""The contexts of a conversation: which parts of which turns are one, and which question each is made shorter for."""

from __future__ import annotations

import asyncio

import msgspec

from penstock_common.llm.types import ContentPart, File, Message, Role, Text
from penstock_gateway.domain.compression.compressor import Compressed, Compressor, beside
from penstock_gateway.domain.compression.quoted import quoted_in
from penstock_gateway.domain.compression.terms import Method, Terms


class Turns:
    """Makes the contexts of one request shorter, turn by turn in their order; counts in tokens.

    ``reason`` says why a context that is long enough stayed as it was.
    """

    def __init__(self, compressor: Compressor, terms: Terms) -> None:
        self.tokens_before = 0
        self.tokens = 0
        self.reason = ""
        self._compressor = compressor
        self._terms = terms
        self._loop = asyncio.get_running_loop()
        self._ends = self._loop.time() + terms.patience_seconds
        self._question = ""
        self._called: dict[str, str] = {}

    async def shorter(self, message: Message) -> Message:
        """Return the turn with shorter contexts, itself where there are none."""
        if message.role is Role.USER:
            return await self._users(message)
        if message.role is Role.TOOL:
            return await self._tools(message)
        for made in message.tool_calls:
            self._called[made.id] = made.arguments_json
        return message

    async def _users(self, message: Message) -> Message:
        quoted = {
            at: found
            for at, part in enumerate(message.parts)
            if self._terms.user_context
            and isinstance(part, Text)
            and (found := await beside(len(part.text), quoted_in, part.text)) is not None
        }
        own = [
            quoted[at].question_in(part.text) if at in quoted else part.text
            for at, part in enumerate(message.parts)
            if isinstance(part, Text)
        ]
        self._question = "\n".join(own)
        parts: list[ContentPart] = []
        for at, part in enumerate(message.parts):
            if isinstance(part, File):
                parts.append(await self._file(part))
            elif at in quoted and isinstance(part, Text):
                start, end = quoted[at].start, quoted[at].end
                shorter = await self._shorter(part.text[start:end], self._question)
                parts.append(msgspec.structs.replace(part, text=part.text[:start] + shorter + part.text[end:]))
            else:
                parts.append(part)
        return _with(message, parts)

    async def _tools(self, message: Message) -> Message:
        question = f"{self._question}\n{self._called.get(message.tool_call_id, '')}"
        parts: list[ContentPart] = []
        for part in message.parts:
            if isinstance(part, Text) and not part.citations_json:
                parts.append(msgspec.structs.replace(part, text=await self._shorter(part.text, question)))
            else:
                parts.append(part)
        return _with(message, parts)

    async def _file(self, part: File) -> File:
        # An answer that cites it would name places that the caller does not know.
        if not part.data or part.with_citations or not part.media_type.startswith("text/"):
            return part
        try:
            text = part.data.decode()
        except UnicodeDecodeError:
            return part
        shorter = await self._shorter(text, self._question)
        return part if shorter == text else msgspec.structs.replace(part, data=shorter.encode())

    async def _shorter(self, text: str, question: str) -> str:
        if self._terms.method is Method.EXTRACT and not question.strip():
            return text
        left = max(0.0, self._ends - self._loop.time())
        made = await self._compressor.compressed(text, question, self._terms, patience_seconds=left)
        self._note(made)
        return made.text

    def _note(self, made: Compressed) -> None:
        self.tokens_before += made.tokens_before
        self.tokens += made.tokens
        if made.reason != "short":
            self.reason = self.reason or made.reason


def _with(message: Message, parts: list[ContentPart]) -> Message:
    made = tuple(parts)
    return message if made == message.parts else msgspec.structs.replace(message, parts=made)
