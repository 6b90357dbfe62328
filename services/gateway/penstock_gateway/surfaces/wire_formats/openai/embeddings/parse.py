"""Turns the bytes of an embeddings request into the suite's vocabulary.

As in ``chat/parse.py`` only shape and types are checked, and nothing is dropped in silence.
"""

from __future__ import annotations

import msgspec

from penstock_common.contract.embedding import EmbedRequest
from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_common.llm.types import RequestContext
from penstock_gateway.surfaces.wire_formats.format import ReadEmbeddingRequest
from penstock_gateway.surfaces.wire_formats.json_body import read_members, read_object
from penstock_gateway.surfaces.wire_formats.openai.embeddings import wire
from penstock_gateway.surfaces.wire_formats.openai.embeddings.render import render_base64, render_numbers

_REQUEST = msgspec.json.Decoder(wire.EmbeddingsRequest)
_CHOICES = {"encoding_format": "'float' or 'base64'"}


def parse_embeddings_request(body: bytes) -> ReadEmbeddingRequest:
    """Return the request that the body holds.

    Raises:
        InvalidRequest: if the body is not JSON, or a field is missing or of the wrong type.
        UnsupportedParameter: if a field asks for what Penstock cannot do.
    """
    read_members(body)
    request = read_object(_REQUEST, body, _CHOICES)
    if request.dimensions is not None and request.dimensions < 1:
        raise InvalidRequest(f"'dimensions' must be at least 1, not {request.dimensions}.", field="dimensions")
    return ReadEmbeddingRequest(
        input=EmbedRequest(model=request.model, texts=_texts(request.input), dimensions=request.dimensions or 0),
        context=RequestContext(user=request.user or ""),
        render=render_base64 if request.encoding_format == "base64" else render_numbers,
    )


def _texts(given: str | list[str | int | list[int]]) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    texts = tuple([item for item in given if isinstance(item, str)])
    if len(texts) < len(given):
        # They are numbers of the vocabulary of a model of OpenAI's, and mean other words to every other model.
        raise UnsupportedParameter(
            "'input' as an array of tokens is not supported; send text (LangChain: check_embedding_ctx_length=False).",
            parameter="input",
        )
    return texts
