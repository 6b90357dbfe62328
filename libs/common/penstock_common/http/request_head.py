"""The head of a request, made once and sent many times."""

from __future__ import annotations

import re
from collections.abc import Mapping

from penstock_common.http.address import Address
from penstock_common.http.body import ArrivingBody, Body

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# Field values of RFC 9110: no control characters but the tab; others than ASCII go as UTF-8.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "expect", "te", "trailer"})


class RequestHead:
    """Everything but the body's length and what one request adds. No name or value in it can end a line early."""

    __slots__ = ("_prefix",)

    def __init__(self, method: str, address: Address, headers: Mapping[str, str]) -> None:
        """Take the headers besides those of the connection and the body's form.

        Raises:
            ValueError: if a name or a value cannot stand in a head, or is not the caller's to set.
        """
        if _TOKEN.fullmatch(method) is None:
            raise ValueError("not a method of HTTP")
        lines = [f"{method} {address.target} HTTP/1.1\r\nHost: {address.origin.authority}\r\n".encode()]
        for name, value in headers.items():
            if name.lower() in _OURS:
                raise ValueError(f"the header '{name}' is set by the client itself")
            lines.append(header_line(name, value))
        if address.authorization and "authorization" not in {name.lower() for name in headers}:
            lines.append(header_line("Authorization", address.authorization))
        self._prefix = b"".join(lines)

    def before_arriving(self, body: ArrivingBody | None) -> bytes:
        """Return the head that goes before a body that still comes, or before none."""
        if body is None:
            return self._prefix + b"\r\n"
        if body.length is None:
            return self._prefix + b"Transfer-Encoding: chunked\r\n\r\n"
        return b"%bContent-Length: %d\r\n\r\n" % (self._prefix, body.length)

    def before(self, body: bytes | Body, more: bytes = b"") -> bytes:
        """Return the head that goes before ``body``; ``more`` is lines of ``header_line``."""
        return b"%bContent-Length: %d\r\n%b\r\n" % (self._prefix, len(body), more)


def header_line(name: str, value: str) -> bytes:
    """Return one line of a head, its end included.

    Raises:
        ValueError: if it could be read as anything else. The value, which may be a secret, is not told.
    """
    if _TOKEN.fullmatch(name) is None:
        raise ValueError("not a name of a header")
    if _FORBIDDEN.search(value):
        raise ValueError(f"the header '{name}' may hold no control characters")
    return f"{name}: {value}\r\n".encode()
