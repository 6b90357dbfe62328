"""What comes back, checked: a vector for each text, all of one length, of numbers that are some."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from penstock_common.llm.estimate import estimated_tokens
from penstock_embedding.domain.embedder import Embedded, Vector, normalised


class Malformed(Exception):
    """The answer is not what was asked for."""


class EmbeddingItem(msgspec.Struct):
    """One vector, and which input it belongs to."""

    index: int
    embedding: list[float]


class EmbeddingUsage(msgspec.Struct):
    """Tokens of the inputs."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class EmbeddingAnswer(msgspec.Struct):
    """Body of the answer; what else stands in it is not read."""

    data: list[EmbeddingItem]
    usage: EmbeddingUsage | None = None


_ANSWER = msgspec.json.Decoder(EmbeddingAnswer)
# What a vector of length 1 may be off by and still be left as it is.
_LENGTH_TOLERANCE = 1e-3


def embedded_from(body: bytes, texts: Sequence[str]) -> Embedded:
    """Return the vectors in the order of the texts; tokens are estimated where the provider counts none.

    Raises:
        Malformed: if a vector is missing, or is none.
    """
    try:
        answer = _ANSWER.decode(body)
    except msgspec.DecodeError as error:
        raise Malformed(str(error)) from None
    by_index = {item.index: item.embedding for item in answer.data}
    if len(answer.data) != len(texts) or by_index.keys() != set(range(len(texts))):
        raise Malformed(f"{len(answer.data)} vectors for {len(texts)} texts")
    vectors = [_checked(by_index[index], len(by_index[0])) for index in range(len(texts))]
    counted = answer.usage.prompt_tokens if answer.usage is not None else 0
    return Embedded(vectors, [False] * len(texts), counted or sum(map(estimated_tokens, texts)))


def _checked(vector: Vector, size: int) -> Vector:
    length = math.hypot(*vector)
    if not size or len(vector) != size or not math.isfinite(length) or length == 0:
        raise Malformed("a vector is empty, of another length, or no direction")
    return vector if abs(length - 1) <= _LENGTH_TOLERANCE else normalised(vector)
