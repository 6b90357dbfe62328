"""What ``FileService`` of ``penstock.embedding.v1`` is asked, and what it answers; its comments give units and bounds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from penstock_common.contract.knowledge import Attribute, Document, DocumentState
from penstock_common.llm.types import Value


class StoredFile(Value, frozen=True, kw_only=True):
    """A file as it was uploaded, without its content."""

    id: str
    filename: str
    purpose: str
    bytes: int
    created_at: datetime


class Attachment(Value, frozen=True):
    """A file to make a document of."""

    file: str
    attributes: Sequence[Attribute] = ()
    labels: Sequence[str] = ()


class FileBatch(Value, frozen=True, kw_only=True):
    """Files that were attached together, and how many of them are in each state."""

    id: str
    base: str
    created_at: datetime
    cancelled: bool = False
    pending: int = 0
    ready: int = 0
    failed: int = 0
    documents_cancelled: int = 0


class PutFileRequest(Value, frozen=True, kw_only=True):
    """A file to keep."""

    tenant: str
    filename: str
    purpose: str
    content: bytes


class PutFileResponse(Value, frozen=True):
    """As it is kept."""

    file: StoredFile


class GetFileRequest(Value, frozen=True):
    """Which one."""

    tenant: str
    id: str


class GetFileResponse(Value, frozen=True):
    """It."""

    file: StoredFile


class GetFileContentRequest(Value, frozen=True):
    """Of which one."""

    tenant: str
    id: str


class GetFileContentResponse(Value, frozen=True):
    """What was uploaded."""

    file: StoredFile
    content: bytes


class ListFilesRequest(Value, frozen=True, kw_only=True):
    """Whose, and which page."""

    tenant: str
    after: str = ""
    page_size: int = 100
    descending: bool = False
    purpose: str = ""


class ListFilesResponse(Value, frozen=True):
    """By id; whether there are more behind them."""

    files: Sequence[StoredFile] = ()
    more: bool = False


class DeleteFileRequest(Value, frozen=True):
    """Which one."""

    tenant: str
    id: str


class DeleteFileResponse(Value, frozen=True):
    """Whether there was one."""

    existed: bool


class AttachFilesRequest(Value, frozen=True, kw_only=True):
    """Which files to make documents of, and where."""

    tenant: str
    base: str
    files: Sequence[Attachment]
    batch: bool = False


class AttachFilesResponse(Value, frozen=True):
    """The first one's document, and the batch where one was asked for."""

    document: Document
    batch: FileBatch | None = None


class GetBatchRequest(Value, frozen=True):
    """Which one."""

    tenant: str
    base: str
    id: str


class GetBatchResponse(Value, frozen=True):
    """It."""

    batch: FileBatch


class CancelBatchRequest(Value, frozen=True):
    """Which one."""

    tenant: str
    base: str
    id: str


class CancelBatchResponse(Value, frozen=True):
    """As it is now."""

    batch: FileBatch


class ListBatchDocumentsRequest(Value, frozen=True, kw_only=True):
    """Of which batch, and which page."""

    tenant: str
    base: str
    id: str
    after: str = ""
    page_size: int = 20
    descending: bool = False
    state: DocumentState = ""


class ListBatchDocumentsResponse(Value, frozen=True):
    """By id; whether there are more behind them."""

    documents: Sequence[Document] = ()
    more: bool = False
