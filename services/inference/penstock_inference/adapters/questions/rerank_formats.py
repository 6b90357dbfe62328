"""The formats in which servers are asked to rank documents, by the names that the configuration uses.

=======  ==================================================================================
jina     Jina, vLLM, SGLang, llama.cpp, Together: ``top_n``, and scores in ``results``
cohere   Cohere's v2: as Jina's, ``max_tokens_per_doc``; search units are billed
voyage   Voyage: ``top_k``, and scores in ``data``
tei      Hugging Face's Text Embeddings Inference: ``texts``, and an array of ``score``
=======  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from penstock_common.contract.questions import RankedDocument, RerankRequest
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.question_upstream import Reranked

ToldT = TypeVar("ToldT")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class RerankFormat:
    """How a server is asked at ``path`` behind its base URL, and what it answers."""

    path: str
    body: Callable[[RerankRequest, str], bytes]
    read: Callable[[bytes], Reranked]


class _Scored(msgspec.Struct):
    index: int
    relevance_score: float


class _BilledUnits(msgspec.Struct):
    search_units: float = 0
    total_tokens: float = 0
    input_tokens: float = 0


class _Meta(msgspec.Struct):
    billed_units: _BilledUnits | None = None


class _Usage(msgspec.Struct):
    total_tokens: int = 0


class _Results(msgspec.Struct):
    results: list[_Scored]
    usage: _Usage | None = None
    meta: _Meta | None = None


class _Data(msgspec.Struct):
    data: list[_Scored]
    usage: _Usage | None = None


class _ScoredText(msgspec.Struct):
    index: int
    score: float


_RESULTS = msgspec.json.Decoder(_Results)
_DATA = msgspec.json.Decoder(_Data)
_TEXTS = msgspec.json.Decoder(list[_ScoredText])


def _jina(request: RerankRequest, model: str) -> bytes:
    body: dict[str, object] = {"model": model, "query": request.query, "documents": request.documents}
    if request.top_n:
        body["top_n"] = min(request.top_n, len(request.documents))
    body["return_documents"] = False
    return _encode(body)


def _cohere(request: RerankRequest, model: str) -> bytes:
    body: dict[str, object] = {"model": model, "query": request.query, "documents": request.documents}
    if request.top_n:
        body["top_n"] = min(request.top_n, len(request.documents))
    if request.max_tokens_per_document:
        body["max_tokens_per_doc"] = request.max_tokens_per_document
    return _encode(body)


def _voyage(request: RerankRequest, model: str) -> bytes:
    body: dict[str, object] = {"model": model, "query": request.query, "documents": request.documents}
    if request.top_n:
        body["top_k"] = min(request.top_n, len(request.documents))
    return _encode(body)


def _tei(request: RerankRequest, model: str) -> bytes:
    del model
    return _encode({"query": request.query, "texts": request.documents, "truncate": True})


def _read_results(body: bytes) -> Reranked:
    told = _decoded(_RESULTS, body)
    billed = told.meta.billed_units if told.meta is not None and told.meta.billed_units is not None else _BilledUnits()
    tokens = told.usage.total_tokens if told.usage is not None else int(billed.total_tokens or billed.input_tokens)
    return Reranked(_ranked(told.results), max(0, tokens), max(0, int(billed.search_units)))


def _read_data(body: bytes) -> Reranked:
    told = _decoded(_DATA, body)
    return Reranked(_ranked(told.data), max(0, told.usage.total_tokens) if told.usage is not None else 0)


def _read_texts(body: bytes) -> Reranked:
    return Reranked(tuple([RankedDocument(one.index, one.score) for one in _decoded(_TEXTS, body)]))


def _ranked(scored: list[_Scored]) -> tuple[RankedDocument, ...]:
    return tuple([RankedDocument(one.index, one.relevance_score) for one in scored])


def _decoded(decoder: msgspec.json.Decoder[ToldT], body: bytes) -> ToldT:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError:
        raise AttemptFailed(FailureKind.MALFORMED, "the upstream did not answer with a ranking") from None


RERANK_FORMATS: Mapping[str, RerankFormat] = {
    "jina": RerankFormat("/rerank", _jina, _read_results),
    "cohere": RerankFormat("/rerank", _cohere, _read_results),
    "voyage": RerankFormat("/rerank", _voyage, _read_data),
    "tei": RerankFormat("/rerank", _tei, _read_texts),
}
