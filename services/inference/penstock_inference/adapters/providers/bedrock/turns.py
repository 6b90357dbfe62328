"""Turns in Converse's form: content blocks in their order, neighbours of one role made one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import msgspec

from penstock_common.llm.images import IMAGE_TYPES, image_type
from penstock_common.llm.types import (
    ContentPart,
    File,
    Image,
    Message,
    Opaque,
    Reasoning,
    Role,
    Text,
    ToolCall,
)
from penstock_inference.adapters.providers.carried import Use, blocks_of
from penstock_inference.adapters.providers.http.large_data import LargeData
from penstock_inference.adapters.providers.http.verbatim import arguments_of, members, verbatim
from penstock_inference.domain.failure import unsupported
from penstock_inference.domain.unsupported import FieldPolicy

FORMAT = "bedrock"
"""Of blocks that only Converse knows."""

Block = dict[str, Any]

_CITATIONS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_CITATION_FIELDS = frozenset({"title", "source", "sourceContent", "location"})
_CALL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NOT_OF_A_NAME = re.compile(r"[^A-Za-z0-9\s\-()\[\]]+")
_LONGEST_NAME = 200
_TTLS = ("5m", "1h")
_GO_ON = (
    "<answer_so_far>\n{begun}\n</answer_so_far>\n"
    "Your answer broke off there. Continue it from exactly that point: write only what comes after the last character of "
    "<answer_so_far>, and repeat nothing of it, nor say anything about it."
)
_SYSTEM = (Role.SYSTEM, Role.DEVELOPER)
_DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_SUFFIXES = frozenset(_DOCUMENT_FORMATS.values())


def opaque_block(opaque: Opaque, path: str) -> Block:
    """Return a block that only Converse knows, its members verbatim.

    Raises:
        AttemptFailed: BAD_REQUEST, if it is no JSON object.
    """
    return members(opaque.json, path)


def cache_point(ttl: str, policy: FieldPolicy) -> Block:
    """Return the block after which a prefix ends for the cache; a life that Bedrock has not is left out, and said."""
    if ttl in _TTLS:
        return {"cachePoint": {"type": "default", "ttl": ttl}}
    if ttl:
        policy.drop(Use.CACHE_TTL.value)
    return {"cachePoint": {"type": "default"}}


class Turns:
    """Converts the turns of one request; ``caches`` whether breakpoints are sent."""

    def __init__(self, large: LargeData, policy: FieldPolicy, *, caches: bool) -> None:
        self._large = large
        self._policy = policy
        self._caches = caches
        self._names: set[str] = set()

    def system(self, messages: tuple[Message, ...]) -> tuple[list[Block], int]:
        """Return the blocks of the system turns that stand first, and how many turns they are."""
        blocks: list[Block] = []
        for index, message in enumerate(messages):
            if message.role not in _SYSTEM:
                return blocks, index
            for place, part in enumerate(message.parts):
                blocks += self._blocks_of_part(part, f"input.messages[{index}].parts[{place}]")
        return blocks, len(messages)

    def conversation(self, messages: tuple[Message, ...], first: int, *, goes_on: bool) -> list[Block]:
        """Return the turns from the one of this number on; ``goes_on``: the model does with an assistant's at the end."""
        turns: list[Block] = []
        for index, message in enumerate(messages[first:], start=first):
            role = "assistant" if message.role is Role.ASSISTANT else "user"
            content = self._content(message, f"input.messages[{index}]")
            if role == "assistant" and index == len(messages) - 1:
                role, content = _begun(content) if goes_on else _quoted(content)
            if not content:
                # A turn of nothing is refused.
                continue
            if turns and turns[-1]["role"] == role:
                turns[-1]["content"] += content
            else:
                turns.append({"role": role, "content": content})
        return turns

    def _content(self, message: Message, path: str) -> list[Block]:
        if message.role is Role.TOOL:
            return self._tool_result(message, path)
        content: list[Block] = []
        if message.role in _SYSTEM:
            return [{"text": f"<system>\n{message.text}\n</system>"}] if message.text.strip() else []
        for block in blocks_of(message, FORMAT):
            if isinstance(block, int):
                content.append(_tool_use(message.tool_calls[block]))
            else:
                content += self._blocks_of_part(block, f"{path}.parts")
        return content

    def _tool_result(self, message: Message, path: str) -> list[Block]:
        content: list[Block] = []
        points: list[Block] = []
        for place, part in enumerate(message.parts):
            content += self._block(part, f"{path}.parts[{place}]")
            points = [*self._point(part)] or points
        result: Block = {"toolUseId": _call_id(message.tool_call_id), "content": content}
        if message.is_error:
            result["status"] = "error"
        return [{"toolResult": result}, *points]

    def _blocks_of_part(self, part: ContentPart, path: str) -> Iterator[Block]:
        blocks = self._block(part, path)
        yield from blocks
        if blocks:
            yield from self._point(part)

    def _point(self, part: ContentPart) -> Iterator[Block]:
        if part.cache_breakpoint and self._caches:
            yield cache_point(part.cache_ttl, self._policy)

    def _block(self, part: ContentPart, path: str) -> list[Block]:
        """Return a part's block; none for text of blanks alone, which Bedrock refuses, and for what it does not take."""
        if isinstance(part, Text):
            return _text(part)
        if isinstance(part, Image):
            return [{"image": self._image(part, f"{path}.image")}]
        if isinstance(part, File):
            return [{"document": self._document(part, f"{path}.file")}]
        if isinstance(part, Reasoning):
            return self._reasoning(part)
        return [opaque_block(part, f"{path}.opaque")] if part.format == FORMAT else []

    def _image(self, image: Image, path: str) -> Block:
        kind = image_type(image.data, image.media_type)
        if image.url and not kind:
            kind = f"image/{PurePath(image.url).suffix[1:].lower().replace('jpg', 'jpeg')}"
        if kind not in IMAGE_TYPES:
            raise unsupported(path, f"must be one of {', '.join(IMAGE_TYPES)}")
        return {"format": kind.removeprefix("image/"), "source": self._source(image.url, image.data, path)}

    def _document(self, file: File, path: str) -> Block:
        suffix = PurePath(file.name or file.url).suffix[1:].lower()
        kind = _DOCUMENT_FORMATS.get(file.media_type.lower().partition(";")[0]) or suffix
        if kind not in _SUFFIXES:
            raise unsupported(path, f"must be one of {', '.join(sorted(_SUFFIXES))}")
        document: Block = {
            "format": kind,
            "name": self._name(file.name),
            "source": self._source(file.url, file.data, path),
        }
        if file.context:
            document["context"] = file.context
        if file.with_citations:
            document["citations"] = {"enabled": True}
        return document

    def _source(self, url: str, data: bytes, path: str) -> Block:
        if not url:
            return {"bytes": self._large.base64(data)}
        if not url.startswith("s3://"):
            raise unsupported(f"{path}.url", "must be an s3:// address for this upstream, which fetches no other")
        return {"s3Location": {"uri": url}}

    def _name(self, name: str) -> str:
        """Return a document's name as Converse takes it: of its few characters, and no other's in the request."""
        plain = " ".join(_NOT_OF_A_NAME.sub("-", name).split())[:_LONGEST_NAME].strip() or "document"
        unique, number = plain, 1
        while unique in self._names:
            number += 1
            unique = f"{plain[: _LONGEST_NAME - 8]} {number}"
        self._names.add(unique)
        return unique

    def _reasoning(self, part: Reasoning) -> list[Block]:
        if part.hidden:
            return [{"reasoningContent": {"redactedContent": part.hidden.decode("utf-8", "replace")}}]
        if part.signature:
            signed = {"text": part.text, "signature": part.signature.decode("utf-8", "replace")}
            return [{"reasoningContent": {"reasoningText": signed}}]
        self._policy.drop(Use.REASONING.value)
        return []


def _begun(content: list[Block]) -> tuple[str, list[Block]]:
    """Return an assistant's turn at the end as it is, without blanks at its end, which are refused."""
    if content and "text" in content[-1]:
        content[-1]["text"] = content[-1]["text"].rstrip()
    return "assistant", content


def _quoted(content: list[Block]) -> tuple[str, list[Block]]:
    """Return a user's turn that asks to go on with such a turn; as it is where it holds more than text."""
    if not all("text" in block for block in content):
        return _begun(content)
    begun = "".join(block["text"] for block in content).rstrip()
    return "user", [{"text": _GO_ON.format(begun=begun)}] if begun else []


def _text(part: Text) -> list[Block]:
    if not part.text or part.text.isspace():
        return []
    citations = _citations(part.citations_json) if part.citations_json else None
    if citations is None:
        return [{"text": part.text}]
    return [{"citationsContent": {"content": [{"text": part.text}], "citations": citations}}]


def _citations(text: str) -> msgspec.Raw | None:
    """Return an earlier answer's citations, verbatim, where they are Converse's own."""
    try:
        citations = _CITATIONS.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    is_ours = citations and all(one and _CITATION_FIELDS.issuperset(one) for one in citations)
    return verbatim(text, "citations_json") if is_ours else None


def _tool_use(call: ToolCall) -> Block:
    return {"toolUse": {"toolUseId": _call_id(call.id), "name": call.name, "input": arguments_of(call)}}


def _call_id(known: str) -> str:
    """Return the id of a call; one that Bedrock would refuse becomes its digest, in the call and in its result."""
    if _CALL_ID.fullmatch(known):
        return known
    return f"call_{hashlib.sha256(known.encode()).hexdigest()[:32]}"
