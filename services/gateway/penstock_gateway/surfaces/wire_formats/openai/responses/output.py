"""The items of one answer as they come, each step told in OpenAI's order.

Every item is opened before it is filled, and ended before or when the answer is; ``output_index`` counts without a gap. A whole
answer is made by the same steps, told to nobody, so that it says what a stream of it does.
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from penstock_common.llm.encrypted_reasoning import is_encrypted
from penstock_common.llm.extras import joined_extras
from penstock_common.llm.types import GenerationEvent, OpaqueDelta, ReasoningDelta, TextDelta, ToolCallDelta
from penstock_gateway.surfaces.wire_formats.openai.responses.annotations import annotations_of
from penstock_gateway.surfaces.wire_formats.openai.responses.encrypted import Sealed, encrypted_content
from penstock_gateway.surfaces.wire_formats.openai.responses.form import ResponseForm
from penstock_gateway.surfaces.wire_formats.openai.responses.items import FORMAT

Item = dict[str, Any]
Tell = Callable[[str, dict[str, Any]], None]
"""Takes an event's type without ``response.``, and its members."""
_LOGPROBS = msgspec.json.Decoder(list[dict[str, Any]])
_COMPLETED, _INCOMPLETE, _IN_PROGRESS = "completed", "incomplete", "in_progress"
_NO_ARGUMENTS = "{}"


def told_to_nobody(kind: str, members: dict[str, Any]) -> None:
    """Tell nothing: the items are all that is wanted."""
    del kind, members


class _Part(msgspec.Struct):
    """A part of a message, open: its pieces, and what belongs to them."""

    is_refusal: bool
    place: dict[str, Any]
    pieces: list[str]
    annotations: list[dict[str, Any]]
    logprobs: list[dict[str, Any]]
    cited: int = 0
    """Characters before the text that the next citations are of."""


class _Call(msgspec.Struct):
    """A call that is open."""

    item: Item
    place: dict[str, Any]
    pieces: list[str]
    extra_json: str = ""
    origin: str = ""


class Output:
    """The items of one answer; ``name`` is what their ids are made of."""

    def __init__(self, name: str, form: ResponseForm, tell: Tell = told_to_nobody) -> None:
        self.items: list[Item | msgspec.Raw] = []
        self._name = name
        self._form = form
        self._tell = tell
        self._message: Item | None = None
        self._part: _Part | None = None
        self._reasoning: Item | None = None
        self._thought: list[str] = []
        self._extra_json = self._extra_origin = ""
        self._calls: dict[int, _Call] = {}
        self._ended: set[int] = set()
        self._numbered = 0
        self._place: dict[str, Any] = {}

    @property
    def open_text(self) -> tuple[dict[str, Any], list[str]] | None:
        """Where a piece of text that nothing is beside would go, and the pieces before it; None where it opens something."""
        part = self._part
        return None if part is None or part.is_refusal else (part.place, part.pieces)

    def add(self, event: GenerationEvent) -> None:
        """Take the next event in; those that are no content are not looked at."""
        if isinstance(event, TextDelta):
            self._add_text(event)
        elif isinstance(event, ToolCallDelta):
            self._add_call(event)
        elif isinstance(event, ReasoningDelta):
            self._add_reasoning(event)
        elif isinstance(event, OpaqueDelta) and event.block.format == FORMAT:
            self._end_all()
            self._open(msgspec.Raw(event.block.json.encode()))
            self._end(msgspec.Raw(event.block.json.encode()))

    def end(self, *, is_whole: bool) -> None:
        """End what is open; of an answer that is not whole the last item is not either."""
        last = len(self.items) - 1
        self._end_all(_COMPLETED if is_whole else _INCOMPLETE, last)
        if self._extra_json and self._form.with_encrypted:
            self._tell_sealed(Sealed(origin=self._extra_origin, extra_json=self._extra_json))

    # Text.

    def _add_text(self, event: TextDelta) -> None:
        part = self._part
        if event.text:
            if part is None or part.is_refusal is not event.is_refusal:
                part = self._begin_part(event.is_refusal)
            part.pieces.append(event.text)
            told: dict[str, Any] = {**part.place, "delta": event.text}
            if not event.is_refusal:
                logprobs = _LOGPROBS.decode(event.logprobs_json) if self._tells_logprobs(event) else []
                part.logprobs += logprobs
                told["logprobs"] = logprobs
            self._tell("refusal.delta" if event.is_refusal else "output_text.delta", told)
        if event.citations_json and part is not None and not part.is_refusal:
            self._annotate(part, event.citations_json)

    def _tells_logprobs(self, event: TextDelta) -> bool:
        return self._form.with_logprobs and bool(event.logprobs_json)

    def _annotate(self, part: _Part, citations_json: str) -> None:
        length = sum(map(len, part.pieces))
        for annotation in annotations_of(citations_json, part.cited, length):
            self._tell(
                "output_text.annotation.added",
                {**part.place, "annotation_index": len(part.annotations), "annotation": annotation},
            )
            part.annotations.append(annotation)
        part.cited = length

    def _begin_part(self, is_refusal: bool) -> _Part:
        if self._message is None:
            self._end_reasoning(Sealed())
            self._end_whole_calls(custom=True)
            message = {"id": self._new_id("msg"), "type": "message", "status": _IN_PROGRESS, "role": "assistant"}
            self._message = self._open({**message, "content": []})
            places = 0
        else:
            self._end_part()
            places = len(self._message["content"])
        place = {**self._place, "content_index": places}
        self._part = part = _Part(is_refusal, place, [], [], [])
        self._tell("content_part.added", {**place, "part": self._shown(part)})
        return part

    def _shown(self, part: _Part) -> dict[str, Any]:
        text = "".join(part.pieces)
        if part.is_refusal:
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": part.annotations, "logprobs": part.logprobs}

    def _end_part(self) -> None:
        part, message = self._part, self._message
        if part is None or message is None:
            return
        shown = self._shown(part)
        if part.is_refusal:
            self._tell("refusal.done", {**part.place, "refusal": shown["refusal"]})
        else:
            self._tell("output_text.done", {**part.place, "text": shown["text"], "logprobs": part.logprobs})
        self._tell("content_part.done", {**part.place, "part": shown})
        message["content"].append(shown)
        self._part = None

    # Reasoning.

    def _add_reasoning(self, event: ReasoningDelta) -> None:
        if event.extra_json:
            self._extra_json = joined_extras(self._extra_json, event.extra_json)
            self._extra_origin = event.origin or self._extra_origin
        if event.hidden and self._reasoning is not None and not is_encrypted(event.hidden):
            self._end_reasoning(Sealed())
        if not (event.text or event.hidden or event.signature):
            return
        if self._reasoning is None:
            self._end_text_and_reasoning()
            self._end_whole_calls(custom=True)
            self._reasoning = self._open({"id": self._new_id("rs"), "type": "reasoning", "summary": []})
        if event.text:
            self._add_thought(event.text)
        if event.signature or event.hidden:
            text = "".join(self._thought) if event.signature else ""
            self._end_reasoning(Sealed(event.origin, text, event.signature, event.hidden))

    def _add_thought(self, text: str) -> None:
        is_first = not self._thought
        self._thought.append(text)
        if self._form.with_summary:
            place = {**self._place, "summary_index": 0}
            if is_first:
                part = {"type": "summary_text", "text": ""}
                self._tell("reasoning_summary_part.added", {**place, "part": part})
            self._tell("reasoning_summary_text.delta", {**place, "delta": text})
            return
        place = {**self._place, "content_index": 0}
        if is_first:
            self._tell("content_part.added", {**place, "part": {"type": "reasoning_text", "text": ""}})
        self._tell("reasoning_text.delta", {**place, "delta": text})

    def _end_reasoning(self, sealed: Sealed, status: str = _COMPLETED) -> None:
        item = self._reasoning
        if item is None:
            return
        if self._thought:
            self._end_thought(item, "".join(self._thought))
        if self._form.with_encrypted and (sealed.signature or sealed.hidden or self._extra_json):
            sealed.extra_json, self._extra_json = self._extra_json, ""
            sealed.origin = sealed.origin or self._extra_origin
            if sealed.extra_json and not sealed.text:
                sealed.text = "".join(self._thought)
            item["encrypted_content"] = encrypted_content(sealed)
        if status != _COMPLETED:
            item["status"] = status
        self._end(item)
        self._reasoning, self._thought = None, []

    def _end_thought(self, item: Item, text: str) -> None:
        if self._form.with_summary:
            place, part = {**self._place, "summary_index": 0}, {"type": "summary_text", "text": text}
            self._tell("reasoning_summary_text.done", {**place, "text": text})
            self._tell("reasoning_summary_part.done", {**place, "part": part})
            item["summary"] = [part]
            return
        place, part = {**self._place, "content_index": 0}, {"type": "reasoning_text", "text": text}
        self._tell("reasoning_text.done", {**place, "text": text})
        self._tell("content_part.done", {**place, "part": part})
        item["content"] = [part]

    def _tell_sealed(self, sealed: Sealed) -> None:
        """Add an item of reasoning of which nothing is shown."""
        item = self._open({"id": f"rs_{self._name}_s{len(self.items)}", "type": "reasoning", "summary": []})
        item["encrypted_content"] = encrypted_content(sealed)
        self._end(item)

    # Calls.

    def _add_call(self, event: ToolCallDelta) -> None:
        call = self._calls.get(event.index)
        if call is None:
            if event.index in self._ended:
                # It was whole: what comes is blanks.
                return
            call = self._begin_call(event)
        elif event.extra_json:
            call.extra_json = joined_extras(call.extra_json, event.extra_json)
            call.origin = event.origin or call.origin
        if event.arguments_json_fragment:
            self._add_arguments(call, event.arguments_json_fragment)

    def _begin_call(self, event: ToolCallDelta) -> _Call:
        self._end_text_and_reasoning()
        self._end_whole_calls()
        call_id = event.id or f"call_{self._name}_{len(self._calls) + len(self._ended)}"
        if event.extra_json and self._form.with_encrypted:
            self._tell_sealed(Sealed(origin=event.origin, extra_json=event.extra_json, call_id=call_id))
        if event.is_custom:
            item: Item = {"id": self._new_id("ctc"), "type": "custom_tool_call", "status": _IN_PROGRESS}
            item |= {"call_id": call_id, **self._named(event.name), "input": ""}
        else:
            item = {"id": self._new_id("fc"), "type": "function_call", "status": _IN_PROGRESS}
            item |= {"call_id": call_id, **self._named(event.name), "arguments": ""}
        self._open(item)
        call = self._calls[event.index] = _Call(item, self._place, [])
        return call

    def _named(self, name: str) -> dict[str, str]:
        within = self._form.namespaces.get(name)
        return {"name": name} if within is None else {"namespace": within[0], "name": within[1]}

    def _add_arguments(self, call: _Call, piece: str) -> None:
        call.pieces.append(piece)
        kind = "custom_tool_call_input" if "input" in call.item else "function_call_arguments"
        self._tell(f"{kind}.delta", {**call.place, "delta": piece})

    def _end_call(self, index: int, status: str) -> None:
        call = self._calls[index]
        if "arguments" in call.item:
            if not "".join(call.pieces).strip() and status == _COMPLETED:
                self._add_arguments(call, _NO_ARGUMENTS)
            said = "".join(call.pieces)
            call.item["arguments"] = said
            self._tell("function_call_arguments.done", {**call.place, "arguments": said, "name": call.item["name"]})
        else:
            said = "".join(call.pieces)
            call.item["input"] = said
            self._tell("custom_tool_call_input.done", {**call.place, "input": said})
        call.item["status"] = status
        del self._calls[index]
        self._ended.add(index)
        self._end(call.item, call.place)
        if call.extra_json and self._form.with_encrypted:
            sealed = Sealed(origin=call.origin, extra_json=call.extra_json, call_id=call.item["call_id"])
            self._tell_sealed(sealed)

    def _end_whole_calls(self, *, custom: bool = False) -> None:
        """End the calls whose arguments are whole; nothing tells of free text that it is: ``custom`` takes it for that."""
        for index, call in list(self._calls.items()):
            if is_whole("".join(call.pieces)) if "arguments" in call.item else custom:
                self._end_call(index, _COMPLETED)

    # Items.

    def _open(self, item: Any) -> Any:
        self._place = {"item_id": item["id"] if isinstance(item, dict) else "", "output_index": len(self.items)}
        self.items.append(item)
        self._tell("output_item.added", {"output_index": len(self.items) - 1, "item": item})
        return item

    def _end(self, item: Item | msgspec.Raw, place: dict[str, Any] | None = None) -> None:
        index = (place or self._place)["output_index"]
        self._tell("output_item.done", {"output_index": index, "item": item})

    def _end_all(self, status: str = _COMPLETED, last: int = -1) -> None:
        """End all that is open; ``status`` is that of the item whose number is ``last``."""
        self._end_text_and_reasoning(status if last == len(self.items) - 1 else _COMPLETED)
        for index, call in list(self._calls.items()):
            is_cut = status != _COMPLETED and (
                not is_whole("".join(call.pieces)) if "arguments" in call.item else call.place["output_index"] == last
            )
            self._end_call(index, _INCOMPLETE if is_cut else _COMPLETED)

    def _end_text_and_reasoning(self, status: str = _COMPLETED) -> None:
        if self._message is not None:
            self._end_part()
            self._message["status"] = status
            self._end(self._message)
            self._message = None
        self._end_reasoning(Sealed(), status)

    def _new_id(self, prefix: str) -> str:
        # What proves reasoning is told or not, and counts for itself: other items have the same ids either way.
        self._numbered += 1
        return f"{prefix}_{self._name}_{self._numbered - 1}"


def is_whole(arguments: str) -> bool:
    """Return whether a call's arguments are one JSON text; where nothing has come something may."""
    try:
        msgspec.json.decode(arguments, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def output_of(events: Sequence[GenerationEvent], name: str, form: ResponseForm, *, is_whole: bool) -> Output:
    """Return the items of an answer that is there already."""
    output = Output(name, form)
    for event in events:
        output.add(event)
    output.end(is_whole=is_whole)
    return output
