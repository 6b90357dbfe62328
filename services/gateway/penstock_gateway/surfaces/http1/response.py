"""One answer, as a handler gives it."""

from __future__ import annotations

from typing import Protocol

from penstock_gateway.surfaces.http1.lines import CHUNKED_LINE, CLOSE_LINE, STATUS_LINES
from penstock_gateway.surfaces.http1.request import HttpRequest

_END_OF_CHUNKS = b"0\r\n\r\n"


class Shared(Protocol):
    """What the answers of one server have in common."""

    standing_lines: bytes
    """Header lines of every answer, among them the date."""
    is_ending: bool


class Receiver(Protocol):
    """The connection that an answer goes to."""

    has_room: bool
    """Whether more of an answer may be sent now."""

    @property
    def shared(self) -> Shared:
        """What all answers have in common."""
        ...

    @property
    def refused(self) -> Exception | None:
        """Why no further request can be read."""
        ...

    def send(self, data: bytes) -> None:
        """Send at once, or nothing if the client has left."""
        ...

    async def room(self) -> None:
        """Wait until more may be sent."""
        ...

    def answered(self) -> None:
        """Go on to the next request; what the handler still does is its own business."""
        ...


class HttpResponse:
    """Either ``whole``, or ``begin``, any number of ``write`` and ``end``. Head lines are bytes that end in CR LF.

    The head of a stream travels with its first bytes. After the last ones a
    client that leaves cancels nothing any more.
    """

    __slots__ = ("_head", "_is_chunked", "_receiver", "_request", "is_begun", "is_complete")

    def __init__(self, request: HttpRequest, receiver: Receiver) -> None:
        self.is_begun = False
        """Whether the head is decided, and no other answer possible."""
        self.is_complete = False
        """Whether nothing is left to be sent."""
        self._request = request
        self._receiver = receiver
        self._head = b""
        self._is_chunked = False

    @property
    def has_room(self) -> bool:
        """Whether ``write`` would not have to wait for the client."""
        return self._receiver.has_room

    def whole(self, status: int, lines: bytes, body: bytes) -> None:
        """Send the whole answer in one write."""
        self.is_begun = self.is_complete = True
        head = self._head_of(status, lines)
        sent = b"" if self._request.method == "HEAD" else body
        self._receiver.send(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), sent))
        self._receiver.answered()

    def begin(self, status: int, lines: bytes) -> None:
        """Decide the head of an answer whose length is not known yet."""
        self.is_begun = True
        request = self._request
        if not request.takes_chunks:
            request.keeps_alive = False
        self._is_chunked = request.takes_chunks and request.method != "HEAD"
        chunked = CHUNKED_LINE if request.takes_chunks else b""
        self._head = b"%b%b\r\n" % (self._head_of(status, lines), chunked)

    async def write(self, data: bytes) -> None:
        """Send the next bytes, once the client has made room for them."""
        receiver = self._receiver
        if not receiver.has_room:
            await receiver.room()
        if self._head or not data:
            self.push(data)
        else:
            receiver.send(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else self._unframed(data))

    def push(self, data: bytes) -> None:
        """Send the next bytes, whether there is room for them or not."""
        head, self._head = self._head, b""
        self._receiver.send(head + self._framed(data))

    def end(self, data: bytes = b"") -> None:
        """Send the last bytes in one write with the answer's end; waits for nobody."""
        self.is_complete = True
        head, self._head = self._head, b""
        end = _END_OF_CHUNKS if self._is_chunked else b""
        self._receiver.send(b"%b%b%b" % (head, self._framed(data), end))
        self._receiver.answered()

    def _framed(self, data: bytes) -> bytes:
        # An empty chunk would be the last.
        return b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked and data else self._unframed(data)

    def _unframed(self, data: bytes) -> bytes:
        return b"" if self._request.method == "HEAD" else data

    def _head_of(self, status: int, lines: bytes) -> bytes:
        request, receiver, shared = self._request, self._receiver, self._receiver.shared
        if not request.is_complete or receiver.refused is not None or shared.is_ending:
            # What is still to come of the body is of no use, and would have to be read before the next request.
            request.keeps_alive = False
        closing = b"" if request.keeps_alive else CLOSE_LINE
        return b"%b%b%b%b" % (STATUS_LINES[status], shared.standing_lines, lines, closing)
