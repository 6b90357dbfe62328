"""One connection: its requests one after another, each in a task of its own, and what becomes of it in the end."""

from __future__ import annotations

import asyncio
import math
from contextvars import Context
from typing import Protocol, cast

import structlog

from penstock_common.errors import InvalidRequest, PeerNotPermitted
from penstock_common.peers import Guestlist
from penstock_gateway.surfaces.http1.failures import BodyTooSlow, Refused
from penstock_gateway.surfaces.http1.limits import HttpLimits
from penstock_gateway.surfaces.http1.lines import CONTINUE
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.http1.reading import RequestReader

_NEVER = math.inf

_log = structlog.get_logger(__name__)


class Handler(Protocol):
    """What answers requests."""

    async def handle(self, request: HttpRequest, response: HttpResponse) -> None:
        """Answer one request; cancelled if its client leaves before the answer is complete."""
        ...

    def refusal(self, status: int, message: str) -> tuple[bytes, bytes]:
        """Return the header lines and the body that tell why a request cannot be handled, or could not."""
        ...


class Shared(Protocol):
    """What the connections of one server share."""

    handler: Handler
    limits: HttpLimits
    guests: Guestlist | None
    """Who may come, by the names in their certificates; None for everybody."""
    now: float
    """The loop's time at the last tick, in seconds."""
    standing_lines: bytes
    """Header lines of every answer, among them the date."""
    is_ending: bool
    context: Context
    """What requests start from."""
    tasks: set[asyncio.Task[None]]
    """Of requests that are answered, or were, and have something left to do."""

    def joined(self, connection: Connection) -> None:
        """See a client come."""
        ...

    def left(self, connection: Connection) -> None:
        """See one go."""
        ...


class Connection(asyncio.Protocol):
    """Serves one client's requests in their order. ``expire`` is due at ``expires_at``, by the server's clock."""

    __slots__ = (
        "_asked_at", "_drained", "_is_closing", "_is_paused", "_loop", "_reader", "_request",
        "_transport", "expires_at", "has_room", "is_lost", "refused", "shared", "task",
    )  # fmt: skip

    def __init__(self, shared: Shared, loop: asyncio.AbstractEventLoop) -> None:
        self.task: asyncio.Task[None] | None = None
        """Of the request that waits for its answer."""
        self.is_lost = False
        self.has_room = True
        self.refused: Refused | None = None
        """Why no further request can be read."""
        self.expires_at = shared.now + shared.limits.idle_seconds
        self.shared = shared
        self._loop = loop
        self._reader = RequestReader(self, shared.limits)
        self._transport: asyncio.Transport
        self._request: HttpRequest | None = None
        self._drained: asyncio.Future[None] | None = None
        self._asked_at = 0.0
        self._is_closing = False
        self._is_paused = False

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet a client."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self.shared.limits.max_unsent_bytes)
        self.shared.joined(self)
        if self.shared.guests is not None:
            self._look_at(self.shared.guests)

    def _look_at(self, guests: Guestlist) -> None:
        """Have whoever may not come here told so, whatever they ask."""
        shown = self._transport.get_extra_info("peercert") or {}
        try:
            guests.admit(name for kind, name in shown.get("subjectAltName", ()) if kind in ("DNS", "URI"))
        except PeerNotPermitted as refusal:
            _log.warning("peer_not_permitted", peer=refusal.peer, address=self.peer())
            self._reader.close(Refused(403, refusal.message))

    def connection_lost(self, exc: Exception | None) -> None:
        """See the client leave: a request whose answer is not complete is cancelled."""
        self.is_lost = True
        self.shared.left(self)
        self._make_room(is_room=False)
        self._reader.let_go()
        # It knows where it was raised.
        self.refused = None
        if self.task is not None:
            # One that has not begun yet ends without a step of its own.
            self.task.add_done_callback(self._let_go)
            self.task.cancel()

    def _let_go(self, task: asyncio.Task[None]) -> None:
        """Forget a request that nobody waits for: it refers to its connection, and its body may be large."""
        self.shared.tasks.discard(task)
        self.task = self._request = None

    def eof_received(self) -> None:
        """Take the end of what the client sends for its leaving: nothing tells the two apart (docs/adr/0011)."""

    def pause_writing(self) -> None:
        """Have the handler wait for the client to read."""
        self.has_room = False
        self.expires_at = self.shared.now + self.shared.limits.write_seconds

    def resume_writing(self) -> None:
        """Have it go on."""
        self._make_room(is_room=True)
        if not self._is_closing:
            self.expires_at = _NEVER if self.task is not None else self.shared.now + self.shared.limits.idle_seconds

    def data_received(self, data: bytes) -> None:
        """Take in what the client sends."""
        if self._is_closing or self.refused is not None:
            return
        reader = self._reader
        try:
            reader.feed(data)
        except Refused as refused:
            self._refuse(refused)
        if self.task is None:
            self._begin_next()
        elif reader.arrived:
            self._pause_reading()
        elif reader.incoming is not None and not reader.incoming.is_awaited:
            self._bound_unwanted(reader.incoming)

    # What requests and responses ask of it.

    def peer(self) -> str:
        """Return the address at the other end; empty on a unix socket."""
        name = self._transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else ""

    def expect_body(self) -> None:
        """Let the rest of the running request's body come."""
        request = self._request
        assert request is not None, "a body without a request"
        if request.expects_continue and not request.received_bytes:
            request.expects_continue = False
            self.send(CONTINUE)
        self._resume_reading()
        self._asked_at = self.shared.now
        self.expires_at = self._asked_at + self.shared.limits.body_seconds

    def expect_more(self) -> None:
        """Let more of the running request's body come: the time for it counts from when it was first asked for."""
        self._resume_reading()
        # The next tick finds how long that still is.
        self.expires_at = self.shared.now

    def send(self, data: bytes) -> None:
        """Send at once, or nothing if the client has left."""
        if not self.is_lost:
            self._transport.write(data)

    async def room(self) -> None:
        """Wait until more may be sent."""
        if not self.is_lost:
            self._drained = self._loop.create_future()
            await self._drained

    # One request after another.

    def _begin_next(self) -> None:
        arrived = self._reader.arrived
        if self.shared.is_ending:
            self._close()
        elif arrived:
            request = self._request = arrived.pop(0)
            if self.has_room:
                self.expires_at = _NEVER
            if self._is_paused and not arrived:
                self._resume_reading()
            self.task = self._loop.create_task(self._serve(request, HttpResponse(request, self)))
            self.shared.tasks.add(self.task)
        elif self.refused is not None:
            self._send_refusal(self.refused)
        else:
            self._wait_for_more()

    async def _serve(self, request: HttpRequest, response: HttpResponse) -> None:
        task = self.task
        try:
            await self.shared.handler.handle(request, response)
            if not response.is_complete:
                _log.error("unfinished_answer", method=request.method, path=request.path)
        except asyncio.CancelledError:
            if not self.is_lost:
                # The server ends, and waits no longer.
                self._cut(response, 503, "This server is shutting down. Try again.")
                raise
        except Exception as error:  # noqa: BLE001 - the rim: nothing of it may reach the client
            _log.error("unexpected_error", exc_info=error)
        finally:
            self._cut(response, 500, "Internal error. Give the request id to the operator.")
            if task is not None:
                self.shared.tasks.discard(task)

    def _cut(self, response: HttpResponse, status: int, message: str) -> None:
        """End an answer that failed, so that nobody takes it for a good one; one that is complete stays as it is."""
        if response.is_complete or self.is_lost:
            return
        if response.is_begun:
            self._transport.abort()
        else:
            lines, body = self.shared.handler.refusal(status, message)
            response.whole(status, lines, body)

    def answered(self) -> None:
        """Go on to the next request; what the handler still does is its own business."""
        request, self._request = self._request, None
        self.task = None
        if request is None or self.is_lost:
            return
        if not request.is_complete:
            self._linger()
        elif not request.keeps_alive or self.shared.is_ending:
            self._close()
        elif self._reader.arrived:
            # Not in the context of the request before it.
            self.shared.context.run(self._begin_next)
        else:
            self._wait_for_more()

    def _wait_for_more(self) -> None:
        now, limits = self.shared.now, self.shared.limits
        if self._is_paused:
            self._resume_reading()
        if self._reader.is_inside_head:
            # From its first byte on; what comes next buys no time.
            self.expires_at = min(self.expires_at, now + limits.head_seconds)
        elif self.has_room:
            self.expires_at = now + limits.idle_seconds

    def _refuse(self, refused: Refused) -> None:
        self.refused = refused
        reader = self._reader
        if reader.incoming is not None:
            # Whoever waits for its body is told.
            reader.incoming.fail(InvalidRequest(refused.message))
        elif reader.arrived and not reader.arrived[-1].keeps_alive:
            # Bytes behind a last request: it is not known whose they are, and nothing was done for it yet.
            reader.arrived.pop()

    def _send_refusal(self, refused: Refused) -> None:
        lines, body = self.shared.handler.refusal(refused.status, refused.message)
        # Whatever it was, it has not come to its end.
        self._request = HttpRequest("", "", {}, self, 0)
        HttpResponse(self._request, self).whole(refused.status, lines, body)

    # Room on both ways.

    def _bound_unwanted(self, request: HttpRequest) -> None:
        if request.unread_bytes > self.shared.limits.max_unwanted_bytes:
            self._pause_reading()

    def _pause_reading(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def _make_room(self, *, is_room: bool) -> None:
        self.has_room = is_room
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # The end.

    def expire(self) -> None:
        """Act on the time that is over."""
        request = self._request
        if self._is_closing or not self.has_room:
            # It does not read, or does not go.
            self._transport.abort()
        elif request is not None:
            self._expire_body(request)
        elif self._reader.is_inside_head:
            self.refused = Refused(408, "The request's head did not arrive in time.")
            self._send_refusal(self.refused)
        else:
            self._close()

    def _expire_body(self, request: HttpRequest) -> None:
        limits = self.shared.limits
        earned = request.received_bytes / limits.body_min_bytes_per_second
        self.expires_at = self._asked_at + limits.body_seconds + earned
        if not request.is_awaited:
            self.expires_at = _NEVER
        elif self.expires_at <= self.shared.now:
            self.expires_at = _NEVER
            request.fail(BodyTooSlow("The request's body did not arrive in time."))

    def drain(self) -> None:
        """Close, now or after the answer that is on its way."""
        if self.task is None:
            self._close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self.expires_at = self.shared.now + self.shared.limits.write_seconds
            self._transport.close()

    def _linger(self) -> None:
        """Close in a way that lets a client read the answer that is still sending."""
        self._is_closing = True
        self.expires_at = self.shared.now + self.shared.limits.linger_seconds
        self._resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
