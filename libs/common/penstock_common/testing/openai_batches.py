"""A real HTTP server that has OpenAI's files and batches beside its chat completions, well or badly, as a test asks.

    async with OpenAIBatchUpstream() as upstream:
        upstream.hold()
        ...  # begin a batch at upstream.base_url
        upstream.finish()

What is queued by ``enqueue`` meets the next requests of any kind, before they are looked at.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from penstock_common.testing.openai_answers import Answer, Behaviour, Body, End, NoResponse
from penstock_common.testing.openai_upstream import OpenAIUpstream, RecordedRequest

LineAnswer = Callable[[dict[str, Any]], dict[str, Any] | bytes | None]
"""What a line of a batch comes to, by the line: a line of the output, bytes that stand in its place, or nothing."""
_COUNTED_STATES = ("completed", "expired", "cancelled")


def completed(line: dict[str, Any], text: str = "Hello", status: int = 200) -> dict[str, Any]:
    """Return how a line is told that was answered: with a completion that says ``text``, or an error of another status."""
    model = line["body"]["model"]
    body: Any = {"error": {"message": text, "type": "invalid_request_error"}}
    if status == 200:
        body = json.loads(b"".join(Answer(tokens=[text]).completion(model).frames))
    told = {"status_code": status, "request_id": "req_1", "body": body}
    return {"id": f"batch_req_{line['custom_id']}", "custom_id": line["custom_id"], "response": told, "error": None}


@dataclass
class HeldBatch:
    """A batch as the server has it."""

    id: str
    asked: dict[str, Any]
    lines: list[dict[str, Any]]
    status: str = "in_progress"
    created_at: int = field(default_factory=lambda: int(time.time()))
    output: str | None = None
    errors: str | None = None
    faults: list[dict[str, Any]] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """Return the object of the API."""
        is_counted = self.status in _COUNTED_STATES
        return {
            "id": self.id, "object": "batch", "endpoint": self.asked["endpoint"], "status": self.status,
            "input_file_id": self.asked["input_file_id"], "completion_window": "24h", "created_at": self.created_at,
            "output_file_id": self.output, "error_file_id": self.errors, "metadata": self.asked.get("metadata"),
            "errors": {"object": "list", "data": self.faults} if self.faults else None,
            "request_counts": {"total": len(self.lines), "completed": len(self.lines) if is_counted else 0, "failed": 0},
        }  # fmt: skip


class OpenAIBatchUpstream(OpenAIUpstream):
    """Serves while it is entered. Batches are done at once, unless they are held."""

    def __init__(self) -> None:
        super().__init__()
        self.answer_line: LineAnswer = completed
        self.batches: dict[str, HeldBatch] = {}
        self.files: dict[str, bytes] = {}
        self.otherwise = self._answer
        self._ids = itertools.count(1)
        self._is_held = self._loses_answers = False

    def settings(self, name: str, *, context_window: int = 4096, **more: Any) -> dict[str, Any]:
        """Return the entry of ``upstreams:``; its batches cost half."""
        price, half = {"input": "0.15", "output": "0.60"}, {"input": "0.075", "output": "0.30"}
        model = {"name": "m", "context_window": context_window, "price": price, "service_tiers": {"batch": half}}
        told: dict[str, Any] = {"batches": True, "models": [model], **more}
        return super().settings(name, context_window=context_window, **told)

    def hold(self) -> None:
        """Have batches stay as they are until ``finish``."""
        self._is_held = True

    def finish(self, status: str = "completed") -> None:
        """End all batches that are open, and those that come."""
        self._is_held = False
        for batch in self.batches.values():
            if batch.status in ("in_progress", "cancelling"):
                self._end(batch, status)

    def lose_answers(self) -> None:
        """Have batches begin, and nobody be told so, until ``find_answers``."""
        self._loses_answers = True

    def find_answers(self) -> None:
        """Have whoever begins a batch be told so again."""
        self._loses_answers = False

    def refuse(self, *faults: str) -> None:
        """Have the batches that are open be refused as a whole."""
        for batch in self.batches.values():
            batch.status, batch.faults = "failed", [{"code": "invalid", "message": fault} for fault in faults]

    def completions(self) -> Sequence[RecordedRequest]:
        """Return the requests that came one by one."""
        return [request for request in self.requests if request.path.endswith("/chat/completions")]

    def lines_of_all(self) -> Sequence[str]:
        """Return the names of all lines that came in batches, each as often as it came."""
        return [line["custom_id"] for batch in self.batches.values() for line in batch.lines]

    def _end(self, batch: HeldBatch, status: str) -> None:
        told = [self.answer_line(line) for line in batch.lines]
        batch.output = self._kept(b"".join(_as_line(one) for one in told if one is not None and not _is_error(one)))
        batch.errors = self._kept(b"".join(_as_line(one) for one in told if one is not None and _is_error(one)))
        batch.status = status

    def _kept(self, content: bytes) -> str | None:
        if not content:
            return None
        name = f"file-{next(self._ids)}"
        self.files[name] = content
        return name

    def _answer(self, request: RecordedRequest) -> Behaviour:
        url = urlsplit(request.path)
        path = url.path.removeprefix("/v1")
        first, *rest = path.strip("/").split("/")
        if first == "files":
            return self._file(request, rest)
        if first != "batches":
            return Answer()
        if not rest:
            return self._begun(request) if request.method == "POST" else self._listed(parse_qs(url.query))
        batch = self.batches.get(rest[0])
        if batch is None:
            return _json({"error": {"message": f"No batch {rest[0]}", "type": "invalid_request_error"}}, 404)
        if rest[1:] == ["cancel"]:
            if batch.status != "in_progress":
                return _json({"error": {"message": "It has ended.", "type": "invalid_request_error"}}, 400)
            batch.status = "cancelling"
        return _json(batch.told())

    def _file(self, request: RecordedRequest, rest: list[str]) -> Behaviour:
        if not rest:
            name = self._kept(_content_of(request)) or ""
            return _json({"id": name, "object": "file", "purpose": "batch"})
        content = self.files.get(rest[0])
        if content is None:
            return _json({"error": {"message": f"No file {rest[0]}"}}, 404)
        return Body(frames=[content], content_type="application/jsonl")

    def _begun(self, request: RecordedRequest) -> Behaviour:
        asked = request.body
        lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        batch = HeldBatch(f"batch_{next(self._ids)}", asked, lines)
        self.batches[batch.id] = batch
        if not self._is_held:
            self._end(batch, "completed")
        return NoResponse(end=End.RESET) if self._loses_answers else _json(batch.told())

    def _listed(self, query: dict[str, list[str]]) -> Behaviour:
        newest = [*reversed(self.batches.values())]
        if after := query.get("after"):
            newest = newest[[batch.id for batch in newest].index(after[0]) + 1 :]
        limit = int(query["limit"][0])
        told = [batch.told() for batch in newest[:limit]]
        return _json({"object": "list", "data": told, "has_more": len(newest) > limit})


def _json(value: dict[str, Any], status: int = 200) -> Body:
    return Body(frames=[json.dumps(value).encode()], content_type="application/json", status=status)


def _as_line(told: dict[str, Any] | bytes) -> bytes:
    return told if isinstance(told, bytes) else json.dumps(told).encode() + b"\n"


def _is_error(told: dict[str, Any] | bytes) -> bool:
    return isinstance(told, dict) and (told["error"] is not None or told["response"]["status_code"] != 200)


def _content_of(request: RecordedRequest) -> bytes:
    """Return the file of a form."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    for part in request.raw_body.split(b"--" + boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if b'name="file"' in head:
            return content.removesuffix(b"\r\n")
    raise AssertionError("a form without a file")
