"""What is sent and what comes back, whatever the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Door = Literal["edge", "hasty", "gateway", "http2", "grpc"]
"""The public HTTP port; an edge of short patience, for bytes that may never end; the gateway's own HTTP port; an edge
over TLS, for HTTP/2; the public gRPC port."""

Field = tuple[bytes, bytes]


@dataclass(frozen=True)
class Bytes:
    """Bytes for a connection of their own, over HTTP/1.1 or whatever they are."""

    door: Door
    data: bytes

    @property
    def sent(self) -> bytes:
        """All that the server gets to see."""
        return self.data


@dataclass(frozen=True)
class Request:
    """A request whose framing is right, whatever else is wrong."""

    door: Door
    method: bytes
    target: bytes
    fields: tuple[Field, ...] = ()
    body: bytes = b""
    chunk_bytes: int = 0
    """The size of its chunks; 0 for a body that is announced by its length."""

    @property
    def sent(self) -> bytes:
        """The request as HTTP/1.1 has it."""
        fields = [(b"host", b"penstock.test"), (b"connection", b"close"), *self.fields]
        if self.chunk_bytes:
            fields.append((b"transfer-encoding", b"chunked"))
        elif self.body or self.method != b"GET":
            fields.append((b"content-length", b"%d" % len(self.body)))
        head = b"".join(b"%b: %b\r\n" % (name, value) for name, value in fields)
        return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (self.method, self.target, head, self._framed())

    def _framed(self) -> bytes:
        size = self.chunk_bytes
        if not size:
            return self.body
        pieces = [self.body[at : at + size] for at in range(0, len(self.body), size)]
        return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@dataclass(frozen=True)
class Stream:
    """One stream of HTTP/2, its fields as they are, its data in one piece; or, ``broken``, bytes behind the preface."""

    door: Door
    fields: tuple[Field, ...]
    data: bytes = b""
    broken: bytes = b""

    @property
    def sent(self) -> bytes:
        """All that the server gets to see, compression aside."""
        return b"\n".join(b"%b: %b" % pair for pair in self.fields) + b"\n\n" + self.data + self.broken


@dataclass(frozen=True)
class Call:
    """A call of a gRPC method, with a message that may be none of it."""

    path: str
    message: bytes
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    timeout_seconds: float = 60.0

    @property
    def door(self) -> Door:
        """Where it goes."""
        return "grpc"

    @property
    def sent(self) -> bytes:
        """The message, and what goes beside it."""
        return f"{self.path} {self.metadata!r} {self.timeout_seconds} s\n".encode() + self.message


Case = Bytes | Request | Stream | Call
Cases = list[tuple[str, Case]]
"""Cases that were made together, each with the name of its surface."""


@dataclass(frozen=True)
class Reply:
    """What came back. ``end`` says how: ``whole``, ``cut``, ``closed`` without a word, ``silent``, ``nobody`` was there."""

    end: Literal["whole", "cut", "closed", "silent", "nobody"]
    status: int = 0
    """HTTP's; 0 where there was none."""
    code: str = ""
    """gRPC's, by name."""
    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    details: bytes = b""
    """``google.rpc.Status`` of a failed call."""

    @property
    def told(self) -> str:
        """The status as tables have it."""
        return self.code or (str(self.status) if self.status else self.end)
