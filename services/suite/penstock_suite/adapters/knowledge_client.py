"""The part of administration that keeps documents and finds in them, by the contract's KnowledgeService."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from penstock.gateway.v1 import knowledge_service_pb2 as pb
from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import (
    Chunk,
    Document,
    IndexVersion,
    IngestProgress,
    KnowledgeBase,
    SearchResult,
)
from penstock_common.rpc.fields import read, write

_PAGE_SIZE = 100


class KnowledgeAdminClient:
    """Implements ``Knowledge`` by what ``_ask`` and ``_follow`` do."""

    async def _ask(self, method: str, request: Any) -> Any:
        raise NotImplementedError

    def _follow(self, method: str, request: Any) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
        raise NotImplementedError

    async def create_base(self, wanted: calls.PutBaseRequest) -> KnowledgeBase:
        """Return the new one."""
        request = pb.CreateKnowledgeBaseRequest(tenant=wanted.tenant, id=wanted.id, name=wanted.name)
        write(wanted.spec, request.spec)
        for attribute in wanted.attributes:
            write(attribute, request.attributes.add())
        return read((await self._ask("CreateKnowledgeBase", request)).base, KnowledgeBase)

    async def base(self, tenant: str, base: str) -> KnowledgeBase:
        """Return one."""
        request = pb.GetKnowledgeBaseRequest(tenant=tenant, id=base)
        return read((await self._ask("GetKnowledgeBase", request)).base, KnowledgeBase)

    async def bases(self, tenant: str) -> list[KnowledgeBase]:
        """Return the tenant's, by id."""
        request = pb.ListKnowledgeBasesRequest(tenant=tenant)
        return [read(base, KnowledgeBase) for base in await self._each("ListKnowledgeBases", request, "bases")]

    async def delete_base(self, tenant: str, base: str) -> bool:
        """Return whether there was one."""
        request = pb.DeleteKnowledgeBaseRequest(tenant=tenant, id=base)
        return bool((await self._ask("DeleteKnowledgeBase", request)).existed)

    async def put_document(self, wanted: calls.PutDocumentRequest) -> calls.PutDocumentResponse:
        """Return the accepted document."""
        told = await self._ask("PutDocument", write(wanted, pb.PutDocumentRequest()))
        return read(told, calls.PutDocumentResponse)

    async def change_document(self, wanted: calls.ChangeDocumentRequest) -> Document:
        """Return the changed document."""
        return read((await self._ask("UpdateDocument", write(wanted, pb.UpdateDocumentRequest()))).document, Document)

    async def document(self, tenant: str, base: str, document: str) -> Document:
        """Return one, without its text."""
        request = pb.GetDocumentRequest(tenant=tenant, base=base, id=document)
        return read((await self._ask("GetDocument", request)).document, Document)

    async def documents(self, wanted: calls.ListDocumentsRequest) -> list[Document]:
        """Return those of every page, by id."""
        request = write(wanted, pb.ListDocumentsRequest())
        return [read(document, Document) for document in await self._each("ListDocuments", request, "documents")]

    async def chunks(self, wanted: calls.ListChunksRequest) -> list[Chunk]:
        """Return those of every page, in their order."""
        request = write(wanted, pb.ListChunksRequest())
        return [read(chunk, Chunk) for chunk in await self._each("ListChunks", request, "chunks")]

    async def delete_document(self, tenant: str, base: str, document: str) -> bool:
        """Return whether there was one."""
        request = pb.DeleteDocumentRequest(tenant=tenant, base=base, id=document)
        return bool((await self._ask("DeleteDocument", request)).existed)

    @asynccontextmanager
    async def ingest_progress(self, tenant: str, base: str) -> AsyncGenerator[AsyncIterator[IngestProgress]]:
        """Yield how far the taking in is, until nothing is pending."""
        async with self._follow("WatchIngest", pb.WatchIngestRequest(tenant=tenant, base=base)) as responses:
            yield (read(told.progress, IngestProgress) async for told in responses)

    async def search(self, wanted: calls.SearchRequest) -> SearchResult:
        """Return what is found."""
        return read((await self._ask("Search", write(wanted, pb.SearchRequest()))).result, SearchResult)

    async def build_index(self, wanted: calls.BuildIndexRequest) -> IndexVersion:
        """Return the version that was begun."""
        return read((await self._ask("BuildIndex", write(wanted, pb.BuildIndexRequest()))).index, IndexVersion)

    async def indexes(self, tenant: str, base: str) -> list[IndexVersion]:
        """Return the versions, the newest first."""
        told = await self._ask("ListIndexes", pb.ListIndexesRequest(tenant=tenant, base=base))
        return [read(index, IndexVersion) for index in told.indexes]

    async def switch_index(self, wanted: calls.SwitchIndexRequest, reason: str = "") -> IndexVersion:
        """Return the version that serves now."""
        asked = write(wanted, pb.SwitchIndexRequest(reason=reason))
        return read((await self._ask("SwitchIndex", asked)).index, IndexVersion)

    async def drop_index(self, tenant: str, base: str, version: int) -> bool:
        """Return whether there was one."""
        return bool(
            (await self._ask("DropIndex", pb.DropIndexRequest(tenant=tenant, base=base, version=version))).existed
        )

    async def put_evaluation(self, wanted: calls.PutEvaluationRequest) -> int:
        """Return how many questions there are now."""
        return int((await self._ask("PutEvaluation", write(wanted, pb.PutEvaluationRequest()))).queries)

    async def _each(self, method: str, request: Any, listed: str) -> list[Any]:
        found: list[Any] = []
        request.page_size = _PAGE_SIZE
        while True:
            page = await self._ask(method, request)
            found += getattr(page, listed)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token
