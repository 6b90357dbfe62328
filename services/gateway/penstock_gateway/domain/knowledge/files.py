"""What the gateway needs of the service that keeps uploaded files."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from penstock_common.contract import file_calls as calls
from penstock_gateway.domain.knowledge.ports import Knowledge


class UploadedFiles(Protocol):
    """Files of tenants, and the documents that are made of them: ``tenant`` in a request is believed.

    Each method raises the domain error that says why it could not be done:
    ``ResourceNotFound`` also for what is another tenant's.
    """

    async def put(self, request: calls.PutFileRequest) -> calls.PutFileResponse:
        """Keep a file."""
        ...

    async def get(self, request: calls.GetFileRequest) -> calls.GetFileResponse:
        """Return a file without its content."""
        ...

    async def content(self, request: calls.GetFileContentRequest) -> calls.GetFileContentResponse:
        """Return a file's content."""
        ...

    async def list(self, request: calls.ListFilesRequest) -> calls.ListFilesResponse:
        """Return a page of files."""
        ...

    async def delete(self, request: calls.DeleteFileRequest) -> calls.DeleteFileResponse:
        """Delete a file, and the documents that were made of it."""
        ...

    async def attach(self, request: calls.AttachFilesRequest) -> calls.AttachFilesResponse:
        """Make documents of files."""
        ...

    async def batch(self, request: calls.GetBatchRequest) -> calls.GetBatchResponse:
        """Return how far a batch is."""
        ...

    async def cancel_batch(self, request: calls.CancelBatchRequest) -> calls.CancelBatchResponse:
        """End the taking in of a batch."""
        ...

    async def batch_documents(self, request: calls.ListBatchDocumentsRequest) -> calls.ListBatchDocumentsResponse:
        """Return a page of a batch's documents."""
        ...


class Stores(NamedTuple):
    """What documents are kept in, and found in."""

    knowledge: Knowledge
    files: UploadedFiles
    has_files: bool = True
    """Whether there is a service that keeps them; without, ``files`` says so to whoever asks."""
