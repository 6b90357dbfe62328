"""``POST /v1/embeddings``."""

from __future__ import annotations

from penstock_gateway.surfaces.wire_formats.format import EmbeddingFormat
from penstock_gateway.surfaces.wire_formats.openai.embeddings.parse import parse_embeddings_request
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI

FORMAT = EmbeddingFormat(family=OPENAI, path="/v1/embeddings", parse=parse_embeddings_request)
