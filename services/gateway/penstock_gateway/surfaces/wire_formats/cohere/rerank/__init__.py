"""``POST /v1/rerank``, with errors as OpenAI tells them, and ``POST /v2/rerank``, as Cohere's own client asks."""

from __future__ import annotations

from penstock_gateway.surfaces.wire_formats.cohere.errors import COHERE
from penstock_gateway.surfaces.wire_formats.cohere.rerank.parse import parse_rerank_request
from penstock_gateway.surfaces.wire_formats.format import RerankFormat
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI

FORMATS = (
    RerankFormat(family=OPENAI, path="/v1/rerank", parse=parse_rerank_request),
    RerankFormat(family=COHERE, path="/v2/rerank", parse=parse_rerank_request),
)
