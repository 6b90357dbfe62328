"""Puts the calls of tools together from their pieces, and tells them in OpenAI's own way.

Servers disagree on how a call comes: numbered, numbered all alike, numbered anew with
each piece, by words or not at all; with its id or name in a later piece, in several, or in every
one. What goes on is exact: calls in order, from 0, each with its id and whole
name first. A call therefore waits until both are known to be whole, which they
are as soon as a piece brings arguments alone, or the answer ends.
"""

from __future__ import annotations

import secrets

import msgspec

from penstock_common.llm.extras import joined_extras
from penstock_common.llm.types import ToolCallDelta
from penstock_inference.adapters.providers.http.halves import Halves, mended
from penstock_inference.adapters.providers.openai import chunks as wire
from penstock_inference.adapters.providers.openai.extras import extra_json_of
from penstock_inference.domain.upstream import UpstreamEvent

NO_ARGUMENTS = "{}"
"""OpenAI's own for a call without any; also what some send before the arguments come."""
# A second id that begins like the first is another one, of a server that makes one for each piece.
_PREFIX_CHARACTERS = 4
_RAW = msgspec.json.Decoder(msgspec.Raw)


class _Call:
    """One call; ``sent`` is its number in what goes on, -1 while it waits."""

    __slots__ = ("arguments", "extra_json", "id", "is_custom", "name", "place", "sent", "settled")

    def __init__(self, place: int) -> None:
        self.place = place
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.extra_json = ""
        # Its arguments are any text: none of them is told from others by what it is.
        self.is_custom = False
        # A piece came that brought nothing but arguments: id and name are whole.
        self.settled = False
        self.sent = -1

    @property
    def is_complete(self) -> bool:
        """Whether the arguments are a whole object."""
        return bool(self.arguments) and not self.is_custom and _is_object("".join(self.arguments))

    def is_continued_by(self, piece: wire.ToolCall) -> bool:
        """Return whether a piece that belongs here by its number or its place does so by what it says, too."""
        function = _function_of(piece)
        identity, name, arguments = _said(piece.id), _said(function.name), function.arguments or ""
        if identity and self.id and identity != self.id:
            if piece.index is None:
                return not self.name
            return not name or not (self.sent >= 0 or self.is_complete)
        if not name or not _is_object(arguments) or not self.is_complete:
            return True
        # A whole call after a whole call: the same once more, or what a placeholder stood for, or another.
        known = "".join(self.arguments)
        if name == self.name and arguments == known:
            return piece.index is not None or bool(identity)
        return name == self.name and known == NO_ARGUMENTS

    def take_names(self, identity: str, name: str) -> None:
        """Take a piece of the id and one of the name; either may be the whole again."""
        if self.sent >= 0:
            return
        if identity and identity != self.id and not _begin_alike(identity, self.id):
            self.id += identity
        if name and name != self.name:
            self.name += name

    def take_arguments(self, arguments: str) -> bool:
        """Take a piece of the arguments; return whether it is one, and not what was there already."""
        if self.is_custom:
            self.arguments.append(arguments)
            return True
        if self.arguments and _is_object(arguments) and self.is_complete:
            known = "".join(self.arguments)
            if known == arguments:
                return False
            if known == NO_ARGUMENTS and self.sent < 0:
                self.arguments.clear()
        elif self.sent < 0 and self.arguments == [NO_ARGUMENTS] and arguments.lstrip().startswith("{"):
            self.arguments.clear()
        self.arguments.append(arguments)
        return True


class ToolCalls:
    """The calls of one answer, in the order in which they began."""

    __slots__ = ("_by_id", "_by_index", "_calls", "_last", "_next", "_sent", "halves")

    def __init__(self, halves: Halves | None) -> None:
        self.halves = halves
        """None while no piece can hold a half of a pair."""
        self._calls: list[_Call] = []
        self._by_index: dict[int | str, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._last: _Call | None = None
        # The first that waits: those after it wait for it, too.
        self._next = 0
        self._sent = 0

    def add(self, piece: wire.ToolCall, events: list[UpstreamEvent]) -> None:
        """Add what a piece allows to be told."""
        function = _function_of(piece)
        identity, name = _said(piece.id), _said(function.name)
        call = self._call_of(piece)
        self._last = call
        call.is_custom = call.is_custom or piece.custom is not None
        was_named = bool(call.id and call.name) and identity in ("", call.id) and name in ("", call.name)
        begun = call.id
        call.take_names(identity, name)
        if call.id != begun:
            # What was a part of it is nobody's id.
            if self._by_id.get(begun) is call:
                del self._by_id[begun]
            self._by_id.setdefault(call.id, call)
        taken = bool(function.arguments) and call.take_arguments(function.arguments or "")
        extra = _extra_json(piece)
        if call.sent >= 0:
            self._tell_more(call, function.arguments or "" if taken else "", extra, events)
            return
        call.settled = call.settled or (was_named and bool(function.arguments))
        call.extra_json = joined_extras(call.extra_json, extra)
        self._tell_ready(events)

    def add_whole(self, piece: wire.ToolCall, events: list[UpstreamEvent]) -> None:
        """Add one of a whole answer, where each is a call of its own."""
        function = _function_of(piece)
        call = self._begun()
        call.is_custom = piece.custom is not None
        call.take_names(_said(piece.id), _said(function.name))
        if call.id in self._by_id:
            call.id = ""
        self._by_id[call.id] = call
        call.arguments.append(function.arguments or "")
        call.extra_json = _extra_json(piece)

    def end(self, events: list[UpstreamEvent]) -> None:
        """Tell all that waits: nothing more comes."""
        for call in self._calls[self._next :]:
            self._tell(call, events)
        self._next = len(self._calls)
        if self.halves is None:
            return
        for call in self._calls:
            rest = self.halves.rest(call)
            if rest and call.sent >= 0:
                events.append(ToolCallDelta(index=call.sent, arguments_json_fragment=rest))

    def _call_of(self, piece: wire.ToolCall) -> _Call:
        index, identity = _number(piece.index), _said(piece.id)
        known = self._by_id.get(identity) if identity else None
        call = known or (self._last if index is None else self._by_index.get(index))
        if call is None and self._is_more_of_the_last(piece):
            call = self._last
        if call is None or not call.is_continued_by(piece):
            call = self._begun()
        if index is not None:
            self._by_index[index] = call
        return call

    def _is_more_of_the_last(self, piece: wire.ToolCall) -> bool:
        """Return whether a piece of an unknown number goes on where the last ended: some number pieces, not calls."""
        last = self._last
        named = _said(piece.id) or _said(_function_of(piece).name)
        return last is not None and not named and bool(last.name) and not last.is_complete

    def _begun(self) -> _Call:
        call = _Call(len(self._calls))
        self._calls.append(call)
        return call

    def _tell_ready(self, events: list[UpstreamEvent]) -> None:
        while self._next < len(self._calls):
            call = self._calls[self._next]
            is_last = self._next == len(self._calls) - 1
            if not (call.id and call.name) or not (
                call.settled or (not is_last and (call.is_custom or call.is_complete))
            ):
                return
            self._next += 1
            self._tell(call, events)

    def _tell(self, call: _Call, events: list[UpstreamEvent]) -> None:
        arguments = "".join(call.arguments)
        if not call.name and not arguments:
            # Nothing that could be called.
            return
        call.sent = self._sent
        self._sent += 1
        identity, name = call.id, call.name
        # Of two with one id the second gets another.
        if not identity or self._by_id.get(identity) is not call:
            identity = f"call_{secrets.token_hex(12)}"
        if self.halves is not None:
            identity, name, arguments = mended(identity), mended(name), self.halves.joined(call, arguments)
        events.append(
            ToolCallDelta(
                index=call.sent,
                id=identity,
                name=name,
                arguments_json_fragment=arguments or ("" if call.is_custom else NO_ARGUMENTS),
                extra_json=call.extra_json,
                is_custom=call.is_custom,
            )
        )

    def _tell_more(self, call: _Call, arguments: str, extra_json: str, events: list[UpstreamEvent]) -> None:
        if arguments and self.halves is not None:
            arguments = self.halves.joined(call, arguments)
        if arguments or extra_json:
            events.append(ToolCallDelta(index=call.sent, arguments_json_fragment=arguments, extra_json=extra_json))


def _function_of(piece: wire.ToolCall) -> wire.Function:
    if piece.custom is not None:
        return wire.Function(piece.custom.name, piece.custom.input)
    return piece.function or wire.Function(piece.name, piece.arguments)


def _said(word: str | None) -> str:
    """Return an id or a name; a blank says nothing, and is a part of neither."""
    return word if word and not word.isspace() else ""


def _number(index: int | str | None) -> int | str | None:
    """Return what a call is numbered by, None where by nothing."""
    if isinstance(index, str) and index.removeprefix("-").isdecimal():
        index = int(index)
    return None if isinstance(index, int) and index < 0 else index or (0 if index == 0 else None)


def _is_object(text: str) -> bool:
    if text[-1:] not in ("}", "]"):
        return False
    try:
        _RAW.decode(text.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _begin_alike(first: str, second: str) -> bool:
    return len(second) >= _PREFIX_CHARACTERS and first[:_PREFIX_CHARACTERS] == second[:_PREFIX_CHARACTERS]


def _extra_json(piece: wire.ToolCall) -> str:
    return extra_json_of((("extra_content", piece.extra_content),)) if piece.extra_content else ""
