"""Renders vectors in OpenAI's embeddings format."""

from __future__ import annotations

import sys
from array import array
from base64 import b64encode
from collections.abc import Callable, Sequence

import msgspec

from penstock_common.contract.embedding import EmbedResponse
from penstock_gateway.surfaces.wire_formats.openai.embeddings import wire

_encode = msgspec.json.Encoder().encode


def render_numbers(embedded: EmbedResponse) -> bytes:
    """Return the answer's body with vectors as arrays of numbers."""
    return _render(embedded, list[float])


def render_base64(embedded: EmbedResponse) -> bytes:
    """Return the answer's body with vectors as base64 of little-endian float32."""
    return _render(embedded, _base64)


def _render(embedded: EmbedResponse, write: Callable[[Sequence[float]], list[float] | str]) -> bytes:
    return _encode(
        wire.EmbeddingList(
            data=[
                wire.EmbeddingObject(index=index, embedding=write(vector.values))
                for index, vector in enumerate(embedded.vectors)
            ],
            model=embedded.model,
            usage=wire.EmbeddingUsage(prompt_tokens=embedded.input_tokens, total_tokens=embedded.input_tokens),
        )
    )


def _base64(values: Sequence[float]) -> str:
    numbers = array("f", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers).decode()
