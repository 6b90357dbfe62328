"""Inline data as ``data:`` URLs; what is large is written only as the request is sent."""

from __future__ import annotations

import base64
import secrets

from penstock_common.http.body import Body, BodyWithData

_LARGE_DATA_BYTES = 64 * 1024
# Stands for large data until the body is sent. Nobody but this process knows it, so nobody can write it into a request.
_DATA_MARK = secrets.token_hex(16)


def data_url(media_type: str, data: bytes, large: list[bytes]) -> str:
    """Return the data as a URL; what is large joins ``large`` instead, and a mark stands for it."""
    if len(data) > _LARGE_DATA_BYTES:
        large.append(data)
        encoded = _DATA_MARK
    else:
        encoded = base64.b64encode(data).decode()
    return f"data:{media_type or 'application/octet-stream'};base64,{encoded}"


def body_with(encoded: bytes, large: list[bytes]) -> bytes | Body:
    """Return the body in which every mark stands for its data."""
    return BodyWithData(encoded.split(_DATA_MARK.encode()), large) if large else encoded
