"""Tells knowledge bases, documents and files as OpenAI's objects."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from penstock_common.contract.file_calls import FileBatch, StoredFile
from penstock_common.contract.knowledge import Document, DocumentFailure, DocumentState, Hit, KnowledgeBase
from penstock_gateway.surfaces.wire_formats.openai.vector_stores import wire
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.attributes import attributes_told, metadata_told

_STATUSES: dict[DocumentState, wire.FileStatus] = {
    "": "in_progress",
    "pending": "in_progress",
    "ready": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}
STATES: dict[str, DocumentState] = {
    "in_progress": "pending",
    **{status: state for state, status in _STATUSES.items() if state != ""},
}
"""By the words of the query parameter ``filter``."""
_OUR_FAULTS = frozenset({"model", "timeout", "out_of_memory", "internal"})


def store_told(base: KnowledgeBase) -> wire.VectorStore:
    """Return a knowledge base as a vector store."""
    counts = _counts(base.documents_pending, base.documents, base.documents_failed, base.documents_cancelled)
    return wire.VectorStore(
        id=base.id,
        created_at=_seconds(base.created_at),
        name=base.name,
        usage_bytes=base.bytes,
        file_counts=counts,
        status="in_progress" if base.documents_pending else "completed",
        metadata=metadata_told(base.attributes),
    )


def file_told(document: Document, strategy: wire.StrategyTold) -> wire.VectorStoreFile:
    """Return a document as a file of a vector store."""
    return wire.VectorStoreFile(
        id=document.id,
        usage_bytes=document.bytes,
        created_at=_seconds(document.created_at),
        vector_store_id=document.knowledge_base,
        status=_STATUSES[document.state],
        last_error=None if document.failure is None else _error_told(document.failure),
        chunking_strategy=strategy,
        attributes=attributes_told(document.attributes),
        penstock_labels=list(document.labels),
    )


def batch_told(batch: FileBatch) -> wire.FileBatchObject:
    """Return a batch of files."""
    counts = _counts(batch.pending, batch.ready, batch.failed, batch.documents_cancelled)
    return wire.FileBatchObject(
        id=batch.id,
        created_at=_seconds(batch.created_at),
        vector_store_id=batch.base,
        status=_batch_status(batch, counts),
        file_counts=counts,
    )


def upload_told(file: StoredFile) -> wire.FileObject:
    """Return an uploaded file."""
    return wire.FileObject(
        id=file.id,
        bytes=file.bytes,
        created_at=_seconds(file.created_at),
        filename=file.filename,
        purpose=file.purpose,
    )


def hit_told(hit: Hit) -> wire.SearchHit:
    """Return a chunk that was found."""
    chunk = hit.chunk
    return wire.SearchHit(
        file_id=chunk.document,
        filename=hit.filename or hit.title or chunk.document,
        score=min(max(hit.score, 0.0), 1.0),
        attributes=attributes_told(hit.attributes),
        content=[wire.TextContent(text=chunk.text)],
        penstock=wire.Span(
            chunk_id=chunk.id,
            document_version=chunk.document_version,
            start=chunk.start,
            end=chunk.end,
            page=chunk.page,
        ),
    )


def _counts(pending: int, ready: int, failed: int, cancelled: int) -> wire.FileCounts:
    return wire.FileCounts(
        in_progress=pending,
        completed=ready,
        failed=failed,
        cancelled=cancelled,
        total=pending + ready + failed + cancelled,
    )


def _batch_status(batch: FileBatch, counts: wire.FileCounts) -> wire.FileStatus:
    if counts.in_progress:
        return "in_progress"
    if batch.cancelled:
        return "cancelled"
    return "failed" if counts.failed == counts.total else "completed"


def _error_told(failure: DocumentFailure) -> wire.LastError:
    code: Literal["server_error", "unsupported_file", "invalid_file"] = "invalid_file"
    if failure.reason == "unsupported":
        code = "unsupported_file"
    elif failure.reason in _OUR_FAULTS:
        code = "server_error"
    place = f" ({failure.place})" if failure.place else ""
    return wire.LastError(code=code, message=f"{failure.reason}: {failure.message}{place}")


def _seconds(moment: datetime | None) -> int:
    return 0 if moment is None else int(moment.timestamp())
