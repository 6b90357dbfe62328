"""Plain HTTP for the probes of an orchestrator, which has no certificate: `/healthz` and `/readyz`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import CancelledError, Future
from contextlib import asynccontextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from penstock_common.rpc.server import ListenError

PATIENCE_SECONDS = 4.0
"""What the event loop may take to say a word: less than an orchestrator's probe may, so that the answer says why."""
_REQUEST_SECONDS = 5.0
_END_POLL_SECONDS = 0.05


class Standing:
    """What a process says of itself while it listens."""

    def __init__(self) -> None:
        self.is_ready = False
        """Whether to send it work: not before it accepts some, and not while it ends."""


@asynccontextmanager
async def answering_probes(address: str) -> AsyncGenerator[Standing, None]:
    """Answer on ``host:port`` while the context is open; nowhere if it is empty.

    `/healthz` is 200 while the event loop runs what it is given, whatever has become of the world around: a lost database is
    no reason to start a process again. `/readyz` is 200 while the process accepts work, too. Nothing else is told.

    Raises:
        ListenError: if the address is taken or not ours.
    """
    standing = Standing()
    if not address:
        yield standing
        return
    host, _, port = address.rpartition(":")
    try:
        server = _Server((host.strip("[]"), int(port)), asyncio.get_running_loop(), standing)
    except OSError as error:
        raise ListenError(f"cannot listen on {address} (services.probes_listen): {error.strerror}") from None
    thread = Thread(target=server.serve_forever, args=(_END_POLL_SECONDS,), name="probes", daemon=True)
    thread.start()
    try:
        yield standing
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


class _Server(ThreadingHTTPServer):
    """A thread for each probe, so that one that waits for a loop that stands keeps none from being answered."""

    def __init__(self, address: tuple[str, int], loop: asyncio.AbstractEventLoop, standing: Standing) -> None:
        super().__init__(address, _Probe)
        self._loop = loop
        self._standing = standing

    def look(self) -> tuple[bool, bool]:
        """Return whether the loop runs, and whether the process accepts work, as the loop sees it."""
        answer: Future[bool] = Future()
        try:
            self._loop.call_soon_threadsafe(lambda: answer.set_result(self._standing.is_ready))
            return True, answer.result(PATIENCE_SECONDS)
        except (TimeoutError, CancelledError, RuntimeError):
            # A loop that stands, or that is closed.
            return False, False


class _Probe(BaseHTTPRequestHandler):
    """One connection."""

    timeout = _REQUEST_SECONDS
    server_version = "penstock"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a probe."""
        if self.path not in {"/healthz", "/readyz"}:
            self._say(HTTPStatus.NOT_FOUND, "/healthz or /readyz")
            return
        server = self.server
        assert isinstance(server, _Server)
        is_alive, is_ready = server.look()
        if not is_alive:
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, "the event loop stands")
        elif self.path == "/readyz" and not is_ready:
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, "NOT_SERVING")
        else:
            self._say(HTTPStatus.OK, "ok" if self.path == "/healthz" else "SERVING")

    def _say(self, status: HTTPStatus, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing: a probe every few seconds is no news."""
