"""How much of anything a client may take: bytes, requests, time."""

from __future__ import annotations

import msgspec


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of each connection. The edge's own are tighter; these hold where there is no edge, or a broken one."""

    max_head_bytes: int = 64 * 1024
    """Request line and headers; 431 above."""
    max_headers: int = 128
    """Headers of different names; 431 above."""
    max_target_bytes: int = 8 * 1024
    """What the request line names; 414 above."""
    max_body_bytes: int = 32 * 1024 * 1024
    """413 above."""
    max_unwanted_bytes: int = 64 * 1024
    """Of a body that the handler has not asked for, about; then the client has to wait."""
    max_waiting_requests: int = 16
    """Sent ahead of their turn in one piece; after so many the connection ends, and the rest may be sent again."""
    max_unsent_bytes: int = 64 * 1024
    """Of an answer; then the handler has to wait."""

    head_seconds: float = 15
    """From a head's first byte to its last; 408 above."""
    body_seconds: float = 60
    """From the handler's asking for a body to its last byte; 408 above."""
    body_min_bytes_per_second: int = 16 * 1024
    """What buys a body more time, as at the edge."""
    idle_seconds: float = 75
    """Between requests. Longer than the edge keeps an unused connection, so that it never sends into one that closes."""
    write_seconds: float = 60
    """For a client to make room for more of its answer; then it is cut off."""
    linger_seconds: float = 5
    """For a client to read why it was refused while it is still sending."""
    tick_seconds: float = 1
    """How exact these times are."""

    joins_forwarded: bool = False
    """Whether every ``x-forwarded-for`` of a request counts, as of a chain of proxies; else the first, as of any header."""
