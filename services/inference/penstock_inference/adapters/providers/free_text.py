"""Tools of free text for upstreams that know functions alone: each is a function whose one argument is the text.

The grammar of the text stands in the argument's description. What the model writes comes back as the text, piece by piece as it
comes; what is of no such form comes back as it is, so that the caller sees what the model said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from penstock_common.llm.types import GenerationInput, Message, Tool, ToolCall, ToolCallDelta
from penstock_inference.adapters.providers.http.halves import mended
from penstock_inference.domain.upstream import Stopped, Upstream, UpstreamAnswer, UpstreamCall, UpstreamEvent

ARGUMENT = "input"
"""The one argument of the function that stands for a tool of free text."""

_NO_FORMAT = "{}"
_BEGINNING = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_MOST_BLANKS = 64
# Of a JSON string what is whole: neither its end nor half of an escape.
_PIECE = re.compile(r'(?:[^"\\]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_HIGH_HALF = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")
_HALF_CHARACTERS = 6
_encode = msgspec.json.Encoder().encode


class FreeTextUpstream:
    """Asks another upstream, which knows functions alone; see the port."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        names = frozenset([tool.name for tool in call.input.tools if tool.custom_json]) if call.input.tools else ()
        if not names:
            return self._upstream.ask(call)
        return FreeTextAnswer(self._upstream.ask(replace(call, input=as_functions(call.input))), frozenset(names))


class FreeTextAnswer:
    """An answer whose calls of the named functions are those of tools of free text; see the port."""

    __slots__ = ("_answer", "_names", "_texts")

    def __init__(self, answer: UpstreamAnswer, names: frozenset[str]) -> None:
        self._answer = answer
        self._names = names
        self._texts: dict[tuple[int, int], TextInArguments] = {}

    @property
    def ended(self) -> bool:
        """See the port."""
        return self._answer.ended

    @property
    def sent(self) -> bool:
        """See the port."""
        return self._answer.sent

    @property
    def unread_bytes(self) -> int:
        """See the port."""
        return self._answer.unread_bytes

    @property
    def dropped(self) -> tuple[str, ...]:
        """See the port."""
        return self._answer.dropped

    async def read(self) -> Sequence[UpstreamEvent]:
        """Return what the next read brought; see the port."""
        while events := await self._answer.read():
            told: list[UpstreamEvent] = []
            for event in events:
                if isinstance(event, ToolCallDelta):
                    self._add_call(event, told)
                    continue
                if isinstance(event, Stopped):
                    self._end(told)
                told.append(event)
            if told:
                return told
        return ()

    async def aclose(self) -> None:
        """See the port."""
        await self._answer.aclose()

    def _add_call(self, event: ToolCallDelta, told: list[UpstreamEvent]) -> None:
        key = event.choice, event.index
        text = self._texts.get(key)
        if text is None and event.name in self._names:
            text = self._texts[key] = TextInArguments()
            told.append(replace(event, is_custom=True, arguments_json_fragment=""))
            event = replace(event, extra_json="")
        elif text is None:
            told.append(event)
            return
        said = text.add(event.arguments_json_fragment)
        if said or event.extra_json:
            told.append(_piece(key, said, event.extra_json, event.origin))

    def _end(self, told: list[UpstreamEvent]) -> None:
        for key, text in self._texts.items():
            if said := text.end():
                told.append(_piece(key, said))
        self._texts.clear()


class TextInArguments:
    """Reads the text out of a function's arguments as they come."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._waiting = ""
        self._begun = self._is_over = False

    def add(self, piece: str) -> str:
        """Return what of the text a piece of the arguments brought."""
        self._pieces.append(piece)
        if self._is_over:
            return ""
        self._waiting += piece
        if not self._begun:
            found = _BEGINNING.match(self._waiting)
            if found is None:
                # Nothing of such length begins so: it is read at its end.
                self._is_over = len(self._waiting) > _MOST_BLANKS
                return ""
            self._begun, self._waiting = True, self._waiting[found.end() :]
        return self._text()

    def end(self) -> str:
        """Return what is left of the text when the arguments are over."""
        if self._begun:
            return ""
        whole = "".join(self._pieces)
        try:
            told = json.loads(whole)
        except (ValueError, RecursionError):
            return whole
        if isinstance(told, dict) and isinstance(told.get(ARGUMENT, ""), str) and told.keys() <= {ARGUMENT}:
            return mended(told.get(ARGUMENT, ""))
        return whole

    def _text(self) -> str:
        found = _PIECE.match(self._waiting)
        whole = found[0] if found is not None else ""
        rest = self._waiting[len(whole) :]
        if rest.startswith('"'):
            self._is_over = True
        elif _HIGH_HALF.search(whole):
            # The other half comes with the next piece.
            whole = whole[:-_HALF_CHARACTERS]
        self._waiting = self._waiting[len(whole) :]
        return mended(json.loads(f'"{whole}"', strict=False)) if whole else ""


def as_functions(value: GenerationInput) -> GenerationInput:
    """Return an input whose tools of free text are functions, those that were called before as well."""
    return replace(value, tools=tuple(map(_function, value.tools)), messages=tuple(map(_called, value.messages)))


def _function(tool: Tool) -> Tool:
    if not tool.custom_json:
        return tool
    text = {"type": "string"}
    if tool.custom_json != _NO_FORMAT:
        text["description"] = f"Free text, as this format says: {tool.custom_json}"
    schema = {"type": "object", "properties": {ARGUMENT: text}, "required": [ARGUMENT], "additionalProperties": False}
    return replace(tool, custom_json="", parameters_json=_encode(schema).decode())


def _called(message: Message) -> Message:
    if not any(call.is_custom for call in message.tool_calls):
        return message
    return replace(message, tool_calls=tuple(map(_call, message.tool_calls)))


def _call(call: ToolCall) -> ToolCall:
    if not call.is_custom:
        return call
    return replace(call, is_custom=False, arguments_json=_encode({ARGUMENT: call.arguments_json}).decode())


def _piece(key: tuple[int, int], said: str, extra_json: str = "", origin: str = "") -> ToolCallDelta:
    choice, index = key
    return ToolCallDelta(index=index, choice=choice, arguments_json_fragment=said, extra_json=extra_json, origin=origin)
