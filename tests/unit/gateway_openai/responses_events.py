"""What a reader holds the events of a response to: every item is opened, filled and ended, and the end repeats it all."""

from __future__ import annotations

import json
from typing import Any

ENDS = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
SNAPSHOTS = {"response.created", "response.in_progress", *ENDS}
FIELDS = {
    "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id",
    "instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p",
    "presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "usage", "max_output_tokens",
    "max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier", "prompt_cache_key",
}  # fmt: skip
"""What Open Responses requires of every snapshot; those that follow are never null."""
NEVER_NULL = {
    "id", "object", "created_at", "status", "model", "output", "tools", "tool_choice", "truncation",
    "parallel_tool_calls", "text", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs", "temperature",
    "store", "background", "service_tier", "metadata",
}  # fmt: skip
_PIECES = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning_text",
    "response.reasoning_summary_text.delta": "summary_text",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}


def events_in(raw: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each framed as the vendor frames it."""
    *frames, done, rest = raw.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    told = [frame.split("\n") for frame in frames]
    events = [json.loads(data.removeprefix("data: ")) for _, data in told]
    assert [name.removeprefix("event: ") for name, _ in told] == [event["type"] for event in events]
    return events


def check_response(response: dict[str, Any]) -> None:
    """A response has all its members."""
    assert response.keys() >= FIELDS
    assert [name for name in NEVER_NULL if response[name] is None] == []
    if response["usage"] is not None:
        assert {"input_tokens_details", "output_tokens_details"} <= response["usage"].keys()
    items = response["output"]
    ids = [item["id"] for item in items]
    assert len(set(ids)) == len(ids)
    for item in items:
        if item["type"] == "reasoning":
            assert isinstance(item["summary"], list)
        elif item["type"] in ("message", "function_call", "custom_tool_call"):
            assert item["status"] in ("completed", "incomplete")


class Reader:
    """Puts items together as they come, and fails where one is not as it must be."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.open: dict[int, dict[str, Any]] = {}
        self.parts: dict[tuple[int, str, int], dict[str, Any]] = {}
        self.pieces: dict[tuple[int, str, int], str] = {}
        self.response: dict[str, Any] = {}

    def read(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """The response that a stream ends with."""
        kinds = [event["type"] for event in events]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert kinds[:2] == ["response.created", "response.in_progress"]
        assert sum(kind in ENDS for kind in kinds) == 1
        assert kinds[-1] in ENDS
        models = {event["response"]["model"] for event in events if event["type"] in SNAPSHOTS}
        assert len(models) == 1
        for event in events:
            self._take(event)
        assert not self.open
        assert not self.parts
        assert self.response["output"] == self.items
        return self.response

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind in SNAPSHOTS:
            self.response = event["response"]
            check_response(self.response)
            assert self.response["status"] == ENDS.get(kind, "in_progress")
        elif kind == "response.output_item.added":
            assert event["output_index"] == len(self.items)
            self.items.append(event["item"])
            self.open[event["output_index"]] = event["item"]
        elif kind == "response.output_item.done":
            self._end_item(event)
        elif kind != "error":
            self._fill(event)

    def _fill(self, event: dict[str, Any]) -> None:
        at, kind = event["output_index"], event["type"]
        assert self.open[at]["id"] == event["item_id"]
        if kind.endswith("part.added"):
            place = self._place(event)
            assert place not in self.parts
            self.parts[place], self.pieces[place] = event["part"], ""
        elif kind.endswith("part.done"):
            part = event["part"]
            told = part.get("text", part.get("refusal"))
            assert told == self.pieces.pop(self._place(event)) != ""
            del self.parts[self._place(event)]
        elif kind in _PIECES:
            assert event["delta"]
            place = (at, "", 0) if _PIECES[kind] in ("arguments", "input") else self._place(event)
            if place[1]:
                assert place in self.parts
            self.pieces[place] = self.pieces.get(place, "") + event["delta"]
        elif kind in ("response.function_call_arguments.done", "response.custom_tool_call_input.done"):
            told = event.get("arguments", event.get("input"))
            assert told == self.pieces.get((at, "", 0), "")
        elif kind == "response.output_text.annotation.added":
            assert self._place(event) in self.parts
        else:
            assert kind.endswith("text.done") or kind == "response.refusal.done", kind
            assert event.get("text", event.get("refusal")) == self.pieces[self._place(event)]

    def _place(self, event: dict[str, Any]) -> tuple[int, str, int]:
        name = "summary" if "summary_index" in event else "content"
        return event["output_index"], name, event[f"{name}_index"]

    def _end_item(self, event: dict[str, Any]) -> None:
        at, item = event["output_index"], event["item"]
        begun = self.open.pop(at)
        assert not [place for place in self.parts if place[0] == at]
        assert (begun.get("id"), begun["type"]) == (item.get("id"), item["type"])
        said = item.get("arguments", item.get("input"))
        if item["type"] in ("function_call", "custom_tool_call"):
            assert said == self.pieces.pop((at, "", 0), "")
            assert item["name"]
            assert item["call_id"]
            if item["type"] == "function_call" and item["status"] == "completed":
                json.loads(said)
        self.items[at] = item
