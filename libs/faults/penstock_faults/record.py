"""What a scripted upstream saw: its requests, in order, and its connections."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

_SECRET_HEADERS = frozenset({"authorization", "api-key", "x-api-key", "x-goog-api-key", "x-amz-security-token"})
_SECRET_IN_QUERY = re.compile(r"([?&](?:key|api-key)=)[^&]*")

Document = dict[str, Any]


@dataclass
class Seen:
    """A request. Times are seconds since the upstream began; ``left_at`` is set where the client left before the end.

    ``model`` and ``streams`` are what it asks for, where its body says so; whoever reads them elsewhere sets them.
    """

    number: int
    connection: int
    at: float
    path: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    raw_body: bytes = b""
    sent_bytes: int = 0
    """Of the response, as they went to the socket."""
    ended_at: float | None = None
    left_at: float | None = None
    left: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    model: str = ""
    streams: bool = False

    def __post_init__(self) -> None:
        """Read what the body says of the model and of streams."""
        body = self.body
        self.model = str(body.get("model", ""))
        self.streams = body.get("stream") is True

    @property
    def bare_path(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    @property
    def body(self) -> Document:
        """The request's JSON object; empty where it is none."""
        try:
            found = msgspec.json.decode(self.raw_body)
        except msgspec.DecodeError:
            return {}
        return cast("Document", found) if isinstance(found, dict) else {}

    def document(self) -> Document:
        """Return it for a program; what a key could be read from is left out."""
        headers = {name: value for name, value in self.headers.items() if name not in _SECRET_HEADERS}
        return {
            "request": self.number, "connection": self.connection, "at_seconds": round(self.at, 6),
            "path": _SECRET_IN_QUERY.sub(r"\1", self.path), "model": self.model, "streams": self.streams, "headers": headers,
            "body": self.body, "sent_bytes": self.sent_bytes, "ended_at_seconds": self.ended_at, "left_at_seconds": self.left_at,
        }  # fmt: skip


@dataclass
class Connection:
    """A connection: when it was opened, and closed by either side; seconds since the upstream began."""

    number: int
    opened_at: float
    closed_at: float | None = None


Ended = Callable[[Seen], None]


def _nobody_hears(seen: Seen) -> None:
    """Let it be."""


class Record:
    """Keeps requests and connections; ``on_ended`` is told of each request at its end."""

    def __init__(self, on_ended: Ended = _nobody_hears, now: Callable[[], float] = time.monotonic) -> None:
        self.requests: list[Seen] = []
        self.connections: list[Connection] = []
        self.concurrent = 0
        self.most_concurrent = 0
        self._on_ended = on_ended
        self._now = now
        self._began = now()
        self._arrivals: asyncio.Queue[Seen] = asyncio.Queue()

    @property
    def open_connections(self) -> int:
        """How many are open."""
        return sum(connection.closed_at is None for connection in self.connections)

    async def next_request(self) -> Seen:
        """Return the next request that nobody has taken yet, waiting for it."""
        return await self._arrivals.get()

    def elapsed(self) -> float:
        """Return the seconds since the upstream began."""
        return self._now() - self._began

    def opened(self) -> Connection:
        """Note a connection."""
        self.connections.append(Connection(len(self.connections) + 1, self.elapsed()))
        return self.connections[-1]

    def closed(self, connection: Connection) -> None:
        """Note its end."""
        connection.closed_at = self.elapsed()

    def arrived(self, connection: Connection, path: str, headers: Mapping[str, str], body: bytes) -> Seen:
        """Note a request."""
        seen = Seen(len(self.requests) + 1, connection.number, self.elapsed(), path, headers, body)
        self.requests.append(seen)
        self._arrivals.put_nowait(seen)
        self.concurrent += 1
        self.most_concurrent = max(self.most_concurrent, self.concurrent)
        return seen

    def ended(self, seen: Seen, *, client_left: bool) -> None:
        """Note its end: the response's, or the client's leaving before that."""
        self.concurrent -= 1
        seen.ended_at = self.elapsed()
        if client_left:
            seen.left_at = seen.ended_at
            seen.left.set()
        self._on_ended(seen)
