"""Files that were uploaded: kept until they are deleted, and made documents of knowledge bases."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from penstock_common.contract import file_calls as calls
from penstock_common.contract import knowledge_calls as documents
from penstock_common.contract.file_calls import Attachment, FileBatch, StoredFile
from penstock_common.contract.knowledge import Document
from penstock_common.errors import InvalidRequest, QuotaExhausted, ResourceNotFound, ResourceState

MAX_ATTACHED = 2000
"""Files that can be attached at once, as OpenAI has it."""
_DOCUMENTS_AT_ONCE = 100
_MAX_FILENAME = 512
_MAX_PURPOSE = 64
_MAX_PAGE = 10_000
_ID_BYTES = 4
_NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """The most of one file, and of all files of one tenant."""

    max_file_bytes: int = 32 * 1024 * 1024
    max_files: int = 100_000
    max_bytes: int = 16 * 1024 * 1024 * 1024


class Batch(NamedTuple):
    """Files that were attached together, as it is kept."""

    id: str
    base: str
    created_at: datetime
    cancelled: bool
    documents: Sequence[str]
    """Their ids, in order."""


class FileStore(Protocol):
    """Where files lie. What is another tenant's is not there."""

    async def add(self, tenant: str, file: StoredFile, sealed: bytes, limits: FileLimits) -> None:
        """Keep a file.

        Raises:
            QuotaExhausted: if the tenant would have more than its share.
        """
        ...

    async def find(self, tenant: str, ids: Sequence[str]) -> Sequence[StoredFile]:
        """Return those of the ids that are there, and not being deleted."""
        ...

    async def content(self, tenant: str, file: str) -> bytes | None:
        """Return a file's sealed content."""
        ...

    async def list(self, request: calls.ListFilesRequest, limit: int) -> Sequence[StoredFile]:
        """Return files by id."""
        ...

    async def begin_deletion(self, tenant: str, file: str) -> bool:
        """Have a file found no more; return whether there is one, or what is left of one."""
        ...

    async def end_deletion(self, tenant: str, file: str) -> None:
        """Forget a file, and where it was attached."""
        ...

    async def note_use(self, tenant: str, file: str, base: str) -> None:
        """Write down that a file is attached to a knowledge base; may be repeated."""
        ...

    async def uses(self, tenant: str, file: str) -> Sequence[str]:
        """Return the knowledge bases that a file was attached to."""
        ...

    async def add_batch(self, tenant: str, batch: Batch) -> None:
        """Keep a batch."""
        ...

    async def batch(self, tenant: str, base: str, batch: str) -> Batch | None:
        """Return one."""
        ...

    async def cancel_batch(self, tenant: str, base: str, batch: str) -> None:
        """Write down that it was cancelled."""
        ...


class Documents(Protocol):
    """The documents of knowledge bases."""

    async def put_document(self, request: documents.PutDocumentRequest) -> documents.PutDocumentResponse:
        """Accept a document, durably."""
        ...

    async def list_documents(self, request: documents.ListDocumentsRequest) -> documents.ListDocumentsResponse:
        """Return a page of them."""
        ...

    async def change_document(self, request: documents.ChangeDocumentRequest) -> documents.ChangeDocumentResponse:
        """Change what is not its text."""
        ...

    async def delete_document(self, request: documents.DeleteDocumentRequest) -> documents.DeleteDocumentResponse:
        """Have it found no more."""
        ...


class Sealer(Protocol):
    """Encrypts what lies at rest, bound to whose and which it is."""

    def seal(self, tenant: str, bound_to: bytes, content: bytes) -> bytes:
        """Return the content sealed."""
        ...

    def open(self, tenant: str, bound_to: bytes, sealed: bytes) -> bytes:
        """Return the content of what ``seal`` returned."""
        ...


class Files:
    """Keeps files, and attaches them. Each method takes and returns the values of the contract."""

    def __init__(
        self,
        store: FileStore,
        sealer: Sealer,
        documents: Documents,
        limits: FileLimits,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._documents = documents
        self._limits = limits
        self._now_ns = now_ns

    async def put_file(self, request: calls.PutFileRequest) -> calls.PutFileResponse:
        """Keep a file.

        Raises:
            InvalidRequest: if it is too large, or its name too long.
            QuotaExhausted: if the tenant has its share of files.
        """
        self._check(request)
        now_ns = self._now_ns()
        file = StoredFile(
            id=_new_id("file-", now_ns),
            filename=request.filename,
            purpose=request.purpose,
            bytes=len(request.content),
            created_at=_moment(now_ns),
        )
        sealed = await asyncio.to_thread(
            self._sealer.seal, request.tenant, _bound_to(request.tenant, file.id), request.content
        )
        await self._store.add(request.tenant, file, sealed, self._limits)
        return calls.PutFileResponse(file)

    async def get_file(self, request: calls.GetFileRequest) -> calls.GetFileResponse:
        """Return a file."""
        return calls.GetFileResponse(await self._find(request.tenant, request.id))

    async def get_file_content(self, request: calls.GetFileContentRequest) -> calls.GetFileContentResponse:
        """Return a file's content."""
        file = await self._find(request.tenant, request.id)
        return calls.GetFileContentResponse(file, await self._content(request.tenant, file))

    async def list_files(self, request: calls.ListFilesRequest) -> calls.ListFilesResponse:
        """Return a page of files."""
        size = min(request.page_size, _MAX_PAGE)
        found = await self._store.list(request, size + 1)
        return calls.ListFilesResponse(found[:size], more=len(found) > size)

    async def delete_file(self, request: calls.DeleteFileRequest) -> calls.DeleteFileResponse:
        """Delete a file, and the documents that were made of it."""
        tenant, file = request.tenant, request.id
        existed = await self._store.begin_deletion(tenant, file)
        if existed:
            for base in await self._store.uses(tenant, file):
                await self._delete_document(tenant, base, file)
            await self._store.end_deletion(tenant, file)
        return calls.DeleteFileResponse(existed)

    async def attach_files(self, request: calls.AttachFilesRequest) -> calls.AttachFilesResponse:
        """Make documents of files, of all or of none.

        Raises:
            ResourceNotFound: if a file, or the knowledge base, is not there.
            InvalidRequest: if there are too many, or one twice.
        """
        tenant, base = request.tenant, request.base
        found = await self._found(tenant, request.files)
        # Also where the files are there: whose knowledge base is not there hears it before anything is done.
        await self._documents.list_documents(documents.ListDocumentsRequest(tenant, base, page_size=1))
        made = [await self._attach(tenant, base, one, found[one.file]) for one in request.files]
        if not request.batch:
            return calls.AttachFilesResponse(made[0])
        now_ns = self._now_ns()
        ids = sorted(document.id for document in made)
        batch = Batch(_new_id("vsfb_", now_ns), base, _moment(now_ns), cancelled=False, documents=ids)
        await self._store.add_batch(tenant, batch)
        return calls.AttachFilesResponse(made[0], _told(batch, made))

    async def get_batch(self, request: calls.GetBatchRequest) -> calls.GetBatchResponse:
        """Return how far a batch is."""
        batch = await self._batch(request.tenant, request.base, request.id)
        return calls.GetBatchResponse(_told(batch, await self._documents_of(request.tenant, batch)))

    async def cancel_batch(self, request: calls.CancelBatchRequest) -> calls.CancelBatchResponse:
        """End the taking in of a batch's pending documents; what is ready stays."""
        tenant, base = request.tenant, request.base
        batch = await self._batch(tenant, base, request.id)
        for document in await self._documents_of(tenant, batch):
            if document.state == "pending":
                # It may be ready, or gone, by now.
                with contextlib.suppress(ResourceState, ResourceNotFound):
                    await self._documents.change_document(
                        documents.ChangeDocumentRequest(tenant=tenant, base=base, id=document.id, cancel=True)
                    )
        await self._store.cancel_batch(tenant, base, batch.id)
        batch = batch._replace(cancelled=True)
        return calls.CancelBatchResponse(_told(batch, await self._documents_of(tenant, batch)))

    async def list_batch_documents(self, request: calls.ListBatchDocumentsRequest) -> calls.ListBatchDocumentsResponse:
        """Return a page of a batch's documents, by id."""
        batch = await self._batch(request.tenant, request.base, request.id)
        found = [
            document
            for document in await self._documents_of(request.tenant, batch)
            if not request.state or document.state == request.state
        ]
        found.sort(key=lambda document: document.id, reverse=request.descending)
        if request.after:
            found = [one for one in found if (one.id < request.after if request.descending else one.id > request.after)]
        size = request.page_size
        return calls.ListBatchDocumentsResponse(found[:size], more=len(found) > size)

    def _check(self, request: calls.PutFileRequest) -> None:
        most = self._limits.max_file_bytes
        if len(request.content) > most:
            raise InvalidRequest(f"The file has {len(request.content)} bytes; at most {most} are kept.", field="file")
        if len(request.filename) > _MAX_FILENAME:
            raise InvalidRequest(f"The file's name is longer than {_MAX_FILENAME} characters.", field="filename")
        if not 0 < len(request.purpose) <= _MAX_PURPOSE:
            raise InvalidRequest(f"purpose must have 1 to {_MAX_PURPOSE} characters.", field="purpose")

    async def _find(self, tenant: str, file: str) -> StoredFile:
        found = await self._store.find(tenant, [file])
        if not found:
            raise _no_file(file)
        return found[0]

    async def _found(self, tenant: str, files: Sequence[Attachment]) -> dict[str, StoredFile]:
        ids = [one.file for one in files]
        if not 0 < len(ids) <= MAX_ATTACHED:
            raise InvalidRequest(f"1 to {MAX_ATTACHED} files can be attached at once, not {len(ids)}.", field="files")
        if len(set(ids)) < len(ids):
            raise InvalidRequest("A file is named twice; name each once.", field="files")
        found = {file.id: file for file in await self._store.find(tenant, ids)}
        missing = next((one for one in ids if one not in found), None)
        if missing is not None:
            raise _no_file(missing)
        return found

    async def _content(self, tenant: str, file: StoredFile) -> bytes:
        sealed = await self._store.content(tenant, file.id)
        if sealed is None:
            raise _no_file(file.id)
        return await asyncio.to_thread(self._sealer.open, tenant, _bound_to(tenant, file.id), sealed)

    async def _attach(self, tenant: str, base: str, attachment: Attachment, file: StoredFile) -> Document:
        content = await self._content(tenant, file)
        await self._store.note_use(tenant, file.id, base)
        put = documents.PutDocumentRequest(
            tenant=tenant,
            base=base,
            id=file.id,
            content=content,
            filename=file.filename,
            attributes=attachment.attributes,
            labels=attachment.labels,
        )
        made = await self._documents.put_document(put)
        # Who deletes the file meanwhile has looked for its documents, perhaps before this one was there.
        if not await self._store.find(tenant, [file.id]):
            await self._delete_document(tenant, base, file.id)
            raise _no_file(file.id)
        return made.document

    async def _delete_document(self, tenant: str, base: str, document: str) -> None:
        try:
            await self._documents.delete_document(documents.DeleteDocumentRequest(tenant, base, document))
        except ResourceNotFound:
            # The knowledge base is gone, and the document with it.
            return

    async def _batch(self, tenant: str, base: str, batch: str) -> Batch:
        found = await self._store.batch(tenant, base, batch)
        if found is None:
            raise ResourceNotFound(f"There is no file batch '{batch}'.", kind="file batch", name=batch)
        return found

    async def _documents_of(self, tenant: str, batch: Batch) -> list[Document]:
        found: list[Document] = []
        for start in range(0, len(batch.documents), _DOCUMENTS_AT_ONCE):
            ids = batch.documents[start : start + _DOCUMENTS_AT_ONCE]
            request = documents.ListDocumentsRequest(tenant, batch.base, page_size=_DOCUMENTS_AT_ONCE, ids=ids)
            found += (await self._documents.list_documents(request)).documents
        return found


def share_is_spent(files: int, size: int) -> QuotaExhausted:
    """Return why a tenant that has so many files, and bytes of them, cannot add one more."""
    message = f"The tenant keeps {files} files of {size} bytes in all, and no more. Delete some first."
    return QuotaExhausted(message, limit="files")


def _told(batch: Batch, found: Sequence[Document]) -> FileBatch:
    states = Counter(document.state for document in found)
    deleted = len(batch.documents) - len(found)
    return FileBatch(
        id=batch.id,
        base=batch.base,
        created_at=batch.created_at,
        cancelled=batch.cancelled,
        pending=states["pending"],
        ready=states["ready"],
        failed=states["failed"],
        documents_cancelled=states["cancelled"] + deleted,
    )


def _no_file(file: str) -> ResourceNotFound:
    return ResourceNotFound(f"There is no file '{file}'.", kind="file", name=file)


def _new_id(prefix: str, now_ns: int) -> str:
    """Return an id that sorts by its time."""
    return f"{prefix}{now_ns:016x}{secrets.token_hex(_ID_BYTES)}"


def _moment(now_ns: int) -> datetime:
    return datetime.fromtimestamp(now_ns / _NS_PER_SECOND, UTC)


def _bound_to(tenant: str, file: str) -> bytes:
    return f"file\0{tenant}\0{file}".encode()
