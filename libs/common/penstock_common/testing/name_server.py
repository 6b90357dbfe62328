"""A DNS server of one's own: names whose addresses a test changes while others resolve them."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from types import TracebackType
from typing import Self

_A_RECORD = 1
_HEADER_BYTES = 12
# RFC 1035: a response, recursion available, no error; and the same with "no such name".
_FOUND = b"\x84\x80"
_UNKNOWN = b"\x84\x83"


class NameServer(asyncio.DatagramProtocol):
    """Answers A queries over UDP on loopback; everything else has no records.

    async with NameServer() as names:
        names.addresses["router.test"] = ["127.0.0.1", "127.0.0.2"]
        ...  # resolve f"dns://127.0.0.1:{names.port}/router.test:9002"
    """

    def __init__(self) -> None:
        self.addresses: dict[str, Sequence[str]] = {}
        self.port = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one query."""
        name, end = _name_in(data)
        kind = int.from_bytes(data[end : end + 2], "big")
        question = data[_HEADER_BYTES : end + 4]
        known = self.addresses.get(name)
        answers = [_record(address) for address in known or ()] if kind == _A_RECORD else []
        counts = b"\x00\x01" + len(answers).to_bytes(2, "big") + b"\x00\x00\x00\x00"
        flags = _UNKNOWN if known is None else _FOUND
        self._transport.sendto(data[:2] + flags + counts + question + b"".join(answers), addr)


def _name_in(query: bytes) -> tuple[str, int]:
    """Return the name that is asked for, and where it ends."""
    labels: list[str] = []
    place = _HEADER_BYTES
    while length := query[place]:
        labels.append(query[place + 1 : place + 1 + length].decode("ascii").lower())
        place += 1 + length
    return ".".join(labels), place + 1


def _record(address: str) -> bytes:
    """Return an A record for the name in the question, which may be kept for a second."""
    return b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04" + ipaddress.IPv4Address(address).packed
