"""What may be said of knowledge bases and documents, and what their parts are called."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping, Sequence

from penstock_common.contract.knowledge import Attribute, IndexSpec, Splitter
from penstock_common.contract.knowledge_calls import PutDocumentRequest
from penstock_common.errors import InvalidRequest
from penstock_embedding.domain.chunking.chunker import sizes_of
from penstock_embedding.domain.knowledge.records import Key

MAX_PAGE = 100
DEFAULT_PAGE = 20
MAX_ATTRIBUTES = 16
MAX_LABELS = 32
RESERVED = frozenset({"tenant", "label", "labels", "document", "version", "base", "knowledge_base"})
"""Names that attributes may not have: who may find a document is not its own to say."""

_BASE_ID = re.compile(r"[a-z0-9_-]{1,64}")
_DOCUMENT_ID = re.compile(r"[!-~]{1,128}")
_FORBIDDEN_IN_DOCUMENT_ID = frozenset("/?#")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LABEL = re.compile(r"[!-~]{1,64}")
_MAX_TEXT = 512
_MAX_NAME = 256
_NAMESPACE = uuid.UUID("6f4e2a52-6f0b-5c0e-9a51-0d8d7c1b7a10")


def check_base(id_: str, name: str) -> None:
    """Raise ``InvalidRequest`` for an id or a name that a knowledge base may not have."""
    if not _BASE_ID.fullmatch(id_):
        raise InvalidRequest("A knowledge base's id is 1 to 64 lower-case letters, digits, '-' and '_'.", field="id")
    if len(name) > _MAX_NAME:
        raise InvalidRequest(f"A name has at most {_MAX_NAME} characters.", field="name")


def check_document(request: PutDocumentRequest, max_bytes: int) -> None:
    """Raise ``InvalidRequest`` for a document that cannot be kept."""
    if not request.content:
        raise InvalidRequest("The document is empty: send its content.", field="content")
    if len(request.content) > max_bytes:
        raise InvalidRequest(
            f"The document has {len(request.content):,} bytes, and at most {max_bytes:,} are taken in: "
            "divide it, or raise 'knowledge.max_document_bytes'.",
            field="content",
        )
    if request.id and (not _DOCUMENT_ID.fullmatch(request.id) or not _FORBIDDEN_IN_DOCUMENT_ID.isdisjoint(request.id)):
        raise InvalidRequest(
            "A document's id is 1 to 128 visible ASCII characters without '/', '?' and '#'.", field="id"
        )
    for field, most in (("filename", _MAX_TEXT), ("title", _MAX_TEXT), ("media_type", 128), ("language", 35)):
        if len(getattr(request, field)) > most:
            raise InvalidRequest(f"'{field}' has more than {most} characters.", field=field)


def check_attributes(attributes: Sequence[Attribute]) -> None:
    """Raise ``InvalidRequest`` for attributes that are too many, too long, or not theirs to set."""
    if len(attributes) > MAX_ATTRIBUTES:
        raise InvalidRequest(f"At most {MAX_ATTRIBUTES} attributes are kept.", field="attributes")
    seen: set[str] = set()
    for index, attribute in enumerate(attributes):
        _check_attribute(attribute, f"attributes[{index}]")
        if attribute.name in seen:
            raise InvalidRequest(f"The attribute '{attribute.name}' is given twice.", field=f"attributes[{index}].name")
        seen.add(attribute.name)


def _check_attribute(attribute: Attribute, path: str) -> None:
    name, value = attribute.name, attribute.value
    if not _ATTRIBUTE_NAME.fullmatch(name):
        raise InvalidRequest("A name is 1 to 64 letters, digits, '_', '-' and '.'.", field=f"{path}.name")
    if name in RESERVED:
        raise InvalidRequest(f"The attribute '{name}' is not yours to set: choose another name.", field=f"{path}.name")
    given = [one for one in (value.text, value.number, value.flag) if one is not None]
    if len(given) != 1:
        raise InvalidRequest("An attribute's value is a text, a number or a flag.", field=f"{path}.value")
    if value.text is not None and len(value.text) > _MAX_TEXT:
        raise InvalidRequest(f"A text has at most {_MAX_TEXT} characters.", field=f"{path}.value")
    if value.number is not None and value.number - value.number != 0:
        raise InvalidRequest("A number is finite.", field=f"{path}.value")


def check_labels(labels: Sequence[str]) -> Sequence[str]:
    """Return labels in their order, each once.

    Raises:
        InvalidRequest: if they are too many, or one is no label.
    """
    if len(labels) > MAX_LABELS:
        raise InvalidRequest(f"A document has at most {MAX_LABELS} labels.", field="labels")
    for index, label in enumerate(labels):
        if not _LABEL.fullmatch(label) or label == "*":
            raise InvalidRequest("A label is 1 to 64 visible ASCII characters, and not '*'.", field=f"labels[{index}]")
    return tuple(sorted(set(labels)))


def page_size(asked: int) -> int:
    """Return how many items a page has.

    Raises:
        InvalidRequest: if it may not have so many.
    """
    if asked > MAX_PAGE:
        raise InvalidRequest(f"A page has at most {MAX_PAGE} items.", field="page_size")
    return asked or DEFAULT_PAGE


def resolved(spec: IndexSpec, window_tokens: int) -> IndexSpec:
    """Return a spec with its defaults in it, so that equal ones are told.

    Raises:
        InvalidRequest: if the model's window does not hold the chunks.
    """
    sizes = sizes_of(spec.splitter, window_tokens)
    return IndexSpec(spec.model, Splitter(spec.splitter.kind or "auto", sizes.most, sizes.overlap))


def hash_of(content: bytes) -> str:
    """Return the SHA-256 of a content, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def fingerprint_of(content_hash: str, said: Mapping[str, str]) -> str:
    """Return the hash of all that chunks are made of: the content, and what was said of it."""
    digest = hashlib.sha256(content_hash.encode())
    for name in sorted(said):
        digest.update(f"\0{name}\0{len(said[name])}\0{said[name]}".encode())
    return digest.hexdigest()


def new_document_id(request: PutDocumentRequest) -> str:
    """Return the id of a document that was given none: the same for the same file."""
    return "doc-" + hashlib.sha256(request.filename.encode() + b"\0" + request.content).hexdigest()[:32]


def chunk_id(key: Key, fingerprint: str, splitter: Splitter, span: tuple[int, int]) -> str:
    """Return the id of a chunk; the same for the same span of the same content, cut by the same splitter."""
    parts = (*key, fingerprint, splitter.kind, splitter.max_tokens, splitter.overlap_tokens, *span)
    return str(uuid.uuid5(_NAMESPACE, "\0".join(map(str, parts))))
