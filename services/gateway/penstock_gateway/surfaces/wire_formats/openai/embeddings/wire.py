"""``POST /v1/embeddings``: the request's fields, and the objects of its answer.

https://platform.openai.com/docs/api-reference/embeddings, as read from the types of openai-python 3.52.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from penstock_gateway.surfaces.wire_formats.openai.wire import WireObject


class EmbeddingsRequest(WireObject, kw_only=True):
    """Body of the request; a field that is not here is refused."""

    model: str
    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None


class EmbeddingObject(msgspec.Struct, kw_only=True):
    """One vector: numbers, or base64 of little-endian float32."""

    object: str = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(msgspec.Struct, kw_only=True):
    """Tokens of the inputs."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, kw_only=True):
    """Body of the answer."""

    object: str = "list"
    data: list[EmbeddingObject]
    model: str
    usage: EmbeddingUsage
