"""One response on its way to the socket, which ends at the byte that a break names."""

from __future__ import annotations

import asyncio

from penstock_faults.http.response import Response
from penstock_faults.record import Seen
from penstock_faults.script import Break


class Cut(Exception):
    """The byte has been written after which no other follows."""


class Wire:
    """Writes head, pieces and end; every method returns once the socket has taken what it wrote.

    Raises:
        Cut: from any of them, where the break is reached.
    """

    def __init__(self, writer: asyncio.StreamWriter, seen: Seen, broken: Break | None) -> None:
        self._writer = writer
        self._seen = seen
        self._wire_left = broken.wire_bytes if broken is not None else None
        self._body_left = broken.bytes if broken is not None else None
        self._chunked = True
        self._last = b""

    async def head(self, response: Response, *, until_close: bool) -> None:
        """Write the status line and the headers."""
        self._chunked = not until_close
        framing = {"connection": "close"} if until_close else {"transfer-encoding": "chunked"}
        headers = {"content-type": response.content_type, **response.headers, **framing}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        await self._write(f"HTTP/1.1 {response.status} Scripted\r\n{lines}\r\n".encode("latin-1"))
        if self._body_left == 0:
            raise Cut

    async def body(self, piece: bytes) -> None:
        """Write a piece of the body; nothing where it is empty."""
        if not piece:
            return
        self._last = piece
        left = self._body_left
        kept = piece if left is None else piece[:left]
        await self._write(b"%x\r\n%b\r\n" % (len(kept), kept) if self._chunked else kept)
        if left is not None:
            self._body_left = left - len(kept)
            if self._body_left == 0:
                raise Cut

    async def again(self) -> None:
        """Write the last piece once more."""
        await self.body(self._last)
        # The socket may take all that comes: let others run.
        await asyncio.sleep(0)

    async def end(self) -> None:
        """Say that the body has ended, by closing the connection where that is how."""
        if self._chunked:
            await self._write(b"0\r\n\r\n")
        else:
            self._writer.close()

    async def _write(self, data: bytes) -> None:
        left = self._wire_left
        kept = data if left is None else data[:left]
        if kept:
            self._writer.write(kept)
            self._seen.sent_bytes += len(kept)
            await self._writer.drain()
        if left is not None:
            self._wire_left = left - len(kept)
            if self._wire_left == 0:
                raise Cut
