"""What ``KnowledgeService`` of ``penstock.embedding.v1`` is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.contract.knowledge import (
    Attribute,
    Chunk,
    Document,
    DocumentState,
    EvaluationQuery,
    IndexSpec,
    IndexVersion,
    IngestProgress,
    KnowledgeBase,
    SearchOptions,
    SearchResult,
)
from penstock_common.llm.types import Value


class ChunkRequest(Value, frozen=True, kw_only=True):
    """A document to cut; nothing of it is kept."""

    content: bytes
    filename: str = ""
    media_type: str = ""
    spec: IndexSpec = IndexSpec()


class ChunkResponse(Value, frozen=True):
    """Its chunks, and what was read."""

    chunks: Sequence[Chunk]
    document: Document


class PutBaseRequest(Value, frozen=True, kw_only=True):
    """A knowledge base to make or to change."""

    tenant: str
    id: str = ""
    name: str = ""
    attributes: Sequence[Attribute] = ()
    spec: IndexSpec = IndexSpec()
    create_only: bool = False
    change_only: bool = False


class PutBaseResponse(Value, frozen=True):
    """As it is now."""

    base: KnowledgeBase


class GetBaseRequest(Value, frozen=True):
    """Which one."""

    tenant: str
    id: str


class GetBaseResponse(Value, frozen=True):
    """It."""

    base: KnowledgeBase


class ListBasesRequest(Value, frozen=True):
    """Whose, and which page."""

    tenant: str
    page_size: int = 0
    page_token: str = ""
    descending: bool = False


class ListBasesResponse(Value, frozen=True):
    """By id."""

    bases: Sequence[KnowledgeBase] = ()
    next_page_token: str = ""


class DeleteBaseRequest(Value, frozen=True):
    """Which one."""

    tenant: str
    id: str


class DeleteBaseResponse(Value, frozen=True):
    """Whether there was one."""

    existed: bool


class PutDocumentRequest(Value, frozen=True, kw_only=True):
    """A document to take in."""

    tenant: str
    base: str
    id: str = ""
    content: bytes
    filename: str = ""
    media_type: str = ""
    title: str = ""
    attributes: Sequence[Attribute] = ()
    labels: Sequence[str] = ()
    language: str = ""
    if_version: int = 0


class PutDocumentResponse(Value, frozen=True):
    """As it is now; ``unchanged`` if it was there already."""

    document: Document
    unchanged: bool = False


class ChangeDocumentRequest(Value, frozen=True, kw_only=True):
    """What is to change of a document without its text."""

    tenant: str
    base: str
    id: str
    attributes: Sequence[Attribute] = ()
    replace_attributes: bool = False
    labels: Sequence[str] = ()
    replace_labels: bool = False
    cancel: bool = False


class ChangeDocumentResponse(Value, frozen=True):
    """As it is now."""

    document: Document


class GetDocumentRequest(Value, frozen=True):
    """Which one."""

    tenant: str
    base: str
    id: str


class GetDocumentResponse(Value, frozen=True):
    """It."""

    document: Document


class ListDocumentsRequest(Value, frozen=True):
    """Of which knowledge base, and which page."""

    tenant: str
    base: str
    page_size: int = 0
    page_token: str = ""
    state: DocumentState = ""
    descending: bool = False
    ids: Sequence[str] = ()


class ListDocumentsResponse(Value, frozen=True):
    """By id."""

    documents: Sequence[Document] = ()
    next_page_token: str = ""


class ListChunksRequest(Value, frozen=True):
    """Of which document, and which page."""

    tenant: str
    base: str
    document: str
    page_size: int = 0
    page_token: str = ""


class ListChunksResponse(Value, frozen=True):
    """In their order."""

    chunks: Sequence[Chunk] = ()
    next_page_token: str = ""


class GetOriginalRequest(Value, frozen=True):
    """Of which document."""

    tenant: str
    base: str
    id: str


class GetOriginalResponse(Value, frozen=True):
    """What was put."""

    content: bytes
    media_type: str = ""
    filename: str = ""


class DeleteDocumentRequest(Value, frozen=True):
    """Which one."""

    tenant: str
    base: str
    id: str


class DeleteDocumentResponse(Value, frozen=True):
    """Whether there was one."""

    existed: bool


class WatchIngestRequest(Value, frozen=True):
    """Of which knowledge base."""

    tenant: str
    base: str


class WatchIngestResponse(Value, frozen=True):
    """How far it is now."""

    progress: IngestProgress


class SearchRequest(Value, frozen=True, kw_only=True):
    """A question, and whose it is: ``tenant`` and ``labels`` are those of the caller's key."""

    tenant: str
    bases: Sequence[str]
    query: str
    labels: Sequence[str] = ()
    options: SearchOptions = SearchOptions()


class SearchResponse(Value, frozen=True):
    """What was found."""

    result: SearchResult


class BuildIndexRequest(Value, frozen=True):
    """What to make the next version with; ``again`` though there is one like it."""

    tenant: str
    base: str
    spec: IndexSpec
    again: bool = False


class BuildIndexResponse(Value, frozen=True):
    """The version that was begun."""

    index: IndexVersion


class ListIndexesRequest(Value, frozen=True):
    """Of which knowledge base."""

    tenant: str
    base: str


class ListIndexesResponse(Value, frozen=True):
    """The newest first."""

    indexes: Sequence[IndexVersion] = ()


class SwitchIndexRequest(Value, frozen=True):
    """Which version is to serve; 0 is the one before."""

    tenant: str
    base: str
    version: int = 0
    force: bool = False


class SwitchIndexResponse(Value, frozen=True):
    """The one that serves now."""

    index: IndexVersion


class DropIndexRequest(Value, frozen=True):
    """Which version to delete."""

    tenant: str
    base: str
    version: int


class DropIndexResponse(Value, frozen=True):
    """Whether there was one."""

    existed: bool


class PutEvaluationRequest(Value, frozen=True):
    """What versions are compared by from now on."""

    tenant: str
    base: str
    queries: Sequence[EvaluationQuery] = ()


class PutEvaluationResponse(Value, frozen=True):
    """How many there are."""

    queries: int
