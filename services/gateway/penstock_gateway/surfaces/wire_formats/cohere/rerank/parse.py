"""Turns the bytes of a request for a ranking into the suite's vocabulary, and the answer back."""

from __future__ import annotations

import msgspec

from penstock_common.contract.questions import RerankResponse
from penstock_common.errors import UnsupportedParameter
from penstock_common.llm.types import RequestContext
from penstock_gateway.domain.life.order import RerankInput
from penstock_gateway.surfaces.wire_formats.cohere.rerank import wire
from penstock_gateway.surfaces.wire_formats.format import ReadRerankRequest
from penstock_gateway.surfaces.wire_formats.json_body import read_members, read_object

_REQUEST = msgspec.json.Decoder(wire.RerankRequest)
_encode = msgspec.json.Encoder().encode


def parse_rerank_request(body: bytes) -> ReadRerankRequest:
    """Return the request that the body holds.

    Raises:
        InvalidRequest: if the body is not JSON, or a field is missing or of the wrong type.
        UnsupportedParameter: if a field asks for what Penstock cannot do.
    """
    read_members(body)
    request = read_object(_REQUEST, body)
    if request.rank_fields not in (None, [], ["text"]):
        raise UnsupportedParameter("'rank_fields' may only name 'text': documents are texts.", parameter="rank_fields")
    documents = tuple([each if isinstance(each, str) else each.text for each in request.documents])
    returned = documents if request.return_documents else ()
    return ReadRerankRequest(
        input=RerankInput(
            model=request.model,
            query=request.query,
            documents=documents,
            top_n=request.top_n,
            max_tokens_per_document=request.max_tokens_per_doc or 0,
        ),
        context=RequestContext(user=request.user or ""),
        render=lambda response, answer_id: _render(response, answer_id, returned),
    )


def _render(response: RerankResponse, answer_id: str, returned: tuple[str, ...]) -> bytes:
    answered = response.answered
    tokens = answered.input_tokens
    return _encode(
        wire.Ranking(
            id=answer_id,
            model=answered.answered_by.model,
            results=[
                wire.RankedDocument(
                    index=one.index,
                    relevance_score=one.score,
                    document=wire.RankedText(returned[one.index]) if returned else None,
                )
                for one in response.ranked
            ],
            meta=wire.Meta(wire.BilledUnits(answered.search_units)) if answered.search_units else None,
            usage=wire.Usage(tokens, tokens),
        )
    )
