"""Recorded streams of the Responses API, event by event, and what a whole answer of the same is."""

from __future__ import annotations

import json
from typing import Any

BASE: dict[str, Any] = {
    "id": "resp_1", "object": "response", "created_at": 1700000000, "model": "m", "parallel_tool_calls": True,
    "tool_choice": "auto", "tools": [], "instructions": None, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
    "error": None, "incomplete_details": None,
}  # fmt: skip
USAGE = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 8},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 9},
    "total_tokens": 50,
}
REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Look first."}, {"type": "summary_text", "text": "Then say."}],
    "encrypted_content": "gAAAwhole",
}
ANNOTATION = {"type": "url_citation", "start_index": 0, "end_index": 2, "title": "T", "url": "https://a"}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Größe: 5 🙂", "annotations": [ANNOTATION]}],
}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
LOOK = {
    "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": '{"city":"Ås"}',
    "status": "completed",
}  # fmt: skip
BARE = {
    "type": "function_call",
    "id": "fc_2",
    "call_id": "call_2",
    "name": "bare",
    "arguments": "",
    "status": "completed",
}
RUN = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_3", "name": "run", "input": "ls -l"}
REFUSAL = {
    "type": "message", "id": "msg_2", "status": "completed", "role": "assistant",
    "content": [{"type": "refusal", "refusal": "I will not."}],
}  # fmt: skip


def response(status: str, output: list[Any], **more: Any) -> dict[str, Any]:
    """Return a response."""
    return {**BASE, "status": status, "output": output, "usage": USAGE, "service_tier": "default", **more}


def numbered(events: list[dict[str, Any]]) -> list[bytes]:
    """Return the events' frames, as OpenAI writes them."""
    return [
        b"event: %b\ndata: %b\n\n" % (
            event["type"].encode(),
            json.dumps({**event, "sequence_number": number}, ensure_ascii=False).encode(),
        )
        for number, event in enumerate(events)
    ]  # fmt: skip


def of_reasoning(place: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a reasoning item."""
    where = {"item_id": item["id"], "output_index": place}
    # What is there of the content at the beginning is not the content.
    told = [added(place, {**item, "summary": [], "encrypted_content": "gAAA"})]
    for number, part in enumerate(item["summary"]):
        at = {**where, "summary_index": number}
        half = len(part["text"]) // 2
        told += [
            {"type": "response.reasoning_summary_part.added", **at, "part": {"type": "summary_text", "text": ""}},
            {"type": "response.reasoning_summary_text.delta", **at, "delta": part["text"][:half]},
            {"type": "response.reasoning_summary_text.delta", **at, "delta": part["text"][half:]},
            {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]},
            {"type": "response.reasoning_summary_part.done", **at, "part": part},
        ]
    return [*told, done(place, item)]


def of_message(place: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a message of one part."""
    (part,) = item["content"]
    where = {"item_id": item["id"], "output_index": place, "content_index": 0}
    kind, text = ("refusal", part["refusal"]) if part["type"] == "refusal" else ("output_text", part["text"])
    beside = {} if kind == "refusal" else {"logprobs": []}
    began = {**part, "refusal" if kind == "refusal" else "text": ""}
    cited = [
        {"type": "response.output_text.annotation.added", **where, "annotation_index": number, "annotation": annotation}
        for number, annotation in enumerate(part.get("annotations", ()))
    ]
    return [
        added(place, {**item, "content": [], "status": "in_progress"}),
        {"type": "response.content_part.added", **where, "part": began},
        *[{"type": f"response.{kind}.delta", **where, "delta": word, **beside} for word in (text[:4], text[4:])],
        *cited,
        {"type": f"response.{kind}.done", **where, "refusal" if kind == "refusal" else "text": text, **beside},
        {"type": "response.content_part.done", **where, "part": part},
        done(place, item),
    ]


def of_call(place: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a call."""
    member = "input" if item["type"] == "custom_tool_call" else "arguments"
    kind = "custom_tool_call_input" if member == "input" else "function_call_arguments"
    said = item[member]
    where = {"item_id": item["id"], "output_index": place}
    deltas = [{"type": f"response.{kind}.delta", **where, "delta": one} for one in (said[:3], said[3:]) if one]
    named = {} if member == "input" else {"name": item["name"]}
    return [
        added(place, {**item, member: ""}),
        *deltas,
        {"type": f"response.{kind}.done", **where, member: said, **named},
        done(place, item),
    ]


def added(place: int, item: dict[str, Any]) -> dict[str, Any]:
    """Return the event that begins an item."""
    return {"type": "response.output_item.added", "output_index": place, "item": item}


def done(place: int, item: dict[str, Any]) -> dict[str, Any]:
    """Return the event that ends an item."""
    return {"type": "response.output_item.done", "output_index": place, "item": item}


def begun() -> list[dict[str, Any]]:
    """Return the first events."""
    first = {**response("in_progress", []), "usage": None}
    return [{"type": "response.created", "response": first}, {"type": "response.in_progress", "response": first}]


def ended(status: str, output: list[Any], **more: Any) -> dict[str, Any]:
    """Return the terminal event."""
    return {"type": f"response.{status}", "response": response(status, output, **more)}


def stream(output: list[dict[str, Any]], status: str = "completed", **more: Any) -> list[bytes]:
    """Return the frames of an answer of these items."""
    events = begun()
    for place, item in enumerate(output):
        kind = item["type"]
        if kind == "reasoning":
            events += of_reasoning(place, item)
        elif kind == "message":
            events += of_message(place, item)
        elif kind.endswith("tool_call") or kind == "function_call":
            events += of_call(place, item)
        else:
            events += [added(place, {**item, "status": "in_progress"}), done(place, item)]
    return numbered([*events, ended(status, output, **more)])


ALL = [SEARCH, REASONING, MESSAGE, LOOK, BARE, RUN]
