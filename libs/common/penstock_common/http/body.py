"""Bodies of requests: bytes, or texts with data between them that becomes base64 only as it is sent."""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Protocol

PIECE_BYTES = 256 * 1024
"""Of a large body that is sent; the loop serves others between two."""
_DATA_BYTES = PIECE_BYTES // 4 * 3


class Body(Protocol):
    """What can be sent, again if need be."""

    def __len__(self) -> int:
        """Return its bytes."""
        ...

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Return it from its beginning, none of it empty."""
        ...


class PlainBody:
    """Bytes that are there."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __len__(self) -> int:
        return len(self._body)

    def pieces(self) -> Iterator[memoryview]:
        """Return views of it."""
        view = memoryview(self._body)
        return (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES))


class BodyWithData:
    """Texts, and after each but the last some data, as its base64. Nothing but a piece is held beside what it is made of."""

    __slots__ = ("_data", "_texts")

    def __init__(self, texts: Sequence[bytes], data: Sequence[bytes]) -> None:
        assert len(texts) == len(data) + 1, "data lies between texts"
        self._texts = texts
        self._data = data

    def __len__(self) -> int:
        return sum(map(len, self._texts)) + sum(-(-len(data) // 3) * 4 for data in self._data)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Return it, encoding as it is asked for."""
        for text, data in zip_longest(self._texts, self._data, fillvalue=b""):
            yield from PlainBody(text).pieces()
            view = memoryview(data)
            for start in range(0, len(view), _DATA_BYTES):
                yield binascii.b2a_base64(view[start : start + _DATA_BYTES], newline=False)
