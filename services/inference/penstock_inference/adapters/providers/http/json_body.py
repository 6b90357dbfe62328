"""A request's JSON: texts of others in it stand as they are, and large data is written only as it is sent."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock_common.http.body import Body, BodyWithData
from penstock_inference.domain.failure import AttemptFailed, FailureKind

_ENCODER = msgspec.json.Encoder()
_RAW = msgspec.json.Decoder(msgspec.Raw)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LARGE_DATA_BYTES = 64 * 1024
# Stands, with a number, for large data until the body is sent. Nobody but this process knows it, so nobody can write it
# into a request.
_DATA_MARK = secrets.token_hex(16)
_MARKED = re.compile(rb"%b\.(\d+)\." % _DATA_MARK.encode())


class LargeData:
    """The large data of one request."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def base64(self, data: bytes) -> str:
        """Return the data's base64, or a mark that stands for it until ``body``."""
        if len(data) <= _LARGE_DATA_BYTES:
            return base64.b64encode(data).decode()
        self._pieces.append(data)
        return f"{_DATA_MARK}.{len(self._pieces) - 1}."

    def body(self, document: Mapping[str, Any]) -> bytes | Body:
        """Return the document's JSON."""
        encoded = _ENCODER.encode(document)
        if not self._pieces:
            return encoded
        texts_and_numbers = _MARKED.split(encoded)
        return BodyWithData(texts_and_numbers[::2], [self._pieces[int(number)] for number in texts_and_numbers[1::2]])


def verbatim(text: str, field: str) -> msgspec.Raw:
    """Return the text as it stands, once it is known to be one JSON value: nothing may break out of it.

    Raises:
        AttemptFailed: BAD_REQUEST, naming ``field``, where it is none.
    """
    try:
        return _RAW.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise AttemptFailed(FailureKind.BAD_REQUEST, f"{field} is not valid JSON", parameter=field) from None


def members(text: str, field: str) -> dict[str, msgspec.Raw]:
    """Return the members of an object, each as it stands.

    Raises:
        AttemptFailed: BAD_REQUEST, naming ``field``, where it is none.
    """
    try:
        return _OBJECT.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise AttemptFailed(FailureKind.BAD_REQUEST, f"{field} is not a JSON object", parameter=field) from None
