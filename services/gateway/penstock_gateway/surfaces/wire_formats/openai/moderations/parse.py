"""Turns the bytes of a request for verdicts into the suite's vocabulary."""

from __future__ import annotations

import msgspec

from penstock_common.contract.questions import ModeratedContent, ModeratedImage, ModeratedText
from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import RequestContext
from penstock_gateway.domain.life.order import ModerationInput
from penstock_gateway.surfaces.wire_formats.format import ReadModerationRequest
from penstock_gateway.surfaces.wire_formats.json_body import read_members, read_object
from penstock_gateway.surfaces.wire_formats.openai.moderations import wire

DEFAULT_MODEL = "omni-moderation-latest"
"""Who judges where a request names nobody; the configuration says what stands behind the name."""

_REQUEST = msgspec.json.Decoder(wire.ModerationRequest)
_TEXTS = msgspec.json.Decoder(str | list[str])
_PARTS = msgspec.json.Decoder(list[wire.TextPart | wire.ImagePart])


def parse_moderation_request(body: bytes) -> ReadModerationRequest:
    """Return the request that the body holds.

    Raises:
        InvalidRequest: if the body is not JSON, or a field is missing or of the wrong type.
    """
    read_members(body)
    request = read_object(_REQUEST, body)
    contents = _contents(bytes(request.input))
    return ReadModerationRequest(
        input=ModerationInput(model=request.model or DEFAULT_MODEL, contents=contents), context=RequestContext()
    )


def _contents(given: bytes) -> tuple[ModeratedContent, ...]:
    """Return one content of each text, or one of all parts together."""
    try:
        texts = _TEXTS.decode(given)
    except msgspec.ValidationError:
        return (_of_parts(given),)
    if not texts and isinstance(texts, list):
        raise InvalidRequest("'input' must hold at least one text.", field="input")
    each = [texts] if isinstance(texts, str) else texts
    return tuple([ModeratedContent((ModeratedText(text),)) for text in each])


def _of_parts(given: bytes) -> ModeratedContent:
    try:
        parts = _PARTS.decode(given)
    except msgspec.ValidationError:
        raise InvalidRequest(
            "'input' must be a text, texts, or parts of the types 'text' and 'image_url'.", field="input"
        ) from None
    return ModeratedContent(
        tuple(
            [
                ModeratedText(part.text) if isinstance(part, wire.TextPart) else ModeratedImage(part.image_url.url)
                for part in parts
            ]
        ),
        is_parts=True,
    )
