"""The embedding service's files as a port."""

from __future__ import annotations

from datetime import timedelta

from penstock_common.contract import file_calls as calls
from penstock_common.contract.wire.files import (
    ATTACH_FILES,
    CANCEL_BATCH,
    DELETE_FILE,
    GET_BATCH,
    GET_FILE,
    GET_FILE_CONTENT,
    LIST_BATCH_DOCUMENTS,
    LIST_FILES,
    PUT_FILE,
)
from penstock_common.rpc.client import Channel
from penstock_gateway.adapters.services.knowledge import NOT_CONFIGURED, NoChannel


class FilesClient:
    """Implements ``UploadedFiles``; each call is bounded by ``timeout``."""

    def __init__(self, channel: Channel, timeout: timedelta) -> None:
        self._channel = channel
        self._seconds = timeout.total_seconds()

    async def put(self, request: calls.PutFileRequest) -> calls.PutFileResponse:
        """Keep a file."""
        return await self._channel.call(PUT_FILE, request, timeout=self._seconds)

    async def get(self, request: calls.GetFileRequest) -> calls.GetFileResponse:
        """Return a file without its content."""
        return await self._channel.call(GET_FILE, request, timeout=self._seconds)

    async def content(self, request: calls.GetFileContentRequest) -> calls.GetFileContentResponse:
        """Return a file's content."""
        return await self._channel.call(GET_FILE_CONTENT, request, timeout=self._seconds)

    async def list(self, request: calls.ListFilesRequest) -> calls.ListFilesResponse:
        """Return a page of files."""
        return await self._channel.call(LIST_FILES, request, timeout=self._seconds)

    async def delete(self, request: calls.DeleteFileRequest) -> calls.DeleteFileResponse:
        """Delete a file, and the documents that were made of it."""
        return await self._channel.call(DELETE_FILE, request, timeout=self._seconds)

    async def attach(self, request: calls.AttachFilesRequest) -> calls.AttachFilesResponse:
        """Make documents of files."""
        return await self._channel.call(ATTACH_FILES, request, timeout=self._seconds)

    async def batch(self, request: calls.GetBatchRequest) -> calls.GetBatchResponse:
        """Return how far a batch is."""
        return await self._channel.call(GET_BATCH, request, timeout=self._seconds)

    async def cancel_batch(self, request: calls.CancelBatchRequest) -> calls.CancelBatchResponse:
        """End the taking in of a batch."""
        return await self._channel.call(CANCEL_BATCH, request, timeout=self._seconds)

    async def batch_documents(self, request: calls.ListBatchDocumentsRequest) -> calls.ListBatchDocumentsResponse:
        """Return a page of a batch's documents."""
        return await self._channel.call(LIST_BATCH_DOCUMENTS, request, timeout=self._seconds)


class NoFiles(FilesClient):
    """Implements ``UploadedFiles`` where the installation has no embedding service: each method raises ``ResourceState``."""

    def __init__(self) -> None:
        super().__init__(NoChannel(NOT_CONFIGURED), timedelta(seconds=1))
