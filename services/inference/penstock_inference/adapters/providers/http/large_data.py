"""Large data within a body of JSON: it becomes base64 only as it is sent."""

from __future__ import annotations

import base64
import secrets

from penstock_common.http.body import Body, BodyWithData

_LARGE_BYTES = 64 * 1024
# Stands for large data until the body is sent. Nobody but this process knows it, so nobody can write it into a request.
_MARK = secrets.token_hex(16)


class LargeData:
    """The data of one body."""

    __slots__ = ("_large",)

    def __init__(self) -> None:
        self._large: list[bytes] = []

    def base64_of(self, data: bytes) -> str:
        """Return what stands in the JSON for some data: its base64, or a mark where it is large."""
        if len(data) <= _LARGE_BYTES:
            return base64.b64encode(data).decode()
        self._large.append(data)
        return _MARK

    def body(self, encoded: bytes) -> bytes | Body:
        """Return the body, the data in the places of its marks, which must stand in the order in which they were asked for."""
        return BodyWithData(encoded.split(_MARK.encode()), self._large) if self._large else encoded
