"""Asks again what a client asked, and says in a few words what was answered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp

Document = Mapping[str, Any]
KEY_IN_HEADERS = "KEY"
"""Stands in recordings where the key stood."""
_MOST, _BEGINNING = 300, 60


def packed(requests: list[dict[str, Any]]) -> Iterator[str]:
    """Yield requests as lines; what one has in its body as the one before it has is named alone, under ``as_before``."""
    before: Document = {}
    for request in requests:
        body = request["body"] or {}
        same = [
            name for name, value in body.items() if before.get(name) == value and len(json.dumps(value)) > _BEGINNING
        ]
        before = body
        own = {name: value for name, value in body.items() if name not in same}
        line = {**request, "body": own or None, "as_before": same} if same else request
        yield json.dumps(line, ensure_ascii=False)


def unpacked(lines: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the requests of lines."""
    before: Document = {}
    for request in map(json.loads, lines):
        same = {name: before[name] for name in request.pop("as_before", ())}
        if same:
            request["body"] = {**(request["body"] or {}), **same}
        before = request["body"] or {}
        yield request


async def asked_again(session: aiohttp.ClientSession, origin: str, recorded: Document, key: str) -> dict[str, Any]:
    """Return what is answered to a recorded request: its status, and the text, the calls and the end that it says."""
    headers = {name: value.replace(KEY_IN_HEADERS, key) for name, value in recorded["headers"].items()}
    body = None if recorded["body"] is None else json.dumps(recorded["body"]).encode()
    async with session.request(recorded["method"], origin + recorded["path"], data=body, headers=headers) as response:
        return {"status": response.status, **said_in(response.content_type, await response.read())}


def said_in(content_type: str, body: bytes) -> dict[str, Any]:
    """Return text, calls and end of an answer in any of the formats; of an error its type."""
    documents = list(_events(body.decode())) if content_type == "text/event-stream" else [json.loads(body or b"null")]
    said = _Said()
    for document in documents:
        said.take(document or {})
    # How much was said before an error is a matter of time.
    text = "" if said.end.startswith(("error", "failed")) else shortened(said.text)
    return {"text": text, "calls": said.calls, "end": said.end}


def shortened(text: str) -> str:
    """Return a text, of a long one its beginning and its length."""
    return text if len(text) <= _MOST else f"{text[:_BEGINNING]}… ({len(text)} characters)"


def _events(stream: str) -> Iterator[Any]:
    for line in stream.splitlines():
        if line.startswith("data: {"):
            yield json.loads(line[6:])


class _Said:
    def __init__(self) -> None:
        self.text, self.end = "", ""
        self.calls: list[str] = []

    def take(self, document: Document) -> None:
        """Take in a whole answer, or an event of one."""
        if error := document.get("error"):
            self.end = f"error {error.get('type')}"
        for choice in document.get("choices") or ():
            self._chat(choice.get("message") or choice.get("delta") or {}, choice.get("finish_reason"))
        for block in document.get("content") or ():
            self._block(block)
        self._event(document)
        # The last event of a Responses stream holds all of it.
        ended = document.get("response") if document.get("type") in _LAST else document
        for item in (ended or {}).get("output") or ():
            self._item(item)
        if (ended or {}).get("object") == "response":
            self.end = str((ended or {}).get("status"))
        delta = document.get("delta")
        ended_by = delta.get("stop_reason") if isinstance(delta, dict) else None
        self.end = str(document.get("stop_reason") or ended_by or self.end)

    def _chat(self, message: Document, finish: str | None) -> None:
        self.text += message.get("content") or ""
        for call in message.get("tool_calls") or ():
            self._call(call["function"].get("name"), call["function"].get("arguments") or "")
        self.end = finish or self.end

    def _block(self, block: Document) -> None:
        if block["type"] == "text":
            self.text += block["text"]
        elif block["type"] == "tool_use":
            self._call(block["name"], json.dumps(block["input"]))

    def _event(self, event: Document) -> None:
        if event.get("type") == "content_block_start" and event["content_block"]["type"] == "tool_use":
            self._call(event["content_block"]["name"], "")
        elif event.get("type") == "content_block_delta":
            self.text += event["delta"].get("text") or ""
            self._call(None, event["delta"].get("partial_json") or "")

    def _item(self, item: Document) -> None:
        if item["type"] == "message":
            self.text += "".join(part.get("text") or "" for part in item["content"])
        elif item["type"] == "function_call":
            self._call(item["name"], item["arguments"])

    def _call(self, name: str | None, arguments: str) -> None:
        if name:
            self.calls.append(f"{name} ")
        if arguments:
            self.calls[-1] += arguments


_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})
