"""One connection to an origin, and the exchange that is on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol, cast

from penstock_common.http.body import PIECE_BYTES, ArrivingBody, Body, PlainBody
from penstock_common.http.response import Response

_FIRST_REFUSAL = 300


_NOTHING: Iterator[bytes] = iter(())

Sent = Callable[[], None]
"""Told that all of a request is on its way."""


class Keeper(Protocol):
    """Who has the connections that are free."""

    def keep(self, connection: Connection) -> None:
        """Have it for the next request."""
        ...

    def lost(self, connection: Connection) -> None:
        """Forget it."""
        ...


class Connection(asyncio.Protocol):
    """Sends one request at a time; what comes belongs to that exchange, and what comes without one closes it.

    A large body goes out in pieces as the socket takes them. A server that
    refuses before it has read all of it is sent no more.
    """

    __slots__ = (
        "_arriving",
        "_following",
        "_keeper",
        "_loop",
        "_response",
        "_sent",
        "_spoilt",
        "_transport",
        "_unsent",
        "_write_paused",
        "kept_at",
    )

    def __init__(self, keeper: Keeper, loop: asyncio.AbstractEventLoop) -> None:
        self._keeper = keeper
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        # The next piece of a large body, and those behind it.
        self._unsent: bytes | memoryview | None = None
        self._following: Iterator[bytes | memoryview] = _NOTHING
        # A body of which more comes.
        self._arriving: ArrivingBody | None = None
        self._sent: Sent | None = None
        self._write_paused = False
        self._spoilt = False
        self.kept_at = 0.0
        """When it was last given back, on the loop's clock."""

    def begin(self, head: bytes, body: bytes | Body | ArrivingBody, sent: Sent | None = None) -> Response:
        """Send a request, and return the response, of which nothing has come yet; whoever has it releases it.

        ``sent`` is called when the last of the body is on its way.
        """
        response = self._response = Response(self, self._loop)
        try:
            self._send(head, body, sent)
        except BaseException:
            self.abort()
            response.release()
            raise
        return response

    @property
    def is_usable(self) -> bool:
        """Whether nothing is known to be wrong with it."""
        return self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """Close at once, whatever is on its way."""
        self._unsent = None
        self._stop_arriving()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        # uvloop's transports have the interface and not the class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand what came to its exchange."""
        response = self._response
        if response is None:
            self.abort()
            return
        response.feed(data)
        if self._unsent is not None and response.status >= _FIRST_REFUSAL:
            # What was sent is no whole request: nothing can follow it.
            self._unsent = None
            self._spoilt = True
        if self._arriving is not None and response.status >= _FIRST_REFUSAL:
            self._stop_arriving()

    def eof_received(self) -> None:
        """Tell the exchange; the transport closes itself."""
        if self._response is not None:
            self._response.end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the exchange and the keeper."""
        self._transport = None
        self._unsent = None
        self._stop_arriving()
        if self._response is not None:
            self._response.end(exc)
        self._keeper.lost(self)

    def pause_writing(self) -> None:
        """Send no further pieces for now."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Send further pieces."""
        self._write_paused = False
        self._send_pieces()
        self._send_arrived()

    def pause_reading(self) -> None:
        """Take nothing more from the socket."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def let_go(self, *, reusable: bool) -> None:
        """End the exchange."""
        self._response = self._sent = None
        self._following = _NOTHING
        self._stop_arriving()
        # Where something is unsent, writing is paused.
        if reusable and self.is_usable and not self._write_paused and not self._spoilt:
            self._keeper.keep(self)
        else:
            self.abort()

    def _send(self, head: bytes, body: bytes | Body | ArrivingBody, sent: Sent | None) -> None:
        if self._transport is None or not self.is_usable:
            self._lost_before()
        elif isinstance(body, ArrivingBody):
            self._sent, self._arriving = sent, body
            self._transport.write(head)
            body.begin(self._send_arrived)
        elif isinstance(body, bytes) and len(body) <= PIECE_BYTES:
            self._transport.write(head + body)
            if sent is not None:
                sent()
        else:
            self._sent = sent
            self._transport.write(head)
            self._following = (PlainBody(body) if isinstance(body, bytes) else body).pieces()
            self._unsent = next(self._following)
            self._send_pieces()

    def _send_pieces(self) -> None:
        while self._unsent is not None and self._transport is not None and not self._write_paused:
            piece, self._unsent = self._unsent, next(self._following, None)
            self._transport.write(piece)
            if self._unsent is None and self._sent is not None:
                self._sent()
                self._sent = None

    def _send_arrived(self) -> None:
        body = self._arriving
        while body is not None and self._transport is not None and not self._write_paused:
            piece = body.take()
            if piece is not None:
                self._transport.write(piece)
                continue
            if body.is_over:
                self._arriving = None
                if self._sent is not None:
                    self._sent()
                    self._sent = None
            return

    def _stop_arriving(self) -> None:
        """Take no more of a body; what was sent of it is no whole request, and nothing can follow it."""
        body, self._arriving = self._arriving, None
        if body is not None:
            self._spoilt = True
            body.stop()

    def _lost_before(self) -> None:
        assert self._response is not None, "of this exchange"
        self._response.end(None)
