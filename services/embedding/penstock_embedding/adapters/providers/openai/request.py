"""What is sent: texts in pieces that a provider takes, and their body."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

# OpenAI takes 2048 inputs and 300,000 tokens; no common tokenizer makes more than a token of two bytes of text.
MAX_INPUTS = 2048
MAX_BYTES = 512 * 1024

_encode = msgspec.json.Encoder().encode


class EmbeddingsBody(msgspec.Struct, kw_only=True):
    """Body of ``POST /embeddings``. Numbers, not base64: every server that speaks the format knows them."""

    model: str
    input: Sequence[str]
    encoding_format: str = "float"


def body_of(model: str, texts: Sequence[str]) -> bytes:
    """Return the body."""
    return _encode(EmbeddingsBody(model=model, input=list(texts)))


def pieces(texts: Sequence[str], most: int = MAX_INPUTS) -> Iterator[list[str]]:
    """Yield the texts, in order, as many at once as one request may hold, ``most`` at the most."""
    piece: list[str] = []
    held_bytes = 0
    for text in texts:
        size = len(text.encode())
        if piece and (len(piece) == most or held_bytes + size > MAX_BYTES):
            yield piece
            piece, held_bytes = [], 0
        piece.append(text)
        held_bytes += size
    if piece:
        yield piece
