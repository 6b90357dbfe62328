"""Inline data in a body of JSON: what is large becomes base64 only as it is sent."""

from __future__ import annotations

import base64
import re
import secrets

import msgspec

from penstock_common.http.body import Body, BodyWithData

_LARGE_BYTES = 64 * 1024
# Stands, with a number, for large data until the body is sent. Nobody but this process knows it, so nobody can write it
# into a request.
_MARK = secrets.token_hex(16)
_MARKED = re.compile(rb"%b\.(\d+)\." % _MARK.encode())


class LargeData(msgspec.Struct):
    """The large data of one body, in ``pieces``; where in it each stands, and how often, does not matter."""

    pieces: list[bytes] = []

    def base64(self, data: bytes) -> str:
        """Return what stands in the JSON for some data: its base64, or a mark where it is large."""
        if len(data) <= _LARGE_BYTES:
            return base64.b64encode(data).decode()
        self.pieces.append(data)
        return f"{_MARK}.{len(self.pieces) - 1}."

    def url(self, media_type: str, data: bytes) -> str:
        """Return the data as a ``data:`` URL."""
        return f"data:{media_type or 'application/octet-stream'};base64,{self.base64(data)}"

    def body(self, encoded: bytes) -> bytes | Body:
        """Return the body, the data in the places of its marks."""
        if not self.pieces:
            return encoded
        texts_and_numbers = _MARKED.split(encoded)
        return BodyWithData(texts_and_numbers[::2], [self.pieces[int(number)] for number in texts_and_numbers[1::2]])
