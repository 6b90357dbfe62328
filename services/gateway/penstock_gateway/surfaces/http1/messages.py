"""One request and its answer, as a handler sees them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import NoReturn, Protocol

from penstock_common.errors import PenstockError
from penstock_gateway.surfaces.http1.failures import BodyTooLarge, UnsupportedEncoding
from penstock_gateway.surfaces.http1.inflating import INFLATED_PIECE_BYTES, inflated_pieces
from penstock_gateway.surfaces.http1.lines import CHUNKED_LINE, CLOSE_LINE, STATUS_LINES

FREE_BYTES = 64 * 1024
"""Of each body; what is beyond is asked for."""
_END_OF_CHUNKS = b"0\r\n\r\n"


class Sender(Protocol):
    """The connection that a request comes on."""

    def expect_body(self) -> None:
        """Let the rest of the running request's body come."""
        ...

    def expect_more(self) -> None:
        """Let more of a body come that was asked for before; its time goes on."""
        ...

    def peer(self) -> str:
        """Return the address at the other end; empty on a unix socket."""
        ...


class Room(Protocol):
    """What holds bodies while they come, and as long as it likes afterwards."""

    def expect(self, size_bytes: int) -> None:
        """Look forward to so many bytes; raises PenstockError where there is no room for them now."""
        ...

    def hold(self, size_bytes: int) -> None:
        """Hold so many bytes of the body in all; raises PenstockError where there is no room for them."""
        ...


class HttpRequest:
    """A request whose head is complete: headers by lower-case name, of a repeated one the first.

    The body is complete, and bounded, once ``body`` has returned it.
    """

    __slots__ = (
        "_failure", "_is_given_up", "_is_streamed", "_max_body_bytes", "_passed", "_received", "_room", "_sender", "_waiting", "announced_bytes", "deployment",
        "expects_continue", "headers", "is_complete", "keeps_alive", "method", "path", "takes_chunks",
        "target",
    )  # fmt: skip

    def __init__(self, method: str, path: str, headers: Mapping[str, str], sender: Sender, max_body_bytes: int) -> None:
        self.method = method
        self.path = path
        """Decoded, without the query."""
        self.target = b""
        """As it was sent, with the query."""
        self.headers = headers
        self.deployment = ""
        """The model that the path names, where it does and the body need not."""
        self.is_complete = False
        """Whether all of its body has come."""
        self.keeps_alive = True
        """Whether the connection may stay open after the answer."""
        self.takes_chunks = True
        """Whether the answer's length may stay open; HTTP/1.0 does not know how."""
        self.expects_continue = False
        """Whether the client waits for a word before it sends the body."""
        self.announced_bytes = 0
        """How long the body is to be, where the head says so."""
        self._sender = sender
        self._max_body_bytes = max_body_bytes
        self._room: Room | None = None
        self._received: bytes | bytearray = b""
        self._failure: PenstockError | None = None
        self._is_given_up = False
        self._is_streamed = False
        self._passed = 0
        self._waiting: asyncio.Future[None] | None = None

    async def body(self, room: Room | None = None) -> bytes:
        """Return the whole body, once, its compression undone; a client that waits to be asked for it is asked now.

        ``room`` holds the bytes of a body beyond the free ones as they come,
        not as they are announced: announcing costs a client nothing.

        Raises:
            BodyTooLarge, BodyTooSlow, UnsupportedEncoding, InvalidRequest: if it cannot be had.
            PenstockError: if there is no room for it.
        """
        self._room = room
        if len(self._received) > FREE_BYTES:
            self._find_room(len(self._received))
        if not self.is_complete and self._failure is None:
            if self.announced_bytes > self._max_body_bytes:
                raise self._too_large()
            if self.announced_bytes > FREE_BYTES and room is not None:
                room.expect(self.announced_bytes)
            self._waiting = asyncio.get_running_loop().create_future()
            self._sender.expect_body()
            await self._waiting
        if self._failure is not None:
            self._raise(self._failure)
        received, self._received = self._received, b""
        body = received if isinstance(received, bytes) else bytes(received)
        return await self._inflated(body) if "content-encoding" in self.headers else body

    async def _inflated(self, body: bytes) -> bytes:
        """Return a body before it was compressed, piece by piece: each has its room, and all but the first are made beside the loop."""
        pieces: list[bytes] = []
        size = len(body)
        inflating = inflated_pieces(body, self.headers["content-encoding"], self._max_body_bytes)
        piece = next(inflating, None)
        while piece is not None:
            size += len(piece)
            if self._room is not None and size > FREE_BYTES:
                self._room.hold(size)
            pieces.append(piece)
            if len(piece) < INFLATED_PIECE_BYTES:
                piece = next(inflating, None)
            else:
                # zlib leaves the interpreter to others meanwhile.
                piece = await asyncio.to_thread(next, inflating, None)
        return b"".join(pieces)

    async def pieces(self, most_bytes: int, *, encoded: bool = False) -> AsyncGenerator[bytes]:
        """Yield the body as it comes, once, in place of ``body``: at most ``most_bytes``.

        It must not be compressed, unless ``encoded`` says that whoever has it does not read it.

        The client waits while nobody asks for the next piece, so that little of it is ever here.

        Raises:
            BodyTooLarge, BodyTooSlow, UnsupportedEncoding, InvalidRequest: if it cannot be had.
        """
        if not encoded and self.headers.get("content-encoding", "identity").lower() != "identity":
            raise UnsupportedEncoding("A body that is streamed must not be compressed.")
        self._max_body_bytes = most_bytes
        if self.announced_bytes > most_bytes:
            raise self._too_large()
        self._is_streamed = True
        is_first = True
        while True:
            if self._failure is not None:
                self._raise(self._failure)
            received, self._received = self._received, b""
            if received:
                self._passed += len(received)
                if self._passed > most_bytes:
                    # It had come before anybody knew how much it may be.
                    raise self._too_large()
                yield bytes(received)
            elif self.is_complete:
                return
            else:
                self._waiting = asyncio.get_running_loop().create_future()
                if is_first:
                    self._sender.expect_body()
                else:
                    self._sender.expect_more()
                is_first = False
                await self._waiting

    def put_back(self, body: bytes) -> None:
        """Have ``body`` return this again: what it has returned once."""
        self._received = body
        if "content-encoding" in self.headers:
            self.headers = {name: value for name, value in self.headers.items() if name != "content-encoding"}

    def peer(self) -> str:
        """Return the address at the connection's other end; empty on a unix socket."""
        return self._sender.peer()

    @property
    def is_awaited(self) -> bool:
        """Whether the handler waits for the body."""
        return self._waiting is not None and not self._waiting.done()

    @property
    def received_bytes(self) -> int:
        """How much of the body has come."""
        return self._passed + len(self._received)

    @property
    def unread_bytes(self) -> int:
        """How much of what has come nobody has taken."""
        return len(self._received)

    def take(self, piece: bytes) -> None:
        """Take in the next piece of the body."""
        if self._is_given_up:
            return
        if not self._received:
            self._received = piece
        elif isinstance(self._received, bytes):
            self._received = bytearray(self._received)
            self._received += piece
        else:
            self._received += piece
        if self._is_streamed:
            if self.received_bytes > self._max_body_bytes:
                self.fail(self._too_large())
            else:
                self._wake()
            return
        size = len(self._received)
        if size > FREE_BYTES or size > self._max_body_bytes:
            self._find_room(size)

    def complete(self) -> None:
        """Note that nothing more of the body will come."""
        self.is_complete = True
        if self._waiting is not None:
            self._wake()

    def fail(self, error: PenstockError) -> None:
        """Give the body up; whoever asks for it, or has asked, gets ``error``."""
        self._failure = error
        self._is_given_up = True
        self._received = b""
        self._wake()

    def _raise(self, failure: PenstockError) -> NoReturn:
        """Raise, and keep nothing: a failure leads to the request, and the two would be the garbage collector's."""
        self._failure = None
        try:
            raise failure
        finally:
            del failure

    def _find_room(self, size: int) -> None:
        if size > self._max_body_bytes:
            self.fail(self._too_large())
        elif self._room is not None:
            try:
                self._room.hold(size)
            except PenstockError as error:
                self.fail(error)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"The body is larger than {self._max_body_bytes} bytes.")


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

    def abort(self) -> None:
        """Close at once, whatever is unsent."""
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

    def cut(self) -> None:
        """Give the answer up, and the connection: a client that reads sees that it is not whole."""
        self.is_complete = True
        self._receiver.abort()

    def whole(self, status: int, lines: bytes, body: bytes) -> None:
        """Send the whole answer in one write."""
        self.is_begun = self.is_complete = True
        head = self._head_of(status, lines)
        sent = b"" if self._request.method == "HEAD" else body
        self._receiver.send(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), sent))
        self._receiver.answered()

    def begin(self, status: int, lines: bytes, length: int | None = None) -> None:
        """Decide the head of an answer that comes in pieces; ``length`` is that of all of them, where it is known yet."""
        self.is_begun = True
        request = self._request
        if length is not None:
            self._head = b"%bcontent-length: %d\r\n\r\n" % (self._head_of(status, lines), length)
            return
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
        return b"%b%b%b%b" % (
            STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status,
            shared.standing_lines,
            lines,
            closing,
        )
