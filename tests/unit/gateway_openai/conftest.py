"""An HTTP server that answers with given bytes, and the vendor's unchanged SDK as its client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest


@dataclass
class AnsweringServer:
    """Answers every request with what is set here, and keeps the bodies it was sent."""

    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    received: list[bytes] = field(default_factory=list)
    base_url: str = ""

    def answer(self, body: bytes, content_type: bytes = b"application/json") -> None:
        """Answer 200 with the body from now on."""
        self.status, self.headers, self.body = 200, ((b"content-type", content_type),), body

    def stream(self, body: bytes) -> None:
        """Answer 200 with server-sent events from now on."""
        self.answer(body, b"text/event-stream; charset=utf-8")


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    answering = AnsweringServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answering.received.append(self.rfile.read(int(self.headers["content-length"])))
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            self.send_response(answering.status)
            for name, value in answering.headers:
                self.send_header(name.decode(), value.decode())
            self.end_headers()
            self.wfile.write(answering.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        answering.base_url = f"http://127.0.0.1:{http_server.server_port}/v1"
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield answering
        http_server.shutdown()
        thread.join()


@pytest.fixture
def sdk(server: AnsweringServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="psk_test") as client:
        yield client
