"""KnowledgeService: convert, keep or find, convert."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Protocol

from penstock.gateway.v1 import knowledge_service_pb2 as pb
from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.embedding import EmbedRequest
from penstock_common.contract.knowledge import Attribute, IndexSpec, SearchResult
from penstock_common.llm.types import RequestContext, Value
from penstock_common.rpc.fields import read, write
from penstock_common.rpc.sending import begun
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.knowledge.administration import KnowledgeAdministration
from penstock_gateway.domain.life.search import SEARCHED, SearchExchange, SearchLife
from penstock_gateway.surfaces.arrival import CallOptions, Reception, limit_headers
from penstock_gateway.surfaces.grpc.arrival import admitted, place_of, remaining
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf


class Searching(Protocol):
    """Finds for a tenant's own key, within its limits."""

    async def search(self, request: calls.SearchRequest, call: ServerCall) -> SearchResult:
        """Return what is found."""
        ...


class KnowledgeServicer:
    """Serves documents; calls come authorised or not at all, and the domain keeps the walls between tenants and labels."""

    def __init__(
        self,
        knowledge: KnowledgeAdministration,
        actor_of: ActorOf,
        searching: Searching | None = None,
        watch_timeout: timedelta = timedelta(minutes=10),
    ) -> None:
        """``searching`` is None where only operators call; ``watch_timeout`` is for those who set no deadline."""
        self._knowledge = knowledge
        self._knowledge_actor = actor_of
        self._searching = searching
        self._watch_seconds = watch_timeout.total_seconds()

    async def CreateKnowledgeBase(
        self, request: pb.CreateKnowledgeBaseRequest, call: ServerCall
    ) -> pb.CreateKnowledgeBaseResponse:
        """Return a new knowledge base."""
        draft = read(request, _NewBase)
        wanted = calls.PutBaseRequest(
            tenant=draft.tenant,
            id=draft.id,
            name=draft.name,
            attributes=draft.attributes,
            spec=draft.spec,
            create_only=True,
        )
        made = await self._knowledge.put_base(self._knowledge_actor(call), wanted)
        return write(calls.PutBaseResponse(made), pb.CreateKnowledgeBaseResponse())

    async def UpdateKnowledgeBase(
        self, request: pb.UpdateKnowledgeBaseRequest, call: ServerCall
    ) -> pb.UpdateKnowledgeBaseResponse:
        """Return the changed knowledge base."""
        draft = read(request, _ChangedBase)
        wanted = calls.PutBaseRequest(
            tenant=draft.tenant, id=draft.id, name=draft.name, attributes=draft.attributes, change_only=True
        )
        changed = await self._knowledge.put_base(self._knowledge_actor(call), wanted)
        return write(calls.PutBaseResponse(changed), pb.UpdateKnowledgeBaseResponse())

    async def GetKnowledgeBase(
        self, request: pb.GetKnowledgeBaseRequest, call: ServerCall
    ) -> pb.GetKnowledgeBaseResponse:
        """Return a knowledge base."""
        told = await self._knowledge.get_base(self._knowledge_actor(call), request.tenant, request.id)
        return write(calls.GetBaseResponse(told), pb.GetKnowledgeBaseResponse())

    async def ListKnowledgeBases(
        self, request: pb.ListKnowledgeBasesRequest, call: ServerCall
    ) -> pb.ListKnowledgeBasesResponse:
        """Return a page, by id."""
        wanted = read(request, calls.ListBasesRequest)
        return write(
            await self._knowledge.list_bases(self._knowledge_actor(call), wanted), pb.ListKnowledgeBasesResponse()
        )

    async def DeleteKnowledgeBase(
        self, request: pb.DeleteKnowledgeBaseRequest, call: ServerCall
    ) -> pb.DeleteKnowledgeBaseResponse:
        """Return whether there was one."""
        told = await self._knowledge.delete_base(self._knowledge_actor(call), request.tenant, request.id)
        return write(calls.DeleteBaseResponse(told), pb.DeleteKnowledgeBaseResponse())

    async def PutDocument(self, request: pb.PutDocumentRequest, call: ServerCall) -> pb.PutDocumentResponse:
        """Return the accepted document."""
        wanted = read(request, calls.PutDocumentRequest)
        return write(await self._knowledge.put_document(self._knowledge_actor(call), wanted), pb.PutDocumentResponse())

    async def UpdateDocument(self, request: pb.UpdateDocumentRequest, call: ServerCall) -> pb.UpdateDocumentResponse:
        """Return the changed document."""
        wanted = read(request, calls.ChangeDocumentRequest)
        told = await self._knowledge.change_document(self._knowledge_actor(call), wanted)
        return write(calls.ChangeDocumentResponse(told), pb.UpdateDocumentResponse())

    async def GetDocument(self, request: pb.GetDocumentRequest, call: ServerCall) -> pb.GetDocumentResponse:
        """Return a document."""
        told = await self._knowledge.get_document(self._knowledge_actor(call), request.tenant, request.base, request.id)
        return write(calls.GetDocumentResponse(told), pb.GetDocumentResponse())

    async def ListDocuments(self, request: pb.ListDocumentsRequest, call: ServerCall) -> pb.ListDocumentsResponse:
        """Return a page, by id."""
        wanted = read(request, calls.ListDocumentsRequest)
        return write(
            await self._knowledge.list_documents(self._knowledge_actor(call), wanted), pb.ListDocumentsResponse()
        )

    async def ListChunks(self, request: pb.ListChunksRequest, call: ServerCall) -> pb.ListChunksResponse:
        """Return a page of a document's chunks."""
        wanted = read(request, calls.ListChunksRequest)
        return write(await self._knowledge.list_chunks(self._knowledge_actor(call), wanted), pb.ListChunksResponse())

    async def GetOriginal(self, request: pb.GetOriginalRequest, call: ServerCall) -> pb.GetOriginalResponse:
        """Return what was put."""
        wanted = read(request, calls.GetOriginalRequest)
        return write(await self._knowledge.original(self._knowledge_actor(call), wanted), pb.GetOriginalResponse())

    async def DeleteDocument(self, request: pb.DeleteDocumentRequest, call: ServerCall) -> pb.DeleteDocumentResponse:
        """Return whether there was one."""
        wanted = read(request, calls.DeleteDocumentRequest)
        told = await self._knowledge.delete_document(self._knowledge_actor(call), wanted)
        return write(calls.DeleteDocumentResponse(told), pb.DeleteDocumentResponse())

    async def WatchIngest(
        self, request: pb.WatchIngestRequest, call: ServerCall
    ) -> AsyncGenerator[pb.WatchIngestResponse]:
        """Yield how far the taking in is."""
        actor = self._knowledge_actor(call)
        seconds = call.seconds_left()
        timeout = self._watch_seconds if seconds is None else seconds
        progress = self._knowledge.watch_ingest(actor, request.tenant, request.base, timeout)
        async with aclosing(progress):
            async for told in progress:
                yield write(told, pb.WatchIngestResponse())

    async def ChunkDocument(self, request: pb.ChunkDocumentRequest, call: ServerCall) -> pb.ChunkDocumentResponse:
        """Return what a document would be cut into."""
        wanted = read(request, calls.ChunkRequest)
        return write(await self._knowledge.chunk(wanted), pb.ChunkDocumentResponse())

    async def Search(self, request: pb.SearchRequest, call: ServerCall) -> pb.SearchResponse:
        """Return what is found: by the tenant's limits, or for an operator, who has none."""
        actor, wanted = self._knowledge_actor(call), read(request, calls.SearchRequest)
        meant = self._knowledge.meant_search(actor, wanted)
        if actor.is_operator or self._searching is None:
            result = await self._knowledge.search(meant)
        else:
            result = await self._searching.search(meant, call)
        return write(calls.SearchResponse(result), pb.SearchResponse())

    async def BuildIndex(self, request: pb.BuildIndexRequest, call: ServerCall) -> pb.BuildIndexResponse:
        """Return the version that was begun."""
        wanted = read(request, calls.BuildIndexRequest)
        told = await self._knowledge.build_index(self._knowledge_actor(call), wanted)
        return write(calls.BuildIndexResponse(told), pb.BuildIndexResponse())

    async def ListIndexes(self, request: pb.ListIndexesRequest, call: ServerCall) -> pb.ListIndexesResponse:
        """Return the versions, the newest first."""
        told = await self._knowledge.list_indexes(self._knowledge_actor(call), request.tenant, request.base)
        return write(told, pb.ListIndexesResponse())

    async def SwitchIndex(self, request: pb.SwitchIndexRequest, call: ServerCall) -> pb.SwitchIndexResponse:
        """Return the version that serves now."""
        wanted = read(request, calls.SwitchIndexRequest)
        told = await self._knowledge.switch_index(self._knowledge_actor(call), wanted, request.reason)
        return write(calls.SwitchIndexResponse(told), pb.SwitchIndexResponse())

    async def DropIndex(self, request: pb.DropIndexRequest, call: ServerCall) -> pb.DropIndexResponse:
        """Return whether there was one."""
        wanted = read(request, calls.DropIndexRequest)
        told = await self._knowledge.drop_index(self._knowledge_actor(call), wanted)
        return write(calls.DropIndexResponse(told), pb.DropIndexResponse())

    async def PutEvaluation(self, request: pb.PutEvaluationRequest, call: ServerCall) -> pb.PutEvaluationResponse:
        """Return how many questions there are."""
        wanted = read(request, calls.PutEvaluationRequest)
        told = await self._knowledge.put_evaluation(self._knowledge_actor(call), wanted)
        return write(calls.PutEvaluationResponse(told), pb.PutEvaluationResponse())


class SearchesOfTenants:
    """Implements ``Searching``: a search is a request like those for vectors."""

    def __init__(self, reception: Reception, life: SearchLife) -> None:
        self._reception = reception
        self._life = life

    async def search(self, request: calls.SearchRequest, call: ServerCall) -> SearchResult:
        """Return what is found."""
        exchange = self._begin(request, call)
        order = exchange.call.order
        try:
            async with exchange:
                return await exchange.search()
        finally:
            await begun(
                call.context,
                (("x-request-id", order.request_id), *limit_headers(exchange.standings, exchange.shadowed)),
            )

    def _begin(self, request: calls.SearchRequest, call: ServerCall) -> SearchExchange:
        admission = admitted(call)
        options = CallOptions(stream=False, timeout=remaining(call))
        asked = EmbedRequest((request.query,), SEARCHED)
        made = self._reception.embedding_call(admission.arrival, place_of(admission), asked, RequestContext(), options)
        admission.is_begun = True
        return self._life.begin(made, [request])


class _NewBase(Value, frozen=True, kw_only=True):
    tenant: str
    id: str
    name: str
    attributes: Sequence[Attribute]
    spec: IndexSpec


class _ChangedBase(Value, frozen=True, kw_only=True):
    tenant: str
    id: str
    name: str
    attributes: Sequence[Attribute]
