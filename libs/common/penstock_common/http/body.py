"""Bodies of requests: bytes, or texts with data between them that becomes base64 only as it is sent."""

from __future__ import annotations

import asyncio
import binascii
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Protocol

PIECE_BYTES = 256 * 1024
"""Of a large body that is sent; the loop serves others between two."""
_DATA_BYTES = PIECE_BYTES // 4 * 3


class Body(Protocol):
    """What can be sent, again if need be."""

    def __len__(self) -> int:
        """Return its bytes."""
        ...

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Return it from its beginning, none of it empty."""
        ...


class PlainBody:
    """Bytes that are there."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __len__(self) -> int:
        return len(self._body)

    def pieces(self) -> Iterator[memoryview]:
        """Return views of it."""
        view = memoryview(self._body)
        return (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES))


class BodyWithData:
    """Texts, and after each but the last some data, as its base64. Nothing but a piece is held beside what it is made of."""

    __slots__ = ("_data", "_texts")

    def __init__(self, texts: Sequence[bytes], data: Sequence[bytes]) -> None:
        assert len(texts) == len(data) + 1, "data lies between texts"
        self._texts = texts
        self._data = data

    def __len__(self) -> int:
        return sum(map(len, self._texts)) + sum(-(-len(data) // 3) * 4 for data in self._data)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Return it, encoding as it is asked for."""
        for text, data in zip_longest(self._texts, self._data, fillvalue=b""):
            yield from PlainBody(text).pieces()
            view = memoryview(data)
            for start in range(0, len(view), _DATA_BYTES):
                yield binascii.b2a_base64(view[start : start + _DATA_BYTES], newline=False)


class ArrivingBody:
    """A body that is sent while it comes, and once: its pieces are gone then. Without a length it is sent in chunks.

    Whoever has the pieces puts them, and ends it; the connection takes them as its socket has room.
    """

    __slots__ = ("_has_ended", "_is_stopped", "_room", "_tell", "_waiting", "length", "put_bytes")

    def __init__(self, length: int | None) -> None:
        self.length = length
        """Of all pieces together, where it is known."""
        self.put_bytes = 0
        self._waiting: deque[bytes] = deque()
        self._has_ended = False
        self._is_stopped = False
        self._tell: Callable[[], None] | None = None
        self._room: asyncio.Future[None] | None = None

    async def put(self, piece: bytes) -> bool:
        """Return once the connection has taken the piece; False where nobody takes any more."""
        self.put_bytes += len(piece)
        if self.length is None:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        if not self._is_stopped:
            self._waiting.append(piece)
            self._told()
        while self._waiting and not self._is_stopped:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        return not self._is_stopped

    def end(self) -> None:
        """Say that nothing follows."""
        if self.length is None and not self._is_stopped:
            self._waiting.append(b"0\r\n\r\n")
        self._has_ended = True
        self._told()

    def begin(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called whenever something new is there."""
        self._tell = tell
        self._told()

    def take(self) -> bytes | None:
        """Return the next bytes to send; None where none are there yet, or any more."""
        if not self._waiting:
            return None
        piece = self._waiting.popleft()
        self._wake()
        return piece

    @property
    def is_over(self) -> bool:
        """Whether all of it has been taken."""
        return self._has_ended and not self._waiting

    def stop(self) -> None:
        """Take nothing more: the server has refused, or the connection is gone."""
        self._is_stopped, self._tell = True, None
        self._waiting.clear()
        self._wake()

    def _told(self) -> None:
        if self._tell is not None:
            self._tell()

    def _wake(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)
