"""Undoes the compression of a request's body, bounded: a few bytes may claim to be gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from penstock_common.errors import InvalidRequest
from penstock_gateway.surfaces.http1.failures import BodyTooLarge, UnsupportedEncoding

ENCODINGS = "gzip and deflate"
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
"""Told apart by their first bytes."""
_RAW = -zlib.MAX_WBITS
_PLAIN = ("", "identity")
INFLATED_PIECE_BYTES = 256 * 1024
_ZLIB_METHOD, _METHOD_BITS = 8, 0x0F


def inflated(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Return what a body was before it was compressed; as ``inflated_pieces``."""
    return b"".join(inflated_pieces(body, encoding, max_bytes))


def inflated_pieces(body: bytes, encoding: str, max_bytes: int) -> Iterator[bytes]:
    """Yield what a body was before it was compressed; ``encoding`` is the header's value, for one compression.

    Raises:
        UnsupportedEncoding: for one that is not known.
        BodyTooLarge: if more than ``max_bytes`` come out.
        InvalidRequest: if the body is not what its header says, or ends in the middle.
    """
    name = encoding.strip().lower().removeprefix("x-")
    if name in _PLAIN:
        yield body
        return
    if name not in ("gzip", "deflate"):
        raise UnsupportedEncoding(
            f"The header 'content-encoding' may be {ENCODINGS}, or be left out; '{name[:32]}' is not supported.",
            field="content-encoding",
        )
    # Some clients send "deflate" without zlib's head, as no two have ever agreed on it (RFC 9110, 8.4.1.2).
    is_raw = name == "deflate" and body[:1] and body[0] & _METHOD_BITS != _ZLIB_METHOD
    inflating = zlib.decompressobj(_RAW if is_raw else _GZIP_OR_ZLIB)
    rest, size = body, 0
    while True:
        try:
            piece = inflating.decompress(rest, INFLATED_PIECE_BYTES)
        except zlib.error:
            raise InvalidRequest(
                f"The body is not {name}, as 'content-encoding' says.", field="content-encoding"
            ) from None
        size += len(piece)
        if size > max_bytes:
            raise BodyTooLarge(f"The body is larger than {max_bytes} bytes.")
        yield piece
        rest = inflating.unconsumed_tail
        if inflating.eof:
            return
        if not rest and len(piece) < INFLATED_PIECE_BYTES:
            raise InvalidRequest(f"The body is {name} that ends in the middle.", field="content-encoding")
