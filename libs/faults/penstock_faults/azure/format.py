"""A script's answers as Azure OpenAI's documents: OpenAI's, with what its content filter says of prompt and answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from penstock_faults.http.format import Asked, Document, Failure, Reply, encoded, written
from penstock_faults.openai.format import ChatFormat, error_document
from penstock_faults.record import Seen
from penstock_faults.script import Error

_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)/")
_CATEGORIES = ("hate", "self_harm", "sexual", "violence")
_SAFE: Document = {name: {"filtered": False, "severity": "safe"} for name in _CATEGORIES}


class AzureFormat(ChatFormat):
    """Azure's deployments, each with a path of its own, and its v1 paths."""

    name = "azure"
    base_path = ""

    def answers(self, path: str) -> bool:
        """Return whether a path is one of its own."""
        return ("/openai/deployments/" in path or "/openai/v1/" in path) and super().answers(path)

    def asked(self, seen: Seen) -> Asked:
        """Return what a request asks for: of a deployment, whatever model the body names."""
        deployment = _DEPLOYMENT.search(seen.bare_path)
        asked = super().asked(seen)
        return asked if deployment is None else replace(asked, model=unquote(deployment[1]))

    def events(self, reply: Reply) -> Iterator[bytes]:
        """Yield a stream whose first event has what the filter says of the prompt."""
        prompt = {"prompt_index": 0, "content_filter_results": _SAFE}
        first = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": [prompt]}
        waiting = self.event(written(first))
        for piece in super().events(reply):
            yield waiting + piece
            waiting = b""

    def chunk(self, reply: Reply, delta: Mapping[str, Any], finish: str | None, usage: Document | None) -> Document:
        """Return one chunk of a stream."""
        document = super().chunk(reply, delta, finish, usage)
        document["choices"][0]["content_filter_results"] = _SAFE if delta.get("content") else {}
        return document

    def completion(self, reply: Reply) -> Document:
        """Return the answer in one piece, as a document."""
        document = super().completion(reply)
        document["choices"][0]["content_filter_results"] = _SAFE
        document["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": _SAFE}]
        return document

    def failure(self, error: Error, status: int, retry_after: str, asked: Asked) -> Failure:
        """Return an error in the place of an answer."""
        if error.code != "content_filter":
            return super().failure(error, status, retry_after, asked)
        found = {**_SAFE, "violence": {"filtered": True, "severity": "medium"}}
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": found}
        document = error_document(error)
        document["error"] |= {"param": "prompt", "status": status, "innererror": inner}
        return Failure(status, encoded(document))
