"""Reads the blocks of an answer, each as it comes, into events."""

from __future__ import annotations

import secrets
from typing import Protocol

import msgspec

from penstock_common.llm.types import Opaque, OpaqueDelta, ReasoningDelta, TextDelta, ToolCallDelta
from penstock_inference.adapters.providers.anthropic import chunks as wire
from penstock_inference.adapters.providers.anthropic.blocks import FORMAT
from penstock_inference.adapters.providers.anthropic.tools import CUSTOM_INPUT
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import UpstreamEvent

# Ends a block of text that refers to nothing, where another follows: the two came as two, and go back so.
_NO_CITATIONS = "[]"
_NO_ARGUMENTS = "{}"
_MAX_OPAQUE_BYTES = 1024 * 1024
_OF_A_CALL = ("type", "id", "name", "input", "cache_control")
_NOTHING = (b"", b"null", b"{}")
_STRING = msgspec.json.Decoder(str)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode
_Events = list[UpstreamEvent]


class BlockReader(Protocol):
    """Reads one block from where it began."""

    def add(self, raw: msgspec.Raw, events: _Events) -> None:
        """Add what a piece of it says."""
        ...

    def end(self, events: _Events) -> None:
        """Add what was to be told at its end."""
        ...


class TextReader:
    """Text, and at its end what it refers to."""

    def __init__(self, block: wire.Block, events: _Events) -> None:
        self._citations = list(block.citations or ())
        self._is_open = False
        self._say(block.text, events)

    def add(self, raw: msgspec.Raw, events: _Events) -> None:
        """See the port."""
        delta = wire.DELTA.decode(raw)
        self._say(delta.text, events)
        if delta.citation:
            self._citations.append(delta.citation)

    def end(self, events: _Events) -> None:
        """See the port."""
        if self._citations:
            events.append(TextDelta(text="", citations_json=_encode(self._citations).decode()))
            self._is_open = False

    def part(self, events: _Events) -> None:
        """Add what tells it from the text of another block that follows."""
        if self._is_open:
            events.append(TextDelta(text="", citations_json=_NO_CITATIONS))

    def _say(self, text: str | None, events: _Events) -> None:
        if text:
            events.append(TextDelta(text=text))
            self._is_open = True


class ThinkingReader:
    """Thinking, and at its end its signature."""

    def __init__(self, block: wire.Block, events: _Events) -> None:
        self._signature = block.signature or ""
        if block.thinking:
            events.append(ReasoningDelta(text=block.thinking))

    def add(self, raw: msgspec.Raw, events: _Events) -> None:
        """See the port."""
        delta = wire.DELTA.decode(raw)
        if delta.thinking:
            events.append(ReasoningDelta(text=delta.thinking))
        self._signature += delta.signature or ""

    def end(self, events: _Events) -> None:
        """See the port."""
        if self._signature:
            events.append(ReasoningDelta(signature=self._signature.encode()))


class CallReader:
    """A call of a tool; that of one of free text has the text for its arguments."""

    def __init__(self, raw: msgspec.Raw, index: int, custom: frozenset[str], events: _Events) -> None:
        block = wire.BLOCK.decode(raw)
        is_custom = block.name in custom
        self._index = index
        self._is_custom = is_custom
        # What it has from the start stands where no piece comes.
        self._whole = "" if bytes(block.input) in _NOTHING else bytes(block.input).decode()
        self._pieces: list[str] = []
        identity = block.id or f"toolu_{secrets.token_hex(12)}"
        events.append(
            ToolCallDelta(
                index=index, id=identity, name=block.name or "", is_custom=is_custom, extra_json=_beside_the_call(raw)
            )
        )

    def add(self, raw: msgspec.Raw, events: _Events) -> None:
        """See the port."""
        piece = wire.DELTA.decode(raw).partial_json
        if not piece:
            return
        self._pieces.append(piece)
        if not self._is_custom:
            self._tell(piece, events)

    def end(self, events: _Events) -> None:
        """See the port."""
        if self._is_custom:
            self._tell(_text_in("".join(self._pieces) or self._whole), events)
        elif not self._pieces:
            self._tell(self._whole or _NO_ARGUMENTS, events)

    def _tell(self, arguments: str, events: _Events) -> None:
        if arguments:
            events.append(ToolCallDelta(index=self._index, arguments_json_fragment=arguments))


class OpaqueReader:
    """A block that only this format knows, told whole at its end; one that came in one piece is so verbatim."""

    def __init__(self, raw: msgspec.Raw) -> None:
        self._raw = raw
        self._bytes = len(bytes(raw))
        # What the pieces add to each member, and to the arguments.
        self._more: dict[str, list[msgspec.Raw]] = {}
        self._input: list[str] = []

    def add(self, raw: msgspec.Raw, events: _Events) -> None:
        """See the port. Whatever a piece is, its texts and lists go on where the block's end."""
        del events
        self._bytes += len(bytes(raw))
        if self._bytes > _MAX_OPAQUE_BYTES:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent a larger block than can be kept")
        for name, value in wire.MEMBERS.decode(raw).items():
            if name == "partial_json":
                self._input.append(_STRING.decode(value))
            elif name == "citation":
                self._more.setdefault("citations", []).append(msgspec.Raw(b"[%b]" % bytes(value)))
            elif name != "type":
                self._more.setdefault(name, []).append(value)

    def end(self, events: _Events) -> None:
        """See the port."""
        text = self._with_more() if self._more or self._input else bytes(self._raw)
        # The ends of lines in a JSON text are blanks.
        json = text.replace(b"\n", b" ").replace(b"\r", b" ").decode()
        events.append(OpaqueDelta(block=Opaque(format=FORMAT, json=json)))

    def _with_more(self) -> bytes:
        members = wire.MEMBERS.decode(self._raw)
        for name, more in self._more.items():
            members[name] = _joined([*([members[name]] if name in members else []), *more])
        if arguments := "".join(self._input):
            members["input"] = msgspec.Raw(_valid(arguments))
        return _encode(members)


def _beside_the_call(raw: msgspec.Raw) -> str:
    """Return what else a call's block has, such as the code that made it: one object; '' where there is nothing."""
    beside = {
        name: value
        for name, value in wire.MEMBERS.decode(raw).items()
        if name not in _OF_A_CALL and bytes(value) not in _NOTHING and not (name == "caller" and _is_direct(value))
    }
    return _encode(beside).decode() if beside else ""


def _is_direct(caller: msgspec.Raw) -> bool:
    """Return whether the model itself made the call, which is so where nothing is said."""
    return wire.TYPE.decode(caller).type == "direct"


def _joined(values: list[msgspec.Raw]) -> msgspec.Raw:
    """Return a member's values as one: text after text, a list's items after a list's, else what came last."""
    known = [bytes(value) for value in values if bytes(value) != b"null"]
    kinds = {value[:1] for value in known}
    if kinds == {b'"'}:
        return msgspec.Raw(_encode("".join(map(_STRING.decode, known))))
    if kinds == {b"["}:
        return msgspec.Raw(_encode([item for value in known for item in _LIST.decode(value)]))
    return values[-1]


def _valid(arguments: str) -> bytes:
    """Return arguments as they came; of what broke off, a text of them."""
    try:
        wire.MEMBERS.decode(arguments)
    except wire.UNREADABLE:
        return _encode(arguments)
    return arguments.encode()


def _text_in(arguments: str) -> str:
    """Return the text that stands for the input of a custom tool; what is of no such form stays as it is."""
    try:
        members = wire.MEMBERS.decode(arguments)
        return _STRING.decode(members[CUSTOM_INPUT])
    except (*wire.UNREADABLE, KeyError):
        return arguments
