"""What is done to the assistant's turns of a history: reasoning put back where it stood, and taken out.

Pure, and the same for the same turns: what is sent of a conversation may grow at its end alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import msgspec

from penstock_common.llm.types import ContentPart, Message, Opaque, Reasoning, Role, Text, Tool, ToolCall
from penstock_inference.domain.reasoning.origin import is_bound

DIGEST_BYTES = 16
_encode = msgspec.msgpack.Encoder().encode


class Span(msgspec.Struct, frozen=True, tag="span"):
    """So many characters of the turn's text."""

    characters: int
    citations_json: str = ""


class CallExtras(msgspec.Struct, frozen=True, array_like=True):
    """What a call had beside what every caller carries."""

    extra_json: str
    parts_before: int | None


class KeptTurn(msgspec.Struct, frozen=True):
    """An answer that asked for calls, as far as callers may lose it.

    origin: who gave it.
    prefix: the digest of all that came before, as it was sent; empty where the model is bound to none.
    parts: its parts in their order, empty where none of them is reasoning.
    calls: what its calls had, one by one.
    """

    origin: str
    prefix: bytes = b""
    parts: tuple[Reasoning | Opaque | Span, ...] = ()
    calls: tuple[CallExtras, ...] = ()

    @property
    def has_reasoning(self) -> bool:
        """Whether there is anything to put back."""
        return bool(self.parts) or any(call.extra_json for call in self.calls)


def kept_turn(answer: Message, origin: str, prefix: bytes) -> KeptTurn:
    """Return what is kept of an answer."""
    if not any(isinstance(part, Reasoning) and is_bound(part) for part in answer.parts):
        calls = answer.tool_calls if any(call.extra_json for call in answer.tool_calls) else ()
        return KeptTurn(origin, prefix, calls=tuple([CallExtras(call.extra_json, None) for call in calls]))
    parts: list[Reasoning | Opaque | Span] = []
    for part in answer.parts:
        if isinstance(part, Text):
            parts.append(Span(len(part.text), part.citations_json))
        elif isinstance(part, Reasoning | Opaque):
            parts.append(part)
    calls = [CallExtras(call.extra_json, call.parts_before) for call in answer.tool_calls]
    return KeptTurn(origin, prefix, tuple(parts), tuple(calls))


def restored(turn: Message, kept: KeptTurn) -> Message:
    """Return a caller's turn with what it has lost, block for block as it was where its text is what it was."""
    calls = turn.tool_calls
    if len(kept.calls) == len(calls):
        origin = kept.origin
        calls = tuple([_with_extras(call, known, origin) for call, known in zip(calls, kept.calls, strict=True)])
    if not kept.parts:
        return msgspec.structs.replace(turn, tool_calls=calls)
    parts, text = [part for part in turn.parts if not isinstance(part, Reasoning)], turn.text
    spans = [part for part in kept.parts if isinstance(part, Span)]
    told = sum(span.characters for span in spans)
    is_same_text = told == len(text) and all(isinstance(part, Text) for part in parts)
    if not is_same_text:
        # Its reasoning came first, as it does in most turns.
        reasoning = [part for part in kept.parts if not isinstance(part, Span)]
        free = tuple([msgspec.structs.replace(call, parts_before=None) for call in calls])
        return msgspec.structs.replace(turn, parts=(*reasoning, *parts), tool_calls=free)
    return msgspec.structs.replace(turn, parts=tuple(_laid_out(kept.parts, text)), tool_calls=calls)


def _laid_out(parts: Iterable[Reasoning | Opaque | Span], text: str) -> Iterable[ContentPart]:
    at = 0
    for part in parts:
        if isinstance(part, Span):
            yield Text(text=text[at : at + part.characters], citations_json=part.citations_json)
            at += part.characters
        else:
            yield part


def _with_extras(call: ToolCall, known: CallExtras, origin: str) -> ToolCall:
    if not known.extra_json or call.extra_json:
        return msgspec.structs.replace(call, parts_before=known.parts_before)
    return msgspec.structs.replace(call, parts_before=known.parts_before, extra_json=known.extra_json, origin=origin)


def without(turn: Message, is_left_out: Callable[[Reasoning | ToolCall], bool]) -> Message | None:
    """Return an assistant's turn without such reasoning and extras of calls, the same one where it has none.

    None where nothing is left of it.
    """
    gone = [place for place, part in enumerate(turn.parts) if isinstance(part, Reasoning) and is_left_out(part)]
    calls = turn.tool_calls
    bare = [call for call in calls if call.extra_json and is_left_out(call)]
    if not gone and not bare:
        return turn
    parts = tuple([part for place, part in enumerate(turn.parts) if place not in gone])
    if not parts and not calls:
        return None
    return msgspec.structs.replace(
        turn, parts=parts, tool_calls=tuple([_moved(call, gone, is_bare=call in bare) for call in calls])
    )


def _moved(call: ToolCall, gone: Sequence[int], *, is_bare: bool) -> ToolCall:
    before = call.parts_before
    if before is not None:
        before -= sum(place < before for place in gone)
    if is_bare:
        return msgspec.structs.replace(call, parts_before=before, extra_json="", origin="")
    return msgspec.structs.replace(call, parts_before=before)


class Prefix:
    """The digest of what a conversation is so far, as a provider sees it who binds reasoning to that.

    Where its prompt cache is asked to end a prefix is no part of it, nor are the arguments of calls, which callers' tools
    may have written anew: the provider is the judge of those.
    """

    __slots__ = ("_hash",)

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._hash = blake2b(digest_size=DIGEST_BYTES)
        for tool in tools:
            self._hash.update(_encode(msgspec.structs.replace(tool, cache_breakpoint=False, cache_ttl="")))

    def add(self, turn: Message) -> None:
        """Take the next turn in."""
        self._hash.update(told_of(turn))

    @property
    def digest(self) -> bytes:
        """The digest of all turns so far."""
        return self._hash.digest()


def told_of(turn: Message) -> bytes:
    """Return bytes that are equal for equal turns."""
    calls = [(call.id, call.name, call.extra_json) for call in turn.tool_calls]
    return _encode((turn.role.value, [_told_of_part(part) for part in turn.parts], calls, turn.tool_call_id))


def _told_of_part(part: ContentPart) -> object:
    if isinstance(part, Text):
        return part.text
    if isinstance(part, Reasoning):
        return (part.text, part.signature, part.hidden, part.extra_json)
    return msgspec.structs.replace(part, cache_breakpoint=False, cache_ttl="") if part.cache_breakpoint else part


def lacks_reasoning(turn: Message) -> bool:
    """Return whether an assistant's turn has calls, and nothing beside them that their model alone made."""
    if turn.role is not Role.ASSISTANT or not turn.tool_calls:
        return False
    if any(call.extra_json for call in turn.tool_calls):
        return False
    return not any(isinstance(part, Reasoning) and is_bound(part) for part in turn.parts)
