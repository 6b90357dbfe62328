"""What stands about documents and indexes beside what callers see of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from penstock_common.contract.knowledge import Attribute, Chunk, Document
from penstock_embedding.domain.documents.parsed import Parsed
from penstock_embedding.domain.knowledge.ports import IndexRef


class Key(NamedTuple):
    """Names a document."""

    tenant: str
    base: str
    document: str


class Page(NamedTuple):
    """So many items behind an id, by id; descending ones before it."""

    after: str
    limit: int
    descending: bool = False


class NewDocument(NamedTuple):
    """A document that was put; ``fingerprint`` is of all that its chunks are made of."""

    key: Key
    content: bytes
    content_hash: str
    fingerprint: str
    filename: str
    media_type: str
    title: str
    language: str
    attributes: Sequence[Attribute]
    labels: Sequence[str]
    if_version: int = 0


class Limits(NamedTuple):
    """The most of one tenant."""

    bases: int
    documents: int
    bytes: int


class Taken(NamedTuple):
    """A document that a worker is at, under a lease."""

    key: Key
    version: int
    fingerprint: str
    attempts: int
    """This one included."""
    changes: int
    """Of its labels and attributes so far."""
    filename: str
    media_type: str
    title: str
    language: str
    put_at: float
    """When it was put: tells it from one of the same name and number in a knowledge base of the same name."""


@dataclass(frozen=True, slots=True)
class Made:
    """A document as it is in one version of an index: its chunks, and in how many of them each word is."""

    index: IndexRef
    chunks: Sequence[Chunk]
    terms: Mapping[int, int]


class Readout(NamedTuple):
    """What was read out of a version of a document, with what it is called."""

    parsed: Parsed
    title: str
    language: str


class Unbuilt(NamedTuple):
    """A document that is found, and is to be in another version of the index, too."""

    key: Key
    version: int
    fingerprint: str
    changes: int
    document: Document
    readout: Readout


@dataclass(frozen=True, slots=True)
class Garbage:
    """What is to be done to vectors: ``drop`` a document's of versions before one, ``relabel`` it, or drop an ``index``."""

    id: int
    kind: str
    index: IndexRef
    document: str
    before_version: int


class IngestCounts(NamedTuple):
    """How far a knowledge base is."""

    documents: int
    ready: int
    failed: int
    pending: int
    chunks: int
    vectors: int
    bytes_total: int
    bytes_done: int
