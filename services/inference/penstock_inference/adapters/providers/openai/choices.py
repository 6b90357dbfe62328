"""Answers with several choices, with the probabilities of their tokens, or to custom tools.

Each choice is read as an answer of its own, and a custom tool's call as a function's. Few ask for them, so what one choice costs is not what an answer costs.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec.structs import replace

from penstock_common.llm.types import (
    ChoiceFinished,
    GenerationInput,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock_inference.adapters.providers.openai.stream import CompletionStream, whole_answer
from penstock_inference.adapters.providers.server_sent_events import EventParser, StreamTooLargeError
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, UpstreamEvent

_DONE = b"[DONE]"
_encode = msgspec.json.Encoder().encode
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_Events = list[UpstreamEvent]


class _Alternative(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None


class _Token(_Alternative):
    top_logprobs: list[_Alternative] = []


_TOKENS = list[_Token]


def are_asked_for(value: GenerationInput) -> bool:
    """Return whether the answer is to be read here."""
    sampling = value.sampling
    if sampling.top_logprobs is not None or (sampling.choices is not None and sampling.choices > 1):
        return True
    return bool(value.tools) and any(tool.custom_json for tool in value.tools)


class ChoicesStream:
    """Reads one response's bytes; as ``CompletionStream``, whose place it takes."""

    def __init__(self, asked: GenerationInput) -> None:
        count = asked.sampling.choices or 1
        self._parser = EventParser()
        self._choices = _Choices(asked)
        self._streams = [CompletionStream() for _ in range(count)]
        self.done = False

    def feed(self, data: bytes) -> _Events:
        """Return what one read brought.

        Raises:
            AttemptFailed: for a malformed event, an error in band, more bytes than an answer can have, or fewer choices.
        """
        try:
            arrived = self._parser.feed(data)
        except StreamTooLargeError:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than an answer can hold") from None
        events: _Events = []
        for name, payload in arrived:
            if payload.startswith(_DONE):
                self.done = True
                self._choices.check_all_finished()
                break
            self._read(name, payload, events)
        return events

    def _read(self, name: bytes, payload: bytes, events: _Events) -> None:
        chunk = _object_in(payload)
        choices = _list_in(chunk, "choices")
        rest = payload if chunk is None or not choices else _encode({**chunk, "choices": []})
        for choice in choices:
            number = self._choices.number_of(choice)
            made = self._streams[number].feed(_frame(b"", _alone(choice)))
            self._choices.add(number, choice, made, events)
        # What is not a choice's, usage and errors among it, is read once.
        self._choices.add(0, {}, self._streams[0].feed(_frame(name, rest)), events)


class _Choices:
    """Puts the events of the choices together; the first one's end comes once all have ended."""

    def __init__(self, asked: GenerationInput) -> None:
        self._ends: dict[int, Stopped] = {}
        self._count = asked.sampling.choices or 1
        self._custom = frozenset([tool.name for tool in asked.tools if tool.custom_json])
        # Probabilities that came before their text.
        self._waiting: dict[int, str] = {}

    def number_of(self, choice: dict[str, Any]) -> int:
        """Return a choice's number.

        Raises:
            AttemptFailed: if nobody asked for it.
        """
        number = choice.get("index") or 0
        if type(number) is not int or not 0 <= number < self._count:
            raise AttemptFailed(FailureKind.MALFORMED, "the upstream gave a choice that nobody asked for")
        return number

    def add(self, number: int, choice: dict[str, Any], made: _Events, events: _Events) -> None:
        """Add one choice's events to those of all."""
        told = _logprobs_in(choice) or self._waiting.pop(number, "")
        for event in made:
            if isinstance(event, Stopped):
                self._end(number, event, events)
            elif isinstance(event, TextDelta):
                events.append(replace(event, choice=number, logprobs_json=told))
                told = ""
            elif isinstance(event, ToolCallDelta):
                events.append(replace(event, choice=number, is_custom=event.name in self._custom))
            elif isinstance(event, ReasoningDelta):
                events.append(replace(event, choice=number))
            else:
                events.append(event)
        if told:
            self._waiting[number] = told

    def check_all_finished(self) -> None:
        """Check that nobody is missing.

        Raises:
            AttemptFailed: if there are fewer choices than were asked for.
        """
        if len(self._ends) < self._count:
            raise AttemptFailed(
                FailureKind.MALFORMED, f"the upstream gave {len(self._ends)} of the {self._count} choices asked for"
            )

    def _end(self, number: int, stopped: Stopped, events: _Events) -> None:
        if number in self._ends:
            return
        self._ends[number] = stopped
        if number:
            events.append(ChoiceFinished(choice=number, reason=stopped.reason))
        if len(self._ends) == self._count:
            events.append(self._ends[0])


def whole_choices(body: bytes, asked: GenerationInput) -> _Events:
    """Return the events of an answer that came in one piece.

    Raises:
        AttemptFailed: if it is none, or an error in its place, or has fewer choices than were asked for.
    """
    document = _object_in(body)
    choices = _list_in(document, "choices")
    if document is None or not choices:
        return whole_answer(body)
    together, events = _Choices(asked), list[UpstreamEvent]()
    usage: _Events = []
    for choice in choices:
        number = together.number_of(choice)
        made = whole_answer(_encode({**document, "choices": [_as_functions(choice)]}))
        usage = [event for event in made if isinstance(event, Usage)]
        together.add(number, choice, [event for event in made if not isinstance(event, Usage)], events)
    together.check_all_finished()
    return [*events, *usage]


def _alone(choice: dict[str, Any]) -> bytes:
    return _encode({"choices": [_as_functions(choice)]})


def _as_functions(choice: dict[str, Any]) -> dict[str, Any]:
    """Return the choice as the only one, with the calls of custom tools in a function's form."""
    told = {**choice, "index": 0}
    for name in ("delta", "message"):
        turn = told.get(name)
        if isinstance(turn, dict) and "tool_calls" in turn:
            known = cast("dict[str, Any]", turn)
            told[name] = {**known, "tool_calls": [_as_function(call) for call in _list_in(known, "tool_calls")]}
    return told


def _as_function(call: dict[str, Any]) -> dict[str, Any]:
    custom = call.get("custom")
    if not isinstance(custom, dict):
        return call
    said = cast("dict[str, Any]", custom)
    return {
        **{name: value for name, value in call.items() if name != "custom"},
        "type": "function",
        "function": {"name": said.get("name"), "arguments": said.get("input")},
    }


def _frame(name: bytes, payload: bytes) -> bytes:
    # One line: a payload of several is the parser's, joined.
    return b"%bdata: %b\n\n" % (b"event: %b\n" % name if name else b"", payload.replace(b"\n", b" "))


def _object_in(payload: bytes) -> dict[str, Any] | None:
    try:
        return _OBJECT.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _list_in(chunk: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    found: Any = None if chunk is None else chunk.get(name)
    entries = cast("list[Any]", found) if isinstance(found, list) else []
    return [entry for entry in entries if isinstance(entry, dict)]


def _logprobs_in(choice: dict[str, Any]) -> str:
    """Return the tokens with their probabilities, a JSON array written anew; '' where there are none to read."""
    logprobs = choice.get("logprobs")
    content = cast("dict[str, Any]", logprobs).get("content") if isinstance(logprobs, dict) else None
    if not content:
        return ""
    try:
        return _encode(msgspec.convert(content, _TOKENS)).decode()
    except msgspec.ValidationError:
        return ""
