"""What comes back, checked: a vector for each text, all of one length, of numbers that are some.

What is needed is taken in whichever form it comes: vectors as lists or in
base64, in any order or without numbers, beside usage that is missing or none.
"""

from __future__ import annotations

import binascii
import math
import sys
from array import array
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from penstock_embedding.adapters.providers.format import Malformed
from penstock_embedding.domain.embedder import Vector, normalised
from penstock_embedding.domain.upstream import Vectors


class EmbeddingItem(msgspec.Struct):
    """One vector, in base64 where it is text (float32, little-endian), and which input it belongs to."""

    embedding: list[float] | str
    index: object = None


class EmbeddingAnswer(msgspec.Struct):
    """Body of the answer; what else stands in it is not read."""

    data: list[EmbeddingItem]
    usage: object = None


_ANSWER = msgspec.json.Decoder(EmbeddingAnswer)
_MOST_TOKENS = 2**32 - 1
# What a vector of length 1 may be off by and still be left as it is.
_LENGTH_TOLERANCE = 1e-3


def vectors_from(body: bytes, texts: Sequence[str]) -> Vectors:
    """Return the vectors in the order of the texts, and the tokens as the provider counted them.

    Raises:
        Malformed: if a vector is missing, or is none.
    """
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None
    if len(answer.data) != len(texts):
        raise Malformed(f"{len(answer.data)} vectors for {len(texts)} texts")
    vectors = [_vector(item.embedding) for item in _in_order(answer.data)]
    return Vectors([checked(vector, len(vectors[0])) for vector in vectors], _tokens(answer.usage))


def _in_order(items: list[EmbeddingItem]) -> list[EmbeddingItem]:
    """Return the items by their numbers; in the order in which they came where they have none, or all the first's."""
    numbers = [_whole(item.index) for item in items]
    if len(items) > 1 and all(number in (None, 0) for number in numbers):
        return items
    if numbers == [None]:
        return items
    by_number = dict(zip(numbers, items, strict=True))
    if by_number.keys() != set(range(len(items))):
        raise Malformed("vectors that are not numbered by the texts")
    return [by_number[number] for number in range(len(items))]


def _vector(embedding: list[float] | str) -> Vector:
    if not isinstance(embedding, str):
        return embedding
    try:
        numbers = array("f", binascii.a2b_base64(embedding, strict_mode=True))
    except ValueError as error:
        raise Malformed(f"a vector that is neither a list nor base64: {error}") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _tokens(usage: object) -> int:
    """Return the tokens that a provider counted, 0 where it counted none."""
    counts = cast("dict[str, Any]", usage) if isinstance(usage, dict) else {}
    for name in ("prompt_tokens", "total_tokens"):
        counted = _whole(counts.get(name))
        if counted is not None and 0 < counted <= _MOST_TOKENS:
            return counted
    return 0


def _whole(value: object) -> int | None:
    """Return the number that a value is, in whichever type; None where it is none."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value)


def checked(vector: Vector, size: int) -> Vector:
    """Return a vector of length 1 that has so many values.

    Raises:
        Malformed: if it has others, or no direction.
    """
    length = math.hypot(*vector)
    if not size or len(vector) != size or not math.isfinite(length) or length == 0:
        raise Malformed("a vector is empty, of another length, or no direction")
    return vector if abs(length - 1) <= _LENGTH_TOLERANCE else normalised(vector)
