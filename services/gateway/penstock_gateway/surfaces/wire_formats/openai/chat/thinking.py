"""A model's signed reasoning in OpenAI's format: ``thinking_blocks``, whose signatures are wrapped, so that whose they are survives.

Clients hand back what they do not understand, unchanged if at all. So a wrapped signature holds the provider's own,
whom that is bound to, and where in the turn its block stood, as the format tells of the text alone and of the calls alone.
No provider is ever sent a wrapped one. https://docs.litellm.ai/docs/reasoning_content is where the field comes from.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import msgspec

from penstock_common.llm.events import Answer
from penstock_common.llm.types import ContentPart, Reasoning, Text, ToolCall

BLOCK = "pk1."
"""Begins the signature of a block."""
EXTRA = "pk1x."
"""Begins a signature within what else a provider gave."""
_SIGNED = ('"signature"', '"thought_signature"', '"data"')
_SIGNATURES = frozenset({"signature", "thought_signature", "data"})
_encode = msgspec.json.Encoder().encode


class Sealed(msgspec.Struct, array_like=True):
    """What a wrapped signature of a block holds; the counts are of the characters and calls before it, -1 where unknown."""

    origin: str
    signature: bytes = b""
    hidden: bytes = b""
    characters_before: int = -1
    calls_before: int = 0


class _SealedExtra(msgspec.Struct, array_like=True):
    origin: str
    original: str


class Block(msgspec.Struct):
    """A block that came back, and where it stood."""

    reasoning: Reasoning
    characters_before: int
    calls_before: int


_DECODER = msgspec.msgpack.Decoder(Sealed)
_EXTRA_DECODER = msgspec.msgpack.Decoder(_SealedExtra)


def block_json(text: str, sealed: Sealed) -> bytes:
    """Return a block as callers get it."""
    wrapped = _encode(_wrapped(BLOCK, sealed))
    if sealed.hidden and not text and not sealed.signature:
        return b'{"type":"redacted_thinking","data":%b}' % wrapped
    return b'{"type":"thinking","thinking":%b,"signature":%b}' % (_encode(text), wrapped)


def blocks_json(answer: Answer) -> bytes:
    """Return the list of a whole answer's blocks."""
    blocks: list[bytes] = []
    calls, parts, characters = answer.tool_calls, answer.parts, 0
    for place, part in enumerate(parts):
        if isinstance(part, Text):
            characters += len(part.text)
        elif isinstance(part, Reasoning) and (part.signature or part.hidden):
            before = sum(call.parts_before is not None and call.parts_before <= place for call in calls)
            blocks.append(block_json(part.text, Sealed(part.origin, part.signature, part.hidden, characters, before)))
    return b"[%b]" % b",".join(blocks)


def wrapped_extras(extra_json: str, origin: str) -> str:
    """Return what a provider gave beside, its signatures wrapped; verbatim where it has none, or nobody knows whose they are."""
    if not origin or not any(name in extra_json for name in _SIGNED):
        return extra_json

    def wrapped(signature: str) -> str:
        return _wrapped(EXTRA, _SealedExtra(origin, signature))

    return _with_signatures(extra_json, wrapped)


def unwrapped_extras(extra_json: str) -> tuple[str, str]:
    """Return what a provider gave beside, as it gave it, and whose it is; '' where nobody knows."""
    if EXTRA not in extra_json:
        return extra_json, ""
    origins: list[str] = []

    def unwrapped(signature: str) -> str:
        pieces = signature.split(EXTRA) if signature.startswith(EXTRA) else []
        opened = [_opened_extra(piece) for piece in pieces[1:]]
        origins.extend(each.origin for each in opened)
        return "".join(each.original for each in opened) if pieces else signature

    return _with_signatures(extra_json, unwrapped), next(iter(origins), "")


def blocks_in(thinking_blocks: bytes) -> list[Block]:
    """Return the blocks that a caller hands back; those that are wrapped by somebody else are nobody's known."""
    try:
        told: Any = json.loads(thinking_blocks)
    except (ValueError, RecursionError):
        return []
    listed = cast("list[Any]", told) if isinstance(told, list) else []
    found = [_block(cast("dict[str, Any]", each)) for each in listed if isinstance(each, dict)]
    return [block for block in found if block is not None]


def laid_out(
    blocks: Sequence[Block], content: tuple[ContentPart, ...], calls: tuple[ToolCall, ...]
) -> tuple[tuple[ContentPart, ...], tuple[ToolCall, ...]]:
    """Return a turn's parts and calls with each block where it stood."""
    is_text = not content or (len(content) == 1 and isinstance(content[0], Text))
    text = "".join([part.text for part in content if isinstance(part, Text)])
    if not is_text or any(not 0 <= block.characters_before <= len(text) for block in blocks):
        return (*[block.reasoning for block in blocks], *content), calls
    parts: list[ContentPart] = []
    at, places = 0, dict[int, int]()
    for block in blocks:
        if block.characters_before > at:
            parts.append(Text(text=text[at : block.characters_before]))
            at = block.characters_before
        # The calls before it stand before this place.
        places.setdefault(block.calls_before, len(parts))
        parts.append(block.reasoning)
    if at < len(text):
        parts.append(msgspec.structs.replace(cast("Text", content[0]), text=text[at:]))
    return tuple(parts), tuple([_placed(call, number, places) for number, call in enumerate(calls)])


def _placed(call: ToolCall, number: int, places: dict[int, int]) -> ToolCall:
    before = [place for calls_before, place in places.items() if calls_before > number]
    return msgspec.structs.replace(call, parts_before=min(before)) if before else call


def _block(told: dict[str, Any]) -> Block | None:
    kind, text = told.get("type"), told.get("thinking")
    signature = told.get("data" if kind == "redacted_thinking" else "signature")
    if kind not in ("thinking", "redacted_thinking") or not isinstance(signature, str) or not signature:
        return None
    text = text if isinstance(text, str) and kind == "thinking" else ""
    if not signature.startswith(BLOCK):
        own, hidden = (b"", signature.encode()) if kind == "redacted_thinking" else (signature.encode(), b"")
        return Block(Reasoning(text=text, signature=own, hidden=hidden), -1, 0)
    try:
        sealed = _DECODER.decode(_bytes_in(signature.removeprefix(BLOCK)))
    except (ValueError, msgspec.DecodeError):
        # Altered on its way; nobody reads it any more.
        return None
    reasoning = Reasoning(text=text, signature=sealed.signature, hidden=sealed.hidden, origin=sealed.origin)
    return Block(reasoning, sealed.characters_before, sealed.calls_before)


def _opened_extra(wrapped: str) -> _SealedExtra:
    try:
        return _EXTRA_DECODER.decode(_bytes_in(wrapped))
    except (ValueError, msgspec.DecodeError):
        return _SealedExtra("", "")


def _wrapped(prefix: str, sealed: Sealed | _SealedExtra) -> str:
    return prefix + urlsafe_b64encode(msgspec.msgpack.encode(sealed)).decode()


def _bytes_in(text: str) -> bytes:
    return urlsafe_b64decode(text)


def _with_signatures(extra_json: str, made: Callable[[str], str]) -> str:
    try:
        told = json.loads(extra_json)
    except (ValueError, RecursionError):
        return extra_json
    return _encode(_each(told, made)).decode()


def _each(value: Any, made: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [_each(item, made) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    members: Iterable[tuple[str, Any]] = cast("dict[str, Any]", value).items()
    return {
        name: made(item) if name in _SIGNATURES and isinstance(item, str) and item else _each(item, made)
        for name, item in members
    }
