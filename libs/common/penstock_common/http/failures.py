"""How an exchange with a server can fail.

HttpFailure
├── ConnectFailed     no connection came about
├── ConnectTimedOut   none came about in time
├── TlsFailed         the server could not prove who it is, or speaks no TLS
├── ConnectionCut     the connection ended before the answer did
└── NotHttp           what came is not an answer in HTTP/1.1, or passes a bound
"""

from __future__ import annotations


class HttpFailure(Exception):
    """An exchange failed; the text is for logs, never for callers."""


class ConnectFailed(HttpFailure):
    """No address of the origin took the connection, or it has none, or the pool is full."""


class ConnectTimedOut(HttpFailure):
    """No connection, TLS included, came about within its time."""


class TlsFailed(HttpFailure):
    """The handshake failed: a certificate that nobody vouches for, another host's, or no TLS at all."""


class ConnectionCut(HttpFailure):
    """The connection ended before the answer did; ``began``: some byte of it had come."""

    def __init__(self, text: str, *, began: bool) -> None:
        super().__init__(text)
        self.began = began


class NotHttp(HttpFailure):
    """The answer breaks the rules of HTTP/1.1, or is larger than its bounds."""
