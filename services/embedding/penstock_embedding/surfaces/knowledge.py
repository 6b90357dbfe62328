"""KnowledgeService: ask the domain, once it is open."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock_common.contract import knowledge_calls as values
from penstock_common.contract.wire import knowledge as methods
from penstock_common.rpc.method import Handler
from penstock_common.rpc.server_call import ServerCall

if TYPE_CHECKING:
    # What nobody uses is not loaded.
    from penstock_embedding.domain.knowledge.cutting import Cutting
    from penstock_embedding.domain.knowledge.documents import Documents
    from penstock_embedding.domain.knowledge.indexes import Indexes
    from penstock_embedding.domain.knowledge.stores import Searcher
    from penstock_embedding.domain.knowledge.watching import Watch


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What serves, once the database, the vectors and the parser are open."""

    cutting: Cutting
    documents: Documents
    indexes: Indexes
    searcher: Searcher
    watch: Watch


Open = Callable[[], Awaitable[Knowledge]]
"""Returns what serves, opened by the first who asks.

Raises ``ResourceState`` where the service keeps no documents, ``ServiceUnavailable`` where a part of it does not answer.
"""


class KnowledgeServicer:
    """Serves ``Knowledge``; the values of the contract are the domain's own."""

    def __init__(self, opened: Open) -> None:
        self._opened = opened

    def handlers(self) -> Sequence[Handler]:
        """Return who serves each method."""
        return (
            methods.CHUNK.served_by(self.chunk),
            methods.PUT_BASE.served_by(self.put_base),
            methods.GET_BASE.served_by(self.get_base),
            methods.LIST_BASES.served_by(self.list_bases),
            methods.DELETE_BASE.served_by(self.delete_base),
            methods.PUT_DOCUMENT.served_by(self.put_document),
            methods.CHANGE_DOCUMENT.served_by(self.change_document),
            methods.GET_DOCUMENT.served_by(self.get_document),
            methods.LIST_DOCUMENTS.served_by(self.list_documents),
            methods.LIST_CHUNKS.served_by(self.list_chunks),
            methods.GET_ORIGINAL.served_by(self.get_original),
            methods.DELETE_DOCUMENT.served_by(self.delete_document),
            methods.WATCH_INGEST.served_by(self.watch_ingest),
            methods.SEARCH.served_by(self.search),
            methods.BUILD_INDEX.served_by(self.build_index),
            methods.LIST_INDEXES.served_by(self.list_indexes),
            methods.SWITCH_INDEX.served_by(self.switch_index),
            methods.DROP_INDEX.served_by(self.drop_index),
            methods.PUT_EVALUATION.served_by(self.put_evaluation),
        )

    async def chunk(self, request: values.ChunkRequest, call: ServerCall) -> values.ChunkResponse:
        """Return what a document would be cut into."""
        return await (await self._opened()).cutting.chunk(request)

    async def put_base(self, request: values.PutBaseRequest, call: ServerCall) -> values.PutBaseResponse:
        """Make a knowledge base, or change one."""
        return await (await self._opened()).documents.put_base(request)

    async def get_base(self, request: values.GetBaseRequest, call: ServerCall) -> values.GetBaseResponse:
        """Return a knowledge base."""
        return await (await self._opened()).documents.get_base(request)

    async def list_bases(self, request: values.ListBasesRequest, call: ServerCall) -> values.ListBasesResponse:
        """Return a page of a tenant's knowledge bases."""
        return await (await self._opened()).documents.list_bases(request)

    async def delete_base(self, request: values.DeleteBaseRequest, call: ServerCall) -> values.DeleteBaseResponse:
        """Delete a knowledge base with all that is in it."""
        return await (await self._opened()).documents.delete_base(request)

    async def put_document(self, request: values.PutDocumentRequest, call: ServerCall) -> values.PutDocumentResponse:
        """Accept a document."""
        return await (await self._opened()).documents.put_document(request)

    async def change_document(
        self, request: values.ChangeDocumentRequest, call: ServerCall
    ) -> values.ChangeDocumentResponse:
        """Change labels and attributes."""
        return await (await self._opened()).documents.change_document(request)

    async def get_document(self, request: values.GetDocumentRequest, call: ServerCall) -> values.GetDocumentResponse:
        """Return a document."""
        return await (await self._opened()).documents.get_document(request)

    async def list_documents(
        self, request: values.ListDocumentsRequest, call: ServerCall
    ) -> values.ListDocumentsResponse:
        """Return a page of documents."""
        return await (await self._opened()).documents.list_documents(request)

    async def list_chunks(self, request: values.ListChunksRequest, call: ServerCall) -> values.ListChunksResponse:
        """Return a page of a document's chunks."""
        return await (await self._opened()).documents.list_chunks(request)

    async def get_original(self, request: values.GetOriginalRequest, call: ServerCall) -> values.GetOriginalResponse:
        """Return what was put."""
        return await (await self._opened()).documents.get_original(request)

    async def delete_document(
        self, request: values.DeleteDocumentRequest, call: ServerCall
    ) -> values.DeleteDocumentResponse:
        """Delete a document."""
        return await (await self._opened()).documents.delete_document(request)

    async def watch_ingest(
        self, request: values.WatchIngestRequest, call: ServerCall
    ) -> AsyncGenerator[values.WatchIngestResponse]:
        """Tell how far the taking in is."""
        watch = (await self._opened()).watch
        async with aclosing(watch.ingest(request.tenant, request.base)) as progress:
            async for told in progress:
                yield values.WatchIngestResponse(told)

    async def search(self, request: values.SearchRequest, call: ServerCall) -> values.SearchResponse:
        """Find chunks."""
        return values.SearchResponse(await (await self._opened()).searcher.search(request, call.deadline))

    async def build_index(self, request: values.BuildIndexRequest, call: ServerCall) -> values.BuildIndexResponse:
        """Begin a version of an index."""
        return await (await self._opened()).indexes.build_index(request)

    async def list_indexes(self, request: values.ListIndexesRequest, call: ServerCall) -> values.ListIndexesResponse:
        """Return the versions of an index."""
        return await (await self._opened()).indexes.list_indexes(request)

    async def switch_index(self, request: values.SwitchIndexRequest, call: ServerCall) -> values.SwitchIndexResponse:
        """Have another version serve."""
        return await (await self._opened()).indexes.switch_index(request, call.deadline)

    async def drop_index(self, request: values.DropIndexRequest, call: ServerCall) -> values.DropIndexResponse:
        """Delete a version."""
        return await (await self._opened()).indexes.drop_index(request)

    async def put_evaluation(
        self, request: values.PutEvaluationRequest, call: ServerCall
    ) -> values.PutEvaluationResponse:
        """Keep the questions that versions are compared by."""
        return await (await self._opened()).indexes.put_evaluation(request)
