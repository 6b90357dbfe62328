"""The lines of a response's head, as bytes that are ready to be joined."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
CLOSE_LINE = b"connection: close\r\n"
CHUNKED_LINE = b"transfer-encoding: chunked\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def date_line() -> bytes:
    """Return the line that tells the time."""
    return b"date: %b\r\n" % formatdate(time.time(), usegmt=True).encode()


def printable(value: str) -> str:
    """Return a header's value in which no character can end the line."""
    return _CONTROL.sub("?", value)


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return headers as lines. Their values are ours, and printable."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])
