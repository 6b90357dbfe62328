"""What the gateway needs of the service that keeps documents, and finds in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from penstock_common.contract import knowledge_calls as calls
from penstock_common.telemetry.steps import Step


class Progress(Protocol):
    """How far the taking in is, again and again. Whoever opens it closes it."""

    def __aiter__(self) -> AsyncIterator[calls.WatchIngestResponse]:
        """Iterate once, in one task."""
        ...

    async def aclose(self) -> None:
        """End the call."""
        ...


class Knowledge(Protocol):
    """Documents of tenants: ``tenant`` and ``labels`` in a request are what its caller's key has, and believed.

    Each method raises the domain error that says why it could not be done:
    ``ResourceNotFound`` also for what is another tenant's.
    """

    async def chunk(self, request: calls.ChunkRequest) -> calls.ChunkResponse:
        """Return what a document would be cut into."""
        ...

    async def put_base(self, request: calls.PutBaseRequest) -> calls.PutBaseResponse:
        """Make a knowledge base, or change one."""
        ...

    async def get_base(self, request: calls.GetBaseRequest) -> calls.GetBaseResponse:
        """Return a knowledge base."""
        ...

    async def list_bases(self, request: calls.ListBasesRequest) -> calls.ListBasesResponse:
        """Return a page of a tenant's knowledge bases."""
        ...

    async def delete_base(self, request: calls.DeleteBaseRequest) -> calls.DeleteBaseResponse:
        """Delete a knowledge base with all that is in it."""
        ...

    async def put_document(self, request: calls.PutDocumentRequest) -> calls.PutDocumentResponse:
        """Have a document taken in."""
        ...

    async def change_document(self, request: calls.ChangeDocumentRequest) -> calls.ChangeDocumentResponse:
        """Change labels and attributes."""
        ...

    async def get_document(self, request: calls.GetDocumentRequest) -> calls.GetDocumentResponse:
        """Return a document without its text."""
        ...

    async def list_documents(self, request: calls.ListDocumentsRequest) -> calls.ListDocumentsResponse:
        """Return a page of a knowledge base's documents."""
        ...

    async def list_chunks(self, request: calls.ListChunksRequest) -> calls.ListChunksResponse:
        """Return a page of a document's chunks."""
        ...

    async def get_original(self, request: calls.GetOriginalRequest) -> calls.GetOriginalResponse:
        """Return what was put."""
        ...

    async def delete_document(self, request: calls.DeleteDocumentRequest) -> calls.DeleteDocumentResponse:
        """Have a document found by no search."""
        ...

    def watch_ingest(self, request: calls.WatchIngestRequest, timeout: float | None = None) -> Progress:
        """Return how far the taking in is, until nothing is pending."""
        ...

    async def search(self, request: calls.SearchRequest, steps: list[Step] | None = None) -> calls.SearchResponse:
        """Return what is found, and add the steps that it took."""
        ...

    async def build_index(self, request: calls.BuildIndexRequest) -> calls.BuildIndexResponse:
        """Begin a version beside the one that serves."""
        ...

    async def list_indexes(self, request: calls.ListIndexesRequest) -> calls.ListIndexesResponse:
        """Return a knowledge base's versions, the newest first."""
        ...

    async def switch_index(self, request: calls.SwitchIndexRequest) -> calls.SwitchIndexResponse:
        """Have another version serve."""
        ...

    async def drop_index(self, request: calls.DropIndexRequest) -> calls.DropIndexResponse:
        """Delete a version that does not serve."""
        ...

    async def put_evaluation(self, request: calls.PutEvaluationRequest) -> calls.PutEvaluationResponse:
        """Keep the questions that versions are compared by."""
        ...
