"""Vector stores and files on the wire: the requests' fields, and the objects of the answers.

https://platform.openai.com/docs/api-reference/vector-stores, as read from the types of openai-python 3.52.
Requests refuse a field that they do not know; ``null`` means unset.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from penstock_gateway.surfaces.wire_formats.openai.wire import WireObject

AttributeValues = dict[str, str | int | float | bool]
FileStatus = Literal["in_progress", "completed", "cancelled", "failed"]


class StaticStrategy(WireObject):
    """How long chunks are, in tokens."""

    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class ChunkingStrategy(WireObject):
    """``static`` is there with the type ``static`` alone."""

    type: Literal["auto", "static"]
    static: StaticStrategy | None = None


class StoreCreation(WireObject):
    """Body of ``POST /v1/vector_stores``."""

    name: str | None = None
    metadata: dict[str, str] | None = None
    file_ids: list[str] | None = None
    chunking_strategy: ChunkingStrategy | None = None
    expires_after: Any = None
    description: Any = None


class StoreChange(WireObject):
    """Body of ``POST /v1/vector_stores/{store}``."""

    name: str | None = None
    metadata: dict[str, str] | None = None
    expires_after: Any = None


class FileAttachment(WireObject):
    """Body of ``POST /v1/vector_stores/{store}/files``, and a file of a batch. ``penstock_labels``: who may find it."""

    file_id: str
    attributes: AttributeValues | None = None
    chunking_strategy: ChunkingStrategy | None = None
    penstock_labels: list[str] | None = None


class FileChange(WireObject):
    """Body of ``POST /v1/vector_stores/{store}/files/{file}``."""

    attributes: AttributeValues | msgspec.UnsetType | None = msgspec.UNSET
    penstock_labels: list[str] | msgspec.UnsetType = msgspec.UNSET


class BatchCreation(WireObject):
    """Body of ``POST /v1/vector_stores/{store}/file_batches``: ``file_ids`` with what all have, or ``files``."""

    file_ids: list[str] | None = None
    files: list[FileAttachment] | None = None
    attributes: AttributeValues | None = None
    chunking_strategy: ChunkingStrategy | None = None
    penstock_labels: list[str] | None = None


class RankingOptions(WireObject):
    """How results are ordered, and how good they must be."""

    ranker: Literal["none", "auto", "default-2024-11-15"] | None = None
    score_threshold: float | None = None


class SearchBody(WireObject):
    """Body of ``POST /v1/vector_stores/{store}/search``."""

    query: str | list[str]
    filters: Any = None
    max_num_results: int | None = None
    ranking_options: RankingOptions | None = None
    rewrite_query: bool | None = None


class FileCounts(msgspec.Struct, kw_only=True):
    """Files by what has become of them."""

    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int


class VectorStore(msgspec.Struct, kw_only=True):
    """A knowledge base. ``created_at`` is in Unix seconds."""

    id: str
    object: str = "vector_store"
    created_at: int
    name: str
    usage_bytes: int
    file_counts: FileCounts
    status: Literal["in_progress", "completed"]
    expires_after: None = None
    expires_at: None = None
    last_active_at: None = None
    metadata: dict[str, str]


class LastError(msgspec.Struct, kw_only=True):
    """Why a file could not be taken in."""

    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


class StaticTold(msgspec.Struct, kw_only=True):
    """How long chunks are, in tokens."""

    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class StrategyTold(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How a store's files are cut; ``other`` where it is not known yet."""

    type: str
    static: StaticTold | None = None


class VectorStoreFile(msgspec.Struct, kw_only=True):
    """A document of a knowledge base."""

    id: str
    object: str = "vector_store.file"
    usage_bytes: int
    created_at: int
    vector_store_id: str
    status: FileStatus
    last_error: LastError | None
    chunking_strategy: StrategyTold
    attributes: AttributeValues
    penstock_labels: list[str]


class FileBatchObject(msgspec.Struct, kw_only=True):
    """Files that were attached together."""

    id: str
    object: str = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: FileStatus
    file_counts: FileCounts


class FileObject(msgspec.Struct, kw_only=True):
    """An uploaded file."""

    id: str
    object: str = "file"
    bytes: int
    created_at: int
    expires_at: int | None = None
    filename: str
    purpose: str
    status: str = "processed"
    status_details: None = None


class Deleted(msgspec.Struct, kw_only=True):
    """What is gone."""

    id: str
    object: str
    deleted: bool = True


class TextContent(msgspec.Struct, kw_only=True):
    """A piece of text."""

    type: str = "text"
    text: str


class Span(msgspec.Struct, kw_only=True):
    """Where a result stands: the chunk's id, and its code points in the text that was read out of the document."""

    chunk_id: str
    document_version: int
    start: int
    end: int
    page: int


class SearchHit(msgspec.Struct, kw_only=True):
    """A chunk that was found; ``score`` is 0 to 1."""

    file_id: str
    filename: str
    score: float
    attributes: AttributeValues
    content: list[TextContent]
    penstock: Span


class SearchPage(msgspec.Struct, kw_only=True):
    """Body of a search's answer, the best first."""

    object: str = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SearchHit]
    has_more: bool = False
    next_page: None = None


class ContentPage(msgspec.Struct, kw_only=True):
    """The text that was read out of a file."""

    object: str = "vector_store.file_content.page"
    data: list[TextContent]
    has_more: bool = False
    next_page: None = None


class ObjectList(msgspec.Struct, kw_only=True):
    """A page of a list."""

    object: str = "list"
    data: list[Any]
    first_id: str | None
    last_id: str | None
    has_more: bool
