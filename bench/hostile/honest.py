"""An honest caller, in a process of its own: asks, looks at the answer, reads for a moment, asks again, until it is ended.

Run: python -m hostile.honest. Standard input has one job; each request becomes a line of standard output. Nothing is
asked twice: what fails, fails.
"""

from __future__ import annotations

import json
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection

import msgspec

from hostile.job import Asked, HonestJob

ANSWER = "A short answer."
_PATH = "/v1/chat/completions"
# So that every question is asked, and what Redis has more afterwards is not theirs.
_UNCACHED = {"x-penstock-cache": "no-store"}
_SERVER_KEEPS_SECONDS = 30.0


class OverHttp:
    """Asks over a connection that it keeps, as SDKs do."""

    def __init__(self, job: HonestJob) -> None:
        self._job = job
        self._stream = job.way == "stream"
        self._serial = 0
        self._connection: HTTPConnection | None = None
        self._used_at = 0.0

    def ask(self) -> str:
        """Return what is wrong with the answer."""
        self._serial += 1
        question = {"role": "user", "content": f"What is the capital of France? ({self._job.key[-6:]} {self._serial})"}
        body = json.dumps({"model": self._job.model, "messages": [question], "stream": self._stream})
        headers = {"authorization": f"Bearer {self._job.key}", "content-type": "application/json", **_UNCACHED}
        connection = self._connected()
        connection.request("POST", _PATH, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        self._used_at = time.monotonic()
        if response.status != 200:
            return f"{response.status} {text[:200]}"
        is_whole = ANSWER in text and ("[DONE]" in text) is self._stream
        return "" if is_whole else f"not the answer: {text[-200:]}"

    def forget(self) -> None:
        """Let the connection go, after a fault."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> HTTPConnection:
        if self._connection is None or time.monotonic() - self._used_at > _SERVER_KEEPS_SECONDS:
            self.forget()
            self._connection = self._opened()
        return self._connection

    def _opened(self) -> HTTPConnection:
        target, patience = self._job.target, self._job.patience_seconds
        if target.ca:
            context = ssl.create_default_context(cafile=target.ca)
            return HTTPSConnection(target.http, timeout=patience, context=context)
        return HTTPConnection(target.http, timeout=patience)


class OverGrpc:
    """Asks for streams over one channel."""

    def __init__(self, job: HonestJob) -> None:
        # The other callers do without it, and start in a tenth of the time.
        from hostile.grpc_weapons import channel_to, chat_request

        self._job = job
        self._call = channel_to(job.target).unary_stream("/penstock.gateway.v1.ChatService/StreamChat")
        self._request = chat_request(job.model, "What is the capital of France?").SerializeToString()

    def ask(self) -> str:
        """Return what is wrong with the answer."""
        import grpc

        metadata = (("authorization", f"Bearer {self._job.key}"), *_UNCACHED.items())
        try:
            pieces = self._call(self._request, metadata=metadata, timeout=self._job.patience_seconds)
            text = b"".join(pieces)
        except grpc.RpcError as error:
            return f"{error.code().name} {error.details()}"[:200]
        return "" if ANSWER.encode() in text else "not the answer"

    def forget(self) -> None:
        """Keep the channel: it connects anew by itself."""


def work(job: HonestJob, tell: Callable[[Asked], None]) -> None:
    """Ask without end."""
    caller = OverGrpc(job) if job.way == "grpc" else OverHttp(job)
    while True:
        began = time.monotonic()
        try:
            fault = caller.ask()
        except (OSError, HTTPException) as error:
            fault = repr(error)
        if fault:
            caller.forget()
        tell(Asked(began, time.monotonic(), fault))
        time.sleep(job.pause_seconds)


def main() -> None:
    """Do the job that standard input has."""
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=HonestJob)

    def tell(asked: Asked) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(asked) + b"\n")
        sys.stdout.buffer.flush()

    with suppress(BrokenPipeError, KeyboardInterrupt):
        work(job, tell)


if __name__ == "__main__":
    main()
