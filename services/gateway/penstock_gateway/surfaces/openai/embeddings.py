"""OpenAI's embeddings format: requests read, answers written.

As in ``parse.py`` only shape and types are checked, and nothing is dropped in silence.
"""

from __future__ import annotations

import sys
from array import array
from base64 import b64encode
from collections.abc import Sequence

import msgspec

from penstock_common.contract.embedding import EmbedRequest, EmbedResponse
from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_common.llm.types import RequestContext
from penstock_gateway.surfaces.json_body import read_members, read_object
from penstock_gateway.surfaces.openai import embedding_wire as wire

_REQUEST = msgspec.json.Decoder(wire.EmbeddingsRequest)
_CHOICES = {"encoding_format": "'float' or 'base64'"}
_encode = msgspec.json.Encoder().encode


class EmbeddingsBody(msgspec.Struct, frozen=True, kw_only=True):
    """A request, read."""

    input: EmbedRequest
    context: RequestContext
    as_base64: bool


def parse_embeddings_request(body: bytes) -> EmbeddingsBody:
    """Return the request that the body holds.

    Raises:
        InvalidRequest: if the body is not JSON, or a field is missing or of the wrong type.
        UnsupportedParameter: if a field asks for what Penstock cannot do.
    """
    read_members(body)
    request = read_object(_REQUEST, body, _CHOICES)
    if request.dimensions is not None and request.dimensions < 1:
        raise InvalidRequest(f"'dimensions' must be at least 1, not {request.dimensions}.", field="dimensions")
    return EmbeddingsBody(
        input=EmbedRequest(model=request.model, texts=_texts(request.input), dimensions=request.dimensions or 0),
        context=RequestContext(user=request.user or ""),
        as_base64=request.encoding_format == "base64",
    )


def render_embeddings(embedded: EmbedResponse, *, as_base64: bool) -> bytes:
    """Return the answer's body."""
    write = _base64 if as_base64 else list[float]
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


def _base64(values: Sequence[float]) -> str:
    numbers = array("f", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers).decode()
