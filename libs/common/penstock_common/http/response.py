"""One answer as it arrives: parsed by llhttp, bounded, and paused where its reader is slower than its sender."""

from __future__ import annotations

import asyncio
from typing import Protocol

import httptools

from penstock_common.http.failures import ConnectionCut, HttpFailure, NotHttp

MAX_HEAD_BYTES = 64 * 1024
"""Bound on the status line and all headers, and on what may come without a byte of the body: further interim answers,
chunk lines, trailers."""
MAX_HEADERS = 256
MAX_HEADER_BYTES = 16 * 1024
"""Bound on one header, name and value."""
MAX_INTERIM_ANSWERS = 8
"""Answers of status 1xx before the answer."""
HIGH_WATER_BYTES = 256 * 1024
"""So much of the body waits for its reader; what comes on top is one read of the loop's, 256 KiB at most."""

_FIRST_FINAL_STATUS = 200
_SWITCHING_PROTOCOLS = 101
_WITHOUT_BODY = (204, 304)


class Carrier(Protocol):
    """The connection that an answer arrives on."""

    def pause_reading(self) -> None:
        """Take nothing more from the socket."""
        ...

    def resume_reading(self) -> None:
        """Go on."""
        ...

    def let_go(self, *, reusable: bool) -> None:
        """End the exchange: keep the connection for the next, or close it at once."""
        ...


class Response:
    """Whoever has it reads it, and calls ``release`` whatever happened.

    ``status`` is 0 until the head has come. ``headers`` has lower-case names;
    lines of one name are joined by commas. Methods named ``on_`` are the parser's.
    """

    __slots__ = (
        "_carrier",
        "_chunks",
        "_complete",
        "_ends_with_connection",
        "_error",
        "_foreign_from",
        "_head_bytes",
        "_interim_answers",
        "_keep_alive",
        "_loop",
        "_parser",
        "_paused",
        "_raw_headers",
        "_received_bytes",
        "_silent_bytes",
        "_surplus",
        "_waiter",
        "_waiting_bytes",
        "began",
        "on_body",
        "status",
    )

    def __init__(self, carrier: Carrier, loop: asyncio.AbstractEventLoop) -> None:
        self._carrier: Carrier | None = carrier
        self._loop = loop
        self._raw_headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._interim_answers = 0
        self._keep_alive = False
        self._ends_with_connection = False
        self._chunks: list[bytes] = []
        # The parser calls this for every piece of a body, of which a stream has hundreds: so it fills the list itself.
        self.on_body = self._chunks.append
        # Where, in what has come at once, another answer's pieces begin.
        self._foreign_from = 0
        # With what frames them: a little more than waits.
        self._waiting_bytes = 0
        # What came since the last byte of the body, or since the beginning.
        self._silent_bytes = 0
        self._complete = False
        # Bytes after the answer's end, which nobody asked for.
        self._surplus = False
        self._error: HttpFailure | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._received_bytes = 0
        self.began = False
        """Whether a byte has come."""
        self.status = 0
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    @property
    def headers(self) -> dict[str, str]:
        """All headers, decoded."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._raw_headers.items()}

    @property
    def body_bytes(self) -> int:
        """About how much of the body has come; 0 where nothing has."""
        return self._received_bytes and max(1, self._received_bytes - self._head_bytes)

    def header(self, name: bytes) -> str:
        """Return the value of the header with this lower-case name; empty where there is none."""
        return self._raw_headers.get(name, b"").decode("latin-1")

    @property
    def at_end(self) -> bool:
        """Whether the body has come to its end and has been read."""
        return self._complete and not self._chunks

    async def begun(self) -> Response:
        """Return itself once the head has come.

        Raises:
            ConnectionCut, NotHttp: if none does. This and a cancellation close the connection at once.
        """
        try:
            while not self.status and self._error is None:
                await self._arrival()
        except BaseException:
            self.abort()
            raise
        if self._error is not None and not self.status:
            self.abort()
            raise self._error
        return self

    async def read(self) -> bytes:
        """Return what has come of the body since the last call, waiting for it; nothing at its end.

        Raises:
            ConnectionCut, NotHttp: if it does not come to its end; first comes what was whole.
        """
        while not self._chunks:
            if self._complete:
                return b""
            if self._error is not None:
                raise self._error
            await self._arrival()
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._waiting_bytes = 0
        if self._paused and self._error is None and self._carrier is not None:
            self._paused = False
            self._carrier.resume_reading()
        return data

    async def read_up_to(self, most_bytes: int) -> bytes:
        """Return the body where it is no longer than ``most_bytes``, else that much of it and one byte more."""
        data = await self.read()
        if self.at_end and len(data) <= most_bytes:
            return data
        body = bytearray(data)
        while len(body) <= most_bytes and (data := await self.read()):
            body += data
        return bytes(body[: most_bytes + 1])

    def abort(self) -> None:
        """Close the connection at once."""
        self._keep_alive = False
        self.release()

    def release(self) -> None:
        """Keep the connection where the answer has come to its end, close it at once where it has not."""
        # It refers back to us: without this, every answer would be the garbage collector's.
        self._parser = None
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.let_go(reusable=self._complete and self._keep_alive and not self._surplus)

    def feed(self, data: bytes) -> None:
        """Take what the connection brought."""
        parser = self._parser
        if parser is None or self._error is not None:
            return
        self.began = True
        waited = self._foreign_from = len(self._chunks)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._refuse(str(error))
        if self._surplus:
            del self._chunks[self._foreign_from :]
        if self._complete or len(self._chunks) > waited:
            size = len(data)
            self._silent_bytes = 0
            self._waiting_bytes += size
            self._received_bytes += size
        else:
            self._silent_bytes += len(data)
            if self._silent_bytes > MAX_HEAD_BYTES:
                self._refuse("a head, a chunk's line or trailers of more than 64 KiB")
        self._wake()
        too_much = self._waiting_bytes > HIGH_WATER_BYTES or self._error is not None
        # Of a whole answer nothing more comes, and the connection may be another's before it is read.
        if too_much and not self._complete and not self._paused and self._carrier is not None:
            self._paused = True
            self._carrier.pause_reading()

    def end(self, error: BaseException | None) -> None:
        """Take it that the connection has ended, by an error or in order."""
        if not self._complete and self._error is None:
            if self.status and self._ends_with_connection and error is None:
                self._complete = True
            else:
                self._error = ConnectionCut(str(error or "the server closed the connection"), began=self.began)
        self._wake()

    def on_message_begin(self) -> None:
        """Begin an answer, an interim one or the answer."""
        if self._complete:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer, which says nothing that we ask for."""
        size = len(name) + len(value)
        self._head_bytes += size + 4
        if size > MAX_HEADER_BYTES or self._head_bytes > MAX_HEAD_BYTES:
            self._refuse("headers larger than their bounds")
        elif not self.status and not self._complete:
            name = name.lower()
            headers = self._raw_headers
            headers[name] = b"%b, %b" % (headers[name], value) if name in headers else value

    def on_headers_complete(self) -> None:
        """Take the head as whole."""
        parser = self._parser
        if parser is None or self._complete or self._error is not None:
            return
        if len(self._raw_headers) > MAX_HEADERS:
            self._refuse("more headers than 256")
            return
        status = parser.get_status_code()
        if status < _FIRST_FINAL_STATUS:
            self._interim_answers += 1
            if status == _SWITCHING_PROTOCOLS or self._interim_answers > MAX_INTERIM_ANSWERS:
                self._refuse(f"an answer of status {status} that nobody asked for")
            self._raw_headers.clear()
            return
        encoding = self._raw_headers.get(b"transfer-encoding")
        if encoding is not None and encoding.lower() != b"chunked":
            self._refuse("a transfer encoding that was not asked for")
            return
        self._keep_alive = parser.should_keep_alive()
        self._ends_with_connection = (
            encoding is None and b"content-length" not in self._raw_headers and status not in _WITHOUT_BODY
        )
        self.status = status

    def on_message_complete(self) -> None:
        """Take the answer as whole, if it was the answer."""
        if self.status and self._error is None and not self._complete:
            self._complete = True
            self._foreign_from = len(self._chunks)

    def _refuse(self, why: str) -> None:
        """Let the answer fail, unless it is whole and only something after it is wrong."""
        if self._complete:
            self._surplus = True
        elif self._error is None:
            self._error = NotHttp(why)

    def _arrival(self) -> asyncio.Future[None]:
        self._waiter = self._loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
