"""``POST /v1/rerank``: the request's fields, and the objects of its answer.

https://docs.cohere.com/reference/rerank and https://api.jina.ai/redoc, as of November 2026: where the two differ, both are read.
"""

from __future__ import annotations

import msgspec

from penstock_gateway.surfaces.wire_formats.openai.wire import WireObject


class RerankDocument(msgspec.Struct):
    """A document as an object; what else it has is not read."""

    text: str


class RerankRequest(WireObject, kw_only=True):
    """Body of the request; a field that is not here is refused."""

    model: str
    query: str
    documents: list[str | RerankDocument]
    top_n: int | None = None
    return_documents: bool | None = None
    max_tokens_per_doc: int | None = None
    rank_fields: list[str] | None = None
    user: str | None = None


class RankedText(msgspec.Struct):
    """A document that was asked to be returned."""

    text: str


class RankedDocument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One document's place; ``document`` is absent where nobody asked for it."""

    index: int
    relevance_score: float
    document: RankedText | None = None


class BilledUnits(msgspec.Struct):
    """What Cohere bills."""

    search_units: int


class Meta(msgspec.Struct):
    """What Cohere says beside the answer."""

    billed_units: BilledUnits


class Usage(msgspec.Struct):
    """What others bill."""

    total_tokens: int
    prompt_tokens: int


class Ranking(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Body of the answer."""

    id: str
    model: str
    results: list[RankedDocument]
    meta: Meta | None = None
    usage: Usage
