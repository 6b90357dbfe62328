"""The server that plays a script to whoever asks on a wire that it knows; the path of a request says which that is.

    async with ScriptedUpstream(SCRIPTS["cut-reset"]) as upstream:
        ...  # ask upstream.base_url, or upstream.base_url_of("gemini")
        assert upstream.record.requests[0].left_at is None

Everything is written by hand on a socket, because most of it is what a proper server refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from penstock_faults.gates import Gates
from penstock_faults.http.format import Asked, Format
from penstock_faults.http.formats import FORMATS, format_of
from penstock_faults.http.response import Response, response_to
from penstock_faults.http.wire import Cut, Wire
from penstock_faults.playback import Choose, Playback, always
from penstock_faults.record import Connection, Record, Seen
from penstock_faults.script import Break, Ending, Script, Step
from penstock_faults.sockets import Listener, reset

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Bound on a request's body; a client that sends more is cut off."""


class ScriptedUpstream:
    """Serves while it is entered, at ``base_url``."""

    def __init__(
        self,
        script: Script | Choose,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        record: Record | None = None,
        gates: Gates | None = None,
        wire: str = "openai",
    ) -> None:
        """Take the script of every model, or a function that says which; port 0 takes a free one.

        Without ``gates`` nothing is held. ``wire`` is whose ``base_url`` it has, and whose the paths are that are nobody's.
        """
        self._wire = wire
        self.record = record or Record()
        self._playbacks = always(Playback(script)) if isinstance(script, Script) else script
        self._gates = gates
        self._host = host
        self._listener = Listener(self._accept, host, port)
        self.port = 0

    @property
    def address(self) -> str:
        """Where it is: scheme, host and port."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """What clients of its wire add their path to, such as ``/chat/completions``."""
        return self.base_url_of(self._wire)

    def base_url_of(self, wire: str) -> str:
        """Return what clients of a wire add their path to."""
        return self.address + FORMATS[wire].base_path

    def playback_of(self, seen: Seen) -> Playback:
        """Return what a request meets, once for each; whoever decides by more than the model overrides it."""
        return self._playbacks(seen.model)

    async def __aenter__(self) -> Self:
        self.port = await self._listener.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._listener.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = self.record.opened()
        try:
            await self._serve(connection, reader, writer)
        finally:
            self.record.closed(connection)

    async def _serve(self, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun = b""
        while (request := await _read_request(reader, begun)) is not None:
            path, headers, body = request
            seen = self.record.arrived(connection, path, headers, body)
            begun = await self._respond(seen, reader, writer)
            if writer.is_closing():
                return

    async def _respond(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Write the response unless the client leaves first; return what it sent meanwhile."""
        form = format_of(seen.bare_path, self._wire)
        asked = form.asked(seen)
        seen.model, seen.streams = asked.model, asked.streams
        sending = asyncio.ensure_future(self._play(seen, form, asked, writer))
        leaving = asyncio.ensure_future(reader.read(1))
        client_left = False
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and not isinstance(sending.exception(), ConnectionError):
                sending.result()
                return leaving.result() if leaving.done() and leaving.exception() is None else b""
            client_left = True
            writer.transport.abort()
            return b""
        finally:
            self.record.ended(seen, client_left=client_left)
            for part in (sending, leaving):
                part.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _play(self, seen: Seen, form: Format, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.kind == "models":
            wire = Wire(writer, seen, None)
            response = Response(iter([form.other(seen, asked)]))
            await wire.head(response, until_close=False)
            await wire.body(next(response.pieces))
            await wire.end()
            return
        playback = self.playback_of(seen)
        step = playback.next_step()
        if step.drop is not None:
            await end_connection(step.drop, writer)
            return
        response = response_to(seen, asked, step, playback.script, form)
        wire = Wire(writer, seen, step.broken)
        try:
            await self._write(response, step, wire, slow=playback.is_slow(step))
        except Cut:
            await self._break(step.broken or Break(), wire, writer)
            return
        await self._hold(step, _END)
        if step.broken is not None and response.break_after_pieces is None:
            await self._break(step.broken, wire, writer)
            return
        await wire.end()

    async def _write(self, response: Response, step: Step, wire: Wire, *, slow: bool) -> None:
        pace = step.pace
        await asyncio.sleep(pace.headers_seconds)
        await wire.head(response, until_close=step.framing == "until_close")
        first_token_seconds = pace.slow_first_token_seconds if slow else pace.first_token_seconds
        for number, piece in enumerate(response.pieces):
            if number == response.first_content:
                await asyncio.sleep(first_token_seconds + response.tokens_before * pace.token_seconds)
            elif number > response.first_content:
                await asyncio.sleep(pace.token_seconds)
            if response.is_stream:
                await self._hold(step, number)
            if number == response.break_after_pieces:
                raise Cut
            await wire.body(piece)
        if response.break_after_pieces is not None:
            raise Cut

    async def _hold(self, step: Step, number: int) -> None:
        gate = step.hold.get(number)
        if gate is not None and self._gates is not None:
            await self._gates.opened(gate)

    async def _break(self, broken: Break, wire: Wire, writer: asyncio.StreamWriter) -> None:
        if broken.by == "end":
            await wire.end()
            return
        while broken.by == "repeat":
            await wire.again()
        await end_connection(broken.by, writer)


_END = -1


async def end_connection(by: Ending, writer: asyncio.StreamWriter) -> None:
    """End a connection in this way, or leave it as it is until the client does."""
    if by == "reset":
        reset(writer)
    elif by == "close":
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    else:
        await asyncio.Event().wait()


async def _read_request(reader: asyncio.StreamReader, begun: bytes) -> tuple[str, Mapping[str, str], bytes] | None:
    """Return path, headers and body of the next request; None where the client has left."""
    try:
        head = begun + await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    path, size = first.partition(" ")[2].partition(" ")[0], headers.get("content-length", "0")
    if not size.isdecimal() or int(size) > MAX_BODY_BYTES:
        raise ConnectionAbortedError(f"a body of {size} bytes")
    return path, headers, await reader.readexactly(int(size))
