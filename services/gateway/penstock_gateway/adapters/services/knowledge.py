"""The embedding service's documents as a port."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.wire.knowledge import (
    BUILD_INDEX,
    CHANGE_DOCUMENT,
    CHUNK,
    DELETE_BASE,
    DELETE_DOCUMENT,
    DROP_INDEX,
    GET_BASE,
    GET_DOCUMENT,
    GET_ORIGINAL,
    LIST_BASES,
    LIST_CHUNKS,
    LIST_DOCUMENTS,
    LIST_INDEXES,
    PUT_BASE,
    PUT_DOCUMENT,
    PUT_EVALUATION,
    SEARCH,
    SWITCH_INDEX,
    WATCH_INGEST,
)
from penstock_common.errors import ResourceState
from penstock_common.rpc.client import Channel, ResponseStream
from penstock_common.telemetry.steps import Step

NOT_CONFIGURED = (
    "Neither documents nor files are kept here. The operator adds the section `embedding` to the configuration, and "
    "restarts."
)


class KnowledgeClient:
    """Implements ``ports.Knowledge``: searches are bounded by ``search_timeout``, all else by ``timeout``.

    The tenant and the labels in a request are what its caller's key has. Each
    method raises the domain error that says why it could not be done.
    """

    def __init__(self, channel: Channel, search_timeout: timedelta, timeout: timedelta) -> None:
        self._channel = channel
        self._search_seconds = search_timeout.total_seconds()
        self._seconds = timeout.total_seconds()

    async def chunk(self, request: calls.ChunkRequest) -> calls.ChunkResponse:
        """Return what a document would be cut into."""
        return await self._channel.call(CHUNK, request, timeout=self._seconds)

    async def put_base(self, request: calls.PutBaseRequest) -> calls.PutBaseResponse:
        """Make a knowledge base, or change one."""
        return await self._channel.call(PUT_BASE, request, timeout=self._seconds)

    async def get_base(self, request: calls.GetBaseRequest) -> calls.GetBaseResponse:
        """Return a knowledge base."""
        return await self._channel.call(GET_BASE, request, timeout=self._seconds)

    async def list_bases(self, request: calls.ListBasesRequest) -> calls.ListBasesResponse:
        """Return a page of a tenant's knowledge bases."""
        return await self._channel.call(LIST_BASES, request, timeout=self._seconds)

    async def delete_base(self, request: calls.DeleteBaseRequest) -> calls.DeleteBaseResponse:
        """Delete a knowledge base with all that is in it."""
        return await self._channel.call(DELETE_BASE, request, timeout=self._seconds)

    async def put_document(self, request: calls.PutDocumentRequest) -> calls.PutDocumentResponse:
        """Have a document taken in."""
        return await self._channel.call(PUT_DOCUMENT, request, timeout=self._seconds)

    async def change_document(self, request: calls.ChangeDocumentRequest) -> calls.ChangeDocumentResponse:
        """Change labels and attributes."""
        return await self._channel.call(CHANGE_DOCUMENT, request, timeout=self._seconds)

    async def get_document(self, request: calls.GetDocumentRequest) -> calls.GetDocumentResponse:
        """Return a document without its text."""
        return await self._channel.call(GET_DOCUMENT, request, timeout=self._seconds)

    async def list_documents(self, request: calls.ListDocumentsRequest) -> calls.ListDocumentsResponse:
        """Return a page of a knowledge base's documents."""
        return await self._channel.call(LIST_DOCUMENTS, request, timeout=self._seconds)

    async def list_chunks(self, request: calls.ListChunksRequest) -> calls.ListChunksResponse:
        """Return a page of a document's chunks."""
        return await self._channel.call(LIST_CHUNKS, request, timeout=self._seconds)

    async def get_original(self, request: calls.GetOriginalRequest) -> calls.GetOriginalResponse:
        """Return what was put."""
        return await self._channel.call(GET_ORIGINAL, request, timeout=self._seconds)

    async def delete_document(self, request: calls.DeleteDocumentRequest) -> calls.DeleteDocumentResponse:
        """Have a document found by no search."""
        return await self._channel.call(DELETE_DOCUMENT, request, timeout=self._seconds)

    def watch_ingest(
        self,
        request: calls.WatchIngestRequest,
        timeout: float | None = None,
    ) -> ResponseStream[calls.WatchIngestResponse]:
        """Return how far the taking in is, until nothing is pending; who opens it closes it."""
        return self._channel.stream(WATCH_INGEST, request, timeout=timeout)

    async def search(self, request: calls.SearchRequest, steps: list[Step] | None = None) -> calls.SearchResponse:
        """Return what is found, and add the steps that it took."""
        return await self._channel.call(SEARCH, request, timeout=self._search_seconds, steps=steps)

    async def build_index(self, request: calls.BuildIndexRequest) -> calls.BuildIndexResponse:
        """Begin a version beside the one that serves."""
        return await self._channel.call(BUILD_INDEX, request, timeout=self._seconds)

    async def list_indexes(self, request: calls.ListIndexesRequest) -> calls.ListIndexesResponse:
        """Return a knowledge base's versions, the newest first."""
        return await self._channel.call(LIST_INDEXES, request, timeout=self._seconds)

    async def switch_index(self, request: calls.SwitchIndexRequest) -> calls.SwitchIndexResponse:
        """Have another version serve."""
        return await self._channel.call(SWITCH_INDEX, request, timeout=self._seconds)

    async def drop_index(self, request: calls.DropIndexRequest) -> calls.DropIndexResponse:
        """Delete a version that does not serve."""
        return await self._channel.call(DROP_INDEX, request, timeout=self._seconds)

    async def put_evaluation(self, request: calls.PutEvaluationRequest) -> calls.PutEvaluationResponse:
        """Keep the questions that versions are compared by."""
        return await self._channel.call(PUT_EVALUATION, request, timeout=self._seconds)


class NoKnowledge(KnowledgeClient):
    """Implements ``ports.Knowledge`` where the installation has no embedding service: each method raises ``ResourceState``."""

    def __init__(self, why: str = NOT_CONFIGURED) -> None:
        nobodys = timedelta(seconds=1)
        super().__init__(NoChannel(why), nobodys, nobodys)


class NoChannel:
    """Implements ``Channel`` where nobody is at its other end."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def call(self, method: Any, request: Any, **_: Any) -> NoReturn:
        """Raise ``ResourceState``."""
        raise ResourceState(self._why, kind="knowledge base")

    def stream(self, method: Any, request: Any, **_: Any) -> NoReturn:
        """Raise ``ResourceState``."""
        raise ResourceState(self._why, kind="knowledge base")

    def exchange(self, method: Any, requests: Any, **_: Any) -> NoReturn:
        """Raise ``ResourceState``."""
        raise ResourceState(self._why, kind="knowledge base")
