"""From the items and the deltas of one response to events."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from penstock_common.llm.encrypted_reasoning import EncryptedReasoning, hidden_of
from penstock_common.llm.types import (
    FinishReason,
    Opaque,
    OpaqueDelta,
    ReasoningDelta,
    StopDetails,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock_inference.adapters.providers.http.finish import BrokenOff, finish_reason_of
from penstock_inference.adapters.providers.openai_responses import wire
from penstock_inference.adapters.providers.openai_responses.errors import failure_of_response
from penstock_inference.adapters.providers.openai_responses.items import FORMAT
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, UpstreamEvent

MAX_OPAQUE_BYTES = 1024 * 1024
"""What the contract's opaque blocks hold."""
NO_ARGUMENTS = "{}"
_BETWEEN_SUMMARIES = "\n\n"
_MOST_TIER_CHARACTERS = 64
_CALLS = {"function_call": False, "custom_tool_call": True}
_INCOMPLETE = {
    "max_output_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
_encode = msgspec.json.Encoder().encode
_Events = list[UpstreamEvent]


class _Call(msgspec.Struct):
    """A call that has been told of; ``number`` counts over the whole answer."""

    number: int
    has_arguments: bool = False


class ResponseReader:
    """Reads one response. What an item's deltas have told already its end does not tell again."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}
        # The items whose text, or reasoning, came in pieces: by their place, with the last part of it that did.
        self._told: dict[int, int] = {}
        self._annotations: list[msgspec.Raw] = []
        self._annotated: set[int] = set()
        self._done: set[int] = set()

    def add(self, event: wire.Event, events: _Events) -> None:
        """Add what an event that is not a terminal one tells."""
        method = _METHODS.get(event.type)
        if method is not None:
            method(self, event, events)

    def finish(self, response: wire.Response, events: _Events) -> None:
        """Add what is left of the response at its end, its usage, and why it ended.

        Raises:
            AttemptFailed: for one that failed, or did not come to its end.
        """
        if response.status in ("failed", "cancelled") or (response.error and bytes(response.error) != b"null"):
            raise failure_of_response(response.error)
        for place, raw in enumerate(response.output or ()):
            self._end_item(place, raw, events)
        self._tell_annotations(events)
        reason, word = self._reason_of(response)
        if response.usage is not None:
            events.append(_usage_of(response.usage))
        tier = (response.service_tier or "")[:_MOST_TIER_CHARACTERS]
        events.append(Stopped(reason, service_tier=tier, details=StopDetails(word=word) if word else None))

    def _reason_of(self, response: wire.Response) -> tuple[FinishReason, str]:
        if response.status == "incomplete":
            word = (response.incomplete_details.reason if response.incomplete_details else "") or "incomplete"
            try:
                return _INCOMPLETE.get(word) or finish_reason_of(word) or FinishReason.LENGTH, word
            except BrokenOff:
                raise AttemptFailed(FailureKind.CUT, f"the upstream broke off with {word[:40]!r}") from None
        if response.status not in (None, "completed"):
            raise AttemptFailed(FailureKind.CUT, f"the upstream's answer is {response.status[:40]!r}")
        return (FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP), ""

    def add_text(self, event: wire.Event, events: _Events) -> None:
        """Add text."""
        if event.delta:
            self._told[event.output_index] = event.content_index
            told = _encode(event.logprobs).decode() if event.logprobs else ""
            events.append(TextDelta(text=event.delta, logprobs_json=told))

    def add_refusal(self, event: wire.Event, events: _Events) -> None:
        """Add text of a refusal."""
        if event.delta:
            self._told[event.output_index] = event.content_index
            events.append(TextDelta(text=event.delta, is_refusal=True))

    def add_annotation(self, event: wire.Event, events: _Events) -> None:
        """Keep what the text refers to until its part ends."""
        del events
        if event.annotation:
            self._annotations.append(event.annotation)
            self._annotated.add(event.output_index)

    def end_part(self, event: wire.Event, events: _Events) -> None:
        """Tell what the text of a part refers to."""
        del event
        self._tell_annotations(events)

    def add_summary(self, event: wire.Event, events: _Events) -> None:
        """Add to the summary of what was reasoned."""
        self._add_reasoning(event.output_index, event.summary_index, event.delta or "", events)

    def add_raw_reasoning(self, event: wire.Event, events: _Events) -> None:
        """Add what was reasoned, where it is shown."""
        self._add_reasoning(event.output_index, event.content_index, event.delta or "", events)

    def _add_reasoning(self, place: int, part: int, text: str, events: _Events) -> None:
        if text:
            is_next = self._told.get(place, part) != part
            self._told[place] = part
            events.append(ReasoningDelta(text=f"{_BETWEEN_SUMMARIES}{text}" if is_next else text))

    def begin_item(self, event: wire.Event, events: _Events) -> None:
        """Begin a call; other items begin with their content."""
        kind = wire.type_in(event.item)
        if kind in _CALLS:
            self._begin_call(event.output_index, wire.item_in(event.item), events)

    def _begin_call(self, place: int, item: wire.Item, events: _Events) -> _Call:
        known = self._calls.get(place)
        if known is not None:
            return known
        call = self._calls[place] = _Call(len(self._calls))
        said = item.input or item.arguments or ""
        call.has_arguments = bool(said)
        events.append(
            ToolCallDelta(
                index=call.number,
                id=item.call_id or item.id or "",
                name=item.name or "",
                arguments_json_fragment=said,
                is_custom=_CALLS[item.type],
            )
        )
        return call

    def add_arguments(self, event: wire.Event, events: _Events) -> None:
        """Add to a call's arguments.

        Raises:
            AttemptFailed: MALFORMED, where the call has not begun.
        """
        call = self._calls.get(event.output_index)
        if call is None:
            raise AttemptFailed(FailureKind.MALFORMED, "the upstream sent arguments of a call that it did not begin")
        if event.delta:
            call.has_arguments = True
            events.append(ToolCallDelta(index=call.number, arguments_json_fragment=event.delta))

    def end_arguments(self, event: wire.Event, events: _Events) -> None:
        """Add the arguments of a call that came in no pieces."""
        call = self._calls.get(event.output_index)
        said = event.arguments or event.input
        if call is not None and said and not call.has_arguments:
            call.has_arguments = True
            events.append(ToolCallDelta(index=call.number, arguments_json_fragment=said))

    def add_item(self, event: wire.Event, events: _Events) -> None:
        """End an item."""
        self._end_item(event.output_index, event.item, events)

    def _end_item(self, place: int, raw: msgspec.Raw, events: _Events) -> None:
        """Add what of a complete item has not been told."""
        if place in self._done:
            return
        self._done.add(place)
        kind = wire.type_in(raw)
        if kind == "message":
            self._end_message(place, wire.item_in(raw), events)
        elif kind == "reasoning":
            self._end_reasoning(place, wire.item_in(raw), events)
        elif kind in _CALLS:
            self._end_call(place, wire.item_in(raw), events)
        elif kind and len(bytes(raw)) > MAX_OPAQUE_BYTES:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent a larger item than can be kept")
        elif kind:
            events.append(OpaqueDelta(block=Opaque(format=FORMAT, json=bytes(raw).decode())))

    def _end_message(self, place: int, item: wire.Item, events: _Events) -> None:
        for part in item.content or ():
            if place not in self._told:
                told = _encode(part.logprobs).decode() if part.logprobs else ""
                text, is_refusal = (part.refusal, True) if part.type == "refusal" else (part.text, False)
                if text:
                    events.append(TextDelta(text=text, logprobs_json=told, is_refusal=is_refusal))
            if place not in self._annotated:
                self._annotations += part.annotations or ()
                if place not in self._told:
                    self._tell_annotations(events)
        self._tell_annotations(events)

    def _end_reasoning(self, place: int, item: wire.Item, events: _Events) -> None:
        if place not in self._told:
            for number, part in enumerate(item.summary or item.content or ()):
                self._add_reasoning(place, number, part.text or "", events)
        if item.encrypted_content:
            reasoning = EncryptedReasoning(id=item.id or "", encrypted_content=item.encrypted_content)
            events.append(ReasoningDelta(hidden=hidden_of(reasoning)))

    def _end_call(self, place: int, item: wire.Item, events: _Events) -> None:
        call = self._begin_call(place, item, events)
        said = item.input or item.arguments or ("" if _CALLS[item.type] else NO_ARGUMENTS)
        if said and not call.has_arguments:
            call.has_arguments = True
            events.append(ToolCallDelta(index=call.number, arguments_json_fragment=said))

    def _tell_annotations(self, events: _Events) -> None:
        if self._annotations:
            told = ",".join([bytes(annotation).decode() for annotation in self._annotations])
            self._annotations = []
            events.append(TextDelta(text="", citations_json=f"[{told}]"))


_METHODS: dict[str, Callable[[ResponseReader, wire.Event, _Events], None]] = {
    "response.output_text.delta": ResponseReader.add_text,
    "response.refusal.delta": ResponseReader.add_refusal,
    "response.output_text.annotation.added": ResponseReader.add_annotation,
    "response.content_part.done": ResponseReader.end_part,
    "response.reasoning_summary_text.delta": ResponseReader.add_summary,
    "response.reasoning_text.delta": ResponseReader.add_raw_reasoning,
    # Open Responses' name for it.
    "response.reasoning.delta": ResponseReader.add_raw_reasoning,
    "response.output_item.added": ResponseReader.begin_item,
    "response.function_call_arguments.delta": ResponseReader.add_arguments,
    "response.custom_tool_call_input.delta": ResponseReader.add_arguments,
    "response.function_call_arguments.done": ResponseReader.end_arguments,
    "response.custom_tool_call_input.done": ResponseReader.end_arguments,
    "response.output_item.done": ResponseReader.add_item,
}
CONTENT_EVENTS = frozenset(_METHODS)
"""The types of events that tell of a part of the answer."""


def _usage_of(counts: wire.UsageCounts) -> Usage:
    sent = counts.input_tokens_details or wire.InputDetails()
    came = counts.output_tokens_details or wire.OutputDetails()
    return Usage(
        input_tokens=counts.input_tokens or 0,
        output_tokens=counts.output_tokens or 0,
        cached_input_tokens=sent.cached_tokens or 0,
        cache_write_input_tokens=sent.cache_write_tokens or 0,
        reasoning_tokens=came.reasoning_tokens or 0,
    )
