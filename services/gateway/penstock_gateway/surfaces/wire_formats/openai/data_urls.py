"""Reads ``data:`` URLs (RFC 2397) as callers write them, and not only as they should.

Base64 comes wrapped into lines, without its padding or with too much, in the
alphabet that is safe in URLs, percent-encoded: all of it says what is meant. What
is read is bytes; whoever sends them on writes them anew.
"""

from __future__ import annotations

import binascii
from contextlib import suppress
from urllib.parse import unquote_to_bytes

from penstock_common.errors import InvalidRequest
from penstock_common.llm.images import image_type, image_type_in

DATA_SCHEME = "data:"
_BASE64 = "base64"
_SHOWN_CHARACTERS = 40
_LONGEST_HEADER = 256
_CHARACTERS_OF_3_BYTES = 4
# A decoder keeps the interpreter to itself while it runs: 30 MiB at once would stop everybody for 0.2 s.
_PIECE_CHARACTERS = 256 * 1024
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BLANKS = b" \t\r\n\f\v"


def trimmed(url: str) -> str:
    """Return a URL without the blanks and byte order marks around it."""
    return url.strip().strip("\ufeff").strip()


def image_in(url: str, field: str) -> tuple[str, bytes]:
    """Return the media type and the bytes of an image.

    Raises:
        InvalidRequest: if the URL holds none.
    """
    media_type, marked, data = _parts(url, field)
    if not marked and not image_type_in(data):
        raise _not_base64(url, field)
    return image_type(data, media_type), data


def file_in(url: str, field: str) -> tuple[str, bytes]:
    """Return the media type, '' where none is said, and the bytes of a file.

    Raises:
        InvalidRequest: if the URL holds none.
    """
    media_type, marked, data = _parts(url, field)
    if not marked:
        raise _not_base64(url, field)
    return media_type, data


def _parts(url: str, field: str) -> tuple[str, bool, bytes]:
    """Return the media type, in lower case and without parameters, whether base64 is announced, and the bytes."""
    url = trimmed(url)
    header, comma, _ = url[:_LONGEST_HEADER].partition(",")
    header = header.lower()
    if not comma or not header.startswith(DATA_SCHEME):
        raise _not_base64(url, field)
    media_type, *parameters = [word.strip() for word in header[len(DATA_SCHEME) :].split(";")]
    marked = _BASE64 in parameters
    if media_type == _BASE64:
        # The type was left out, and the semicolon with it.
        media_type, marked = "", True
    data = _decoded(url, len(header) + 1, field)
    if not data:
        raise InvalidRequest(f"'{field}' must be a data: URL that holds data, but is empty.", field=field)
    return media_type, marked, data


def _decoded(url: str, start: int, field: str) -> bytes:
    """Return what the URL says in base64 from ``start`` on."""
    with suppress(ValueError):
        # As it should be, and mostly is.
        return _decoded_in_pieces(url, start)
    try:
        return _decoded_in_pieces(_cleaned(url[start:]), 0)
    except ValueError as error:
        reason = "it is not ASCII" if isinstance(error, UnicodeError) else str(error)
        raise InvalidRequest(f"'{field}' must be a data: URL in base64, but is not: {reason}.", field=field) from None


def _decoded_in_pieces(text: str | bytes, start: int) -> bytes:
    pieces: list[bytes] = []
    for at in range(start, len(text), _PIECE_CHARACTERS):
        piece = text[at : at + _PIECE_CHARACTERS]
        pieces.append(binascii.a2b_base64(piece, strict_mode=True))
        if len(pieces[-1]) * 4 != len(piece) * 3 and at + len(piece) < len(text):
            raise binascii.Error("Excess data after padding")
    return b"".join(pieces)


def _cleaned(encoded: str) -> bytes:
    """Return base64 in its usual alphabet, without blanks, padded as it should be."""
    text = unquote_to_bytes(encoded) if "%" in encoded else encoded.encode("ascii")
    pieces = [
        text[at : at + _PIECE_CHARACTERS].translate(_URL_SAFE, _BLANKS) for at in range(0, len(text), _PIECE_CHARACTERS)
    ]
    text = b"".join(pieces).rstrip(b"=")
    return text + b"=" * (-len(text) % _CHARACTERS_OF_3_BYTES)


def _not_base64(url: str, field: str) -> InvalidRequest:
    shown = url[:_SHOWN_CHARACTERS] + ("…" if len(url) > _SHOWN_CHARACTERS else "")
    return InvalidRequest(
        f"'{field}' must be a data: URL in base64 (data:image/png;base64,…), but starts with '{shown}'.", field=field
    )
