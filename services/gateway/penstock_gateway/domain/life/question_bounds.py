"""The bounds of questions that are no conversations, those of the contract's comments; messages name fields by its paths."""

from __future__ import annotations

from penstock_common.contract.questions import ModeratedImage, ModeratedPart
from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.life.order import ModerationInput, RerankInput
from penstock_gateway.domain.life.validation import MAX_MODEL_LENGTH

MAX_DOCUMENTS = 1000
MAX_DOCUMENT_BYTES = 1024 * 1024
MAX_CONTENTS = 128
MAX_CONTENT_PARTS = 128
_URLS = ("https://", "http://", "data:")


def validate_rerank(value: RerankInput) -> None:
    """Raise InvalidRequest for the first field that is out of bounds."""
    _check_model(value.model)
    _check_text("query", value.query)
    if not value.documents:
        raise InvalidRequest("documents must hold at least one text.", field="documents")
    if len(value.documents) > MAX_DOCUMENTS:
        raise InvalidRequest(
            f"documents may hold at most {MAX_DOCUMENTS} texts, not {len(value.documents)}; split them.",
            field="documents",
        )
    if value.top_n is not None and value.top_n < 1:
        raise InvalidRequest(f"top_n must be at least 1, not {value.top_n}.", field="top_n")
    if not 0 <= value.max_tokens_per_document < 2**31:
        raise InvalidRequest("max_tokens_per_document must be a number of tokens.", field="max_tokens_per_document")
    for index, document in enumerate(value.documents):
        _check_text(f"documents[{index}]", document)


def validate_moderation(value: ModerationInput) -> None:
    """Raise InvalidRequest for the first field that is out of bounds."""
    _check_model(value.model)
    if not 1 <= len(value.contents) <= MAX_CONTENTS:
        raise InvalidRequest(f"contents must hold 1 to {MAX_CONTENTS}, not {len(value.contents)}.", field="contents")
    for index, content in enumerate(value.contents):
        path = f"contents[{index}]"
        if not 1 <= len(content.parts) <= MAX_CONTENT_PARTS:
            raise InvalidRequest(f"{path}.parts must hold 1 to {MAX_CONTENT_PARTS}.", field=f"{path}.parts")
        for at, part in enumerate(content.parts):
            _check_part(f"{path}.parts[{at}]", part)


def _check_part(path: str, part: ModeratedPart) -> None:
    if not isinstance(part, ModeratedImage):
        _check_text(f"{path}.text", part.text)
    elif not part.url.startswith(_URLS):
        field = f"{path}.image_url"
        raise InvalidRequest(f"{field} must be an https: or data: URL.", field=field)


def _check_model(model: str) -> None:
    if not 1 <= len(model) <= MAX_MODEL_LENGTH:
        raise InvalidRequest(f"model must have 1 to {MAX_MODEL_LENGTH} characters.", field="model")


def _check_text(path: str, text: str) -> None:
    if not text:
        raise InvalidRequest(f"{path} is empty.", field=path)
    # Counting characters first spares encoding what is short.
    if len(text) * 4 > MAX_DOCUMENT_BYTES and len(text.encode(errors="replace")) > MAX_DOCUMENT_BYTES:
        raise InvalidRequest(f"{path} may have at most {MAX_DOCUMENT_BYTES} bytes; split it.", field=path)
