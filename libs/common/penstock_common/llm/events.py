"""Rules of a stream of generation events: its order, its canonical form, its sum."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

import msgspec

from penstock_common.llm.extras import joined_extras
from penstock_common.llm.types import (
    Batch,
    ChoiceFinished,
    ContentEvent,
    ContentPart,
    Finished,
    FinishReason,
    GenerationEvent,
    Message,
    OpaqueDelta,
    Reasoning,
    ReasoningDelta,
    Role,
    Started,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)

_EMPTY_ARRAY = len("[]")


def merge_deltas(events: Iterable[GenerationEvent]) -> list[GenerationEvent]:
    """Return the events with neighbouring deltas of one kind made one.

    This is the canonical form: what the cache keeps, and what a batch that was
    read at once is sent on as.
    """
    merged: list[GenerationEvent] = []
    # The last event, which the next may continue, and all that it was made one of.
    last: Any = None
    run: list[Any] = []
    for event in events:
        # Most events are text, and most follow text: they must not cost a call each.
        if type(event) is type(last) and (
            (
                type(event) is TextDelta
                and event.choice == last.choice
                # Text without probabilities would take those of its neighbour.
                and (not event.logprobs_json) is (not last.logprobs_json)
                and event.is_refusal is last.is_refusal
                # Citations refer to the text before them, up to the next.
                and not last.citations_json
            )
            or _continues(last, event)
        ):
            if not run:
                run = [last]
            run.append(event)
            last = event
            continue
        if last is not None:
            merged.append(_joined(run) if run else last)
        last, run = event, []
    if last is not None:
        merged.append(_joined(run) if run else last)
    return merged


def _joined(run: list[Any]) -> GenerationEvent:
    """Return one event for several neighbours of one kind."""
    first = run[0]
    if isinstance(first, TextDelta):
        text = "".join([event.text for event in run])
        cited = run[-1].citations_json
        if first.choice or first.logprobs_json or first.is_refusal or cited:
            return TextDelta(
                text=text,
                choice=first.choice,
                logprobs_json=joined_arrays([event.logprobs_json for event in run]),
                citations_json=cited,
                is_refusal=first.is_refusal,
            )
        return TextDelta(text=text)
    if isinstance(first, ReasoningDelta):
        return ReasoningDelta(
            text="".join([event.text for event in run]),
            signature=run[-1].signature,
            extra_json=_extras_of(run),
            choice=first.choice,
            origin=_origin_of(run),
        )
    return ToolCallDelta(
        index=first.index,
        id=first.id,
        name=first.name,
        arguments_json_fragment="".join([event.arguments_json_fragment for event in run]),
        extra_json=_extras_of(run),
        choice=first.choice,
        is_custom=first.is_custom,
        origin=_origin_of(run),
    )


def _origin_of(run: list[Any]) -> str:
    return next((event.origin for event in run if event.origin), "")


def _extras_of(run: list[Any]) -> str:
    return reduce(joined_extras, [event.extra_json for event in run if event.extra_json], "")


def joined_arrays(arrays: Iterable[str]) -> str:
    """Return JSON arrays made one; '' where there is none."""
    inner = [array[1:-1] for array in arrays if len(array) > _EMPTY_ARRAY]
    return f"[{','.join(inner)}]" if inner else ""


def _continues(last: GenerationEvent, event: GenerationEvent) -> bool:
    """Return whether ``event`` goes on where ``last`` of the same kind ends, beside text."""
    if isinstance(last, ReasoningDelta) and isinstance(event, ReasoningDelta):
        return event.choice == last.choice and not (last.signature or last.hidden or event.hidden)
    if isinstance(last, ToolCallDelta) and isinstance(event, ToolCallDelta):
        is_same_call = last.index == event.index and last.choice == event.choice
        return is_same_call and not event.id and not event.name
    return False


class StreamInvariantError(Exception):
    """A stream broke the contract of ``penstock.llm.v1.GenerationEvent``."""


class StreamInvariants:
    """Checks a stream event by event against the contract's order.

    ``started`` once and first, then deltas (none empty) and the ends of further
    choices, then at most one ``usage``, then ``finished`` once and last.
    """

    def __init__(self) -> None:
        self._started = False
        self._usage = False
        self._finished = False

    def observe(self, event: GenerationEvent) -> None:
        """Take the next event in.

        Raises:
            StreamInvariantError: if the event may not come here.
        """
        self._require(not self._finished, "an event after finished")
        if isinstance(event, Started):
            self._require(not self._started, "started twice")
            self._started = True
            return
        self._require(self._started, f"{type(event).__name__} before started")
        if isinstance(event, Usage):
            self._require(not self._usage, "usage twice")
            self._usage = True
        elif isinstance(event, Finished):
            self._finished = True
        else:
            self._require(not self._usage, "a delta after usage")
            self._require(not _is_empty(event), "an empty delta")

    def end(self) -> None:
        """Declare the stream ended without an error."""
        self._require(self._finished, "the stream ended without finished")

    def _require(self, holds: object, broken: str) -> None:
        if not holds:
            raise StreamInvariantError(broken)


def _is_empty(event: ContentEvent) -> bool:
    if isinstance(event, ChoiceFinished):
        return not event.choice
    if isinstance(event, TextDelta):
        return not (event.text or event.citations_json)
    if isinstance(event, ReasoningDelta):
        return not (event.text or event.signature or event.extra_json or event.hidden)
    if isinstance(event, OpaqueDelta):
        return not event.block.json
    return not (event.id or event.name or event.arguments_json_fragment or event.extra_json)


class _ToolCallParts(msgspec.Struct):
    parts_before: int
    id: str = ""
    name: str = ""
    is_custom: bool = False
    arguments: list[str] = []
    extra_json: str = ""
    origin: str = ""


class Answer(msgspec.Struct):
    """The sum of a stream: what a caller who does not stream receives."""

    started: Started | None = None
    usage: Usage | None = None
    finished: Finished | None = None
    logprobs: list[str] = []
    """JSON arrays of the text's tokens with their probabilities, where the upstream told them."""
    choices: dict[int, Answer] = {}
    """The choices after the first, by number; see ``more``."""
    extra_json: str = ""
    """What came beside the reasoning; see ``Reasoning``."""
    origin: str = ""
    """Whom that is bound to."""
    is_signed: bool = False
    """Whether some of its reasoning has a signature, or is not shown."""
    is_refusal: bool = False
    """Whether the text says that the model will not answer."""
    _text: list[str] = []
    _reasoning: list[str] = []
    _tool_calls: dict[int, _ToolCallParts] = {}
    # The turn's parts that are complete. After them come reasoning that is not (from its first piece on) and text.
    _parts: list[ContentPart] = []
    _text_in_parts: int = 0
    _reasoning_in_parts: int = 0
    reason: FinishReason | None = None
    """Why it ended, where it is one of the choices after the first."""

    def add(self, event: GenerationEvent) -> None:
        """Take the next event in."""
        self.extend((event,))

    def extend(self, batch: Batch) -> None:
        """Take the next events in."""
        add_text = self._text.append
        for event in batch:
            # Every event of every answer comes by, and to compare kinds is no call.
            if type(event) is Started:
                self.started = event
            elif type(event) is Usage:
                self.usage = event
            elif type(event) is Finished:
                self.finished = event
            elif type(event) is TextDelta and not event.choice:
                add_text(event.text)
                if event.logprobs_json or event.is_refusal or event.citations_json:
                    self._add_beside_text(event)
            else:
                self._add_other(event)

    def _add_other(self, event: ContentEvent) -> None:
        if event.choice:
            self._add_to_choice(event)
        elif isinstance(event, ReasoningDelta):
            self._add_reasoning(event)
        elif isinstance(event, ToolCallDelta):
            self._add_tool_call(event)
        elif isinstance(event, OpaqueDelta):
            self._complete_parts()
            self._parts.append(event.block)

    def _add_beside_text(self, event: TextDelta) -> None:
        if event.logprobs_json:
            self.logprobs.append(event.logprobs_json)
        if event.is_refusal:
            self.is_refusal = True
        if event.citations_json:
            self._complete_parts(event.citations_json)

    def _add_reasoning(self, event: ReasoningDelta) -> None:
        if event.hidden or len(self._text) > self._text_in_parts:
            self._complete_parts()
        if event.text:
            self._reasoning.append(event.text)
        if event.signature or event.hidden:
            text = "".join(self._reasoning[self._reasoning_in_parts :])
            self._reasoning_in_parts, self.is_signed = len(self._reasoning), True
            self._parts.append(
                Reasoning(text=text, signature=event.signature, hidden=event.hidden, origin=event.origin)
            )
        if event.extra_json:
            self.extra_json = joined_extras(self.extra_json, event.extra_json)
            self.origin = event.origin or self.origin

    def _complete_parts(self, citations_json: str = "") -> None:
        """Take what has come since the last complete part as parts of their own."""
        self._parts.extend(self._parts_begun(citations_json))
        self._reasoning_in_parts, self._text_in_parts = len(self._reasoning), len(self._text)

    def _parts_begun(self, citations_json: str = "") -> list[ContentPart]:
        begun: list[ContentPart] = []
        if len(self._reasoning) > self._reasoning_in_parts:
            begun.append(Reasoning(text="".join(self._reasoning[self._reasoning_in_parts :])))
        if len(self._text) > self._text_in_parts:
            begun.append(Text(text="".join(self._text[self._text_in_parts :]), citations_json=citations_json))
        return begun

    def _add_to_choice(self, event: ContentEvent) -> None:
        choice = self.choices.setdefault(event.choice, Answer())
        if isinstance(event, ChoiceFinished):
            choice.reason = event.reason
        else:
            choice.add(msgspec.structs.replace(event, choice=0))

    def _add_tool_call(self, delta: ToolCallDelta) -> None:
        call = self._tool_calls.get(delta.index)
        if call is None:
            self._complete_parts()
            call = self._tool_calls[delta.index] = _ToolCallParts(len(self._parts))
        call.id = delta.id or call.id
        call.name = delta.name or call.name
        call.is_custom = delta.is_custom or call.is_custom
        call.arguments.append(delta.arguments_json_fragment)
        if delta.extra_json:
            call.extra_json = joined_extras(call.extra_json, delta.extra_json)
            call.origin = delta.origin or call.origin

    @property
    def text(self) -> str:
        """The answer's text so far."""
        return "".join(self._text)

    @property
    def logprobs_json(self) -> str:
        """The tokens of the text with their probabilities so far, a JSON array; '' where nobody told."""
        return joined_arrays(self.logprobs)

    @property
    def more(self) -> tuple[Answer, ...]:
        """The choices after the first so far, by number."""
        if not self.choices:
            return ()
        return tuple(choice for _, choice in sorted(self.choices.items()))

    @property
    def reasoning(self) -> str:
        """The reasoning trace so far."""
        return "".join(self._reasoning)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls so far, by index."""
        return tuple(self.tool_calls_by_index.values()) if self._tool_calls else ()

    @property
    def tool_calls_by_index(self) -> dict[int, ToolCall]:
        """The tool calls so far under their indices, which need not be without gaps."""
        if not self._tool_calls:
            return {}
        parts = self.parts
        # What came beside an answer without reasoning stands first.
        shift = 1 if self.extra_json and not any(isinstance(part, Reasoning) for part in self._parts) else 0
        return {
            index: ToolCall(
                id=call.id,
                name=call.name,
                arguments_json="".join(call.arguments),
                extra_json=call.extra_json,
                origin=call.origin,
                is_custom=call.is_custom,
                parts_before=None if call.parts_before + shift == len(parts) else call.parts_before + shift,
            )
            for index, call in sorted(self._tool_calls.items())
        }

    @property
    def parts(self) -> tuple[ContentPart, ...]:
        """The turn's parts so far, in their order; what came beside the reasoning is with the first of it."""
        parts = [*self._parts, *self._parts_begun()]
        if not self.extra_json:
            return tuple(parts)
        for index, part in enumerate(parts):
            if isinstance(part, Reasoning):
                parts[index] = msgspec.structs.replace(
                    part, extra_json=self.extra_json, origin=part.origin or self.origin
                )
                return tuple(parts)
        return (Reasoning(extra_json=self.extra_json, origin=self.origin), *parts)

    def message(self) -> Message:
        """Return the assistant's turn."""
        return Message(role=Role.ASSISTANT, parts=self.parts, tool_calls=self.tool_calls)
