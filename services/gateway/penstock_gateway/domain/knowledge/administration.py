"""Keeping documents: for whose tenant, and which of them whoever looks may see."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import msgspec

from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import Document, IndexVersion, KnowledgeBase, SearchResult
from penstock_common.errors import PenstockError, ResourceNotFound, RightsExceeded, ServiceUnavailable
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.administration.tenants import existing_tenant
from penstock_gateway.domain.knowledge.ports import Knowledge, Progress
from penstock_gateway.domain.knowledge.sight import may_find
from penstock_gateway.domain.life.settlement import OK, outcome_of

BASE_KIND = "knowledge base"
DOCUMENT_KIND = "document"
_MOST_SHOWN = 128

# Any request of the contract that names a tenant.
_OfTenantT = TypeVar("_OfTenantT", bound=Any)


class KnowledgeAdministration:
    """Keeps the documents of tenants; the tenant in a request is the one that the actor means.

    Who may change its tenant's documents sees all of them. Who only looks sees
    those that a search with its key could find: another one is, for it, one that
    does not exist.
    """

    def __init__(self, knowledge: Knowledge, directory: TenantDirectory, registry: Registry) -> None:
        self._knowledge = knowledge
        self._directory = directory
        self._registry = registry
        self._audit = AuditLog(registry)

    def owner(self, actor: Actor, tenant: str) -> str:
        """Return the tenant that a request means.

        Raises:
            ScopeMissing: if it is not the actor's.
            InvalidRequest: if an operator names none.
        """
        return bounds.required_tenant(actor.meant(tenant))

    async def put_base(self, actor: Actor, request: calls.PutBaseRequest) -> KnowledgeBase:
        """Return the knowledge base that was made, or changed.

        Raises:
            ResourceNotFound: if there is no such tenant, or none to change.
            ResourceExists: if there is one already, and it was to be made.
        """
        action = "knowledge.create_base" if request.create_only else "knowledge.update_base"
        async with self._changing(Deed(actor, action, request.tenant or actor.tenant, request.id)):
            tenant = self.owner(actor, request.tenant)
            async with self._registry.begin() as records:
                await existing_tenant(self._directory, records, tenant)
            return (await self._knowledge.put_base(msgspec.structs.replace(request, tenant=tenant))).base

    async def get_base(self, actor: Actor, tenant: str, base: str) -> KnowledgeBase:
        """Return a knowledge base."""
        return (await self._knowledge.get_base(calls.GetBaseRequest(self.owner(actor, tenant), base))).base

    async def list_bases(self, actor: Actor, request: calls.ListBasesRequest) -> calls.ListBasesResponse:
        """Return a page of the tenant's knowledge bases."""
        return await self._knowledge.list_bases(self._meant(actor, request))

    async def delete_base(self, actor: Actor, tenant: str, base: str) -> bool:
        """Return whether there was one."""
        async with self._changing(Deed(actor, "knowledge.delete_base", tenant or actor.tenant, base)):
            wanted = calls.DeleteBaseRequest(self.owner(actor, tenant), base)
            return (await self._knowledge.delete_base(wanted)).existed

    async def put_document(self, actor: Actor, request: calls.PutDocumentRequest) -> calls.PutDocumentResponse:
        """Return the accepted document."""
        details = {"labels": " ".join(sorted(request.labels)), "bytes": str(len(request.content))}
        async with self._changing(_of_document(actor, "put_document", request, details)):
            bounds.labels(request.labels)
            return await self._knowledge.put_document(self._meant(actor, request))

    async def change_document(self, actor: Actor, request: calls.ChangeDocumentRequest) -> Document:
        """Return the changed document."""
        details = {"labels": " ".join(sorted(request.labels))} if request.replace_labels else {}
        details |= {"cancel": "true"} if request.cancel else {}
        async with self._changing(_of_document(actor, "update_document", request, details)):
            bounds.labels(request.labels)
            return (await self._knowledge.change_document(self._meant(actor, request))).document

    async def get_document(self, actor: Actor, tenant: str, base: str, document: str) -> Document:
        """Return a document that the actor may see.

        Raises:
            ResourceNotFound: if there is none of this id, or the actor may not see it.
        """
        wanted = calls.GetDocumentRequest(self.owner(actor, tenant), base, document)
        with _one_refusal(document):
            found = (await self._knowledge.get_document(wanted)).document
            if not may_see(actor, found):
                raise _no_document(document)
        return found

    async def list_documents(self, actor: Actor, request: calls.ListDocumentsRequest) -> calls.ListDocumentsResponse:
        """Return a page, less what the actor may not see."""
        page = await self._knowledge.list_documents(self._meant(actor, request))
        seen = tuple([document for document in page.documents if may_see(actor, document)])
        return msgspec.structs.replace(page, documents=seen)

    async def list_chunks(self, actor: Actor, request: calls.ListChunksRequest) -> calls.ListChunksResponse:
        """Return a page of the chunks of a document that the actor may see; raises as ``get_document``."""
        await self.get_document(actor, request.tenant, request.base, request.document)
        page = await self._knowledge.list_chunks(self._meant(actor, request))
        await self._still_seen(actor, request, request.document)
        return page

    async def original(self, actor: Actor, request: calls.GetOriginalRequest) -> calls.GetOriginalResponse:
        """Return what was put as a document that the actor may see; raises as ``get_document``."""
        await self.get_document(actor, request.tenant, request.base, request.id)
        found = await self._knowledge.get_original(self._meant(actor, request))
        await self._still_seen(actor, request, request.id)
        return found

    async def delete_document(self, actor: Actor, request: calls.DeleteDocumentRequest) -> bool:
        """Return whether there was one."""
        async with self._changing(_of_document(actor, "delete_document", request)):
            return (await self._knowledge.delete_document(self._meant(actor, request))).existed

    def watch_ingest(self, actor: Actor, tenant: str, base: str, timeout: float | None) -> Progress:
        """Return how far the taking in is; whoever opens it closes it."""
        return self._knowledge.watch_ingest(calls.WatchIngestRequest(self.owner(actor, tenant), base), timeout)

    async def chunk(self, request: calls.ChunkRequest) -> calls.ChunkResponse:
        """Return what a document would be cut into."""
        return await self._knowledge.chunk(request)

    def meant_search(self, actor: Actor, request: calls.SearchRequest) -> calls.SearchRequest:
        """Return the search as the actor may do it: in its tenant, by its key's labels or those of them that it names.

        Raises:
            RightsExceeded: if it names one that its key has not.
        """
        if actor.is_operator:
            return self._meant(actor, request)
        beyond = bounds.labels(request.labels) - actor.labels
        if beyond:
            raise RightsExceeded(
                f"Your API key has not the label '{min(beyond)}': search by those that it has, or name none.",
                bound="labels",
            )
        labels = tuple(sorted(request.labels or actor.labels))
        return msgspec.structs.replace(self._meant(actor, request), labels=labels)

    async def search(self, request: calls.SearchRequest) -> SearchResult:
        """Return what a search finds that ``meant_search`` has returned."""
        return (await self._knowledge.search(request)).result

    async def build_index(self, actor: Actor, request: calls.BuildIndexRequest) -> IndexVersion:
        """Return the version that was begun."""
        spec = request.spec
        details = {"model": spec.model, "splitter": spec.splitter.kind}
        async with self._changing(_of_base(actor, "build_index", request, details)):
            made = (await self._knowledge.build_index(self._meant(actor, request))).index
            details["version"] = str(made.number)
        return made

    async def list_indexes(self, actor: Actor, tenant: str, base: str) -> calls.ListIndexesResponse:
        """Return the versions, the newest first."""
        return await self._knowledge.list_indexes(calls.ListIndexesRequest(self.owner(actor, tenant), base))

    async def switch_index(self, actor: Actor, request: calls.SwitchIndexRequest, reason: str = "") -> IndexVersion:
        """Return the version that serves now; a force, and the reason, are told in the audit log."""
        details = {
            "version": str(request.version or "previous"),
            "force": "true" if request.force else "",
            "reason": bounds.reason(reason),
        }
        async with self._changing(_of_base(actor, "switch_index", request, details)):
            serving = (await self._knowledge.switch_index(self._meant(actor, request))).index
            details["version"] = str(serving.number)
        return serving

    async def drop_index(self, actor: Actor, request: calls.DropIndexRequest) -> bool:
        """Return whether there was one."""
        details = {"version": str(request.version)}
        async with self._changing(_of_base(actor, "drop_index", request, details)):
            return (await self._knowledge.drop_index(self._meant(actor, request))).existed

    async def put_evaluation(self, actor: Actor, request: calls.PutEvaluationRequest) -> int:
        """Return how many questions there are now."""
        details = {"queries": str(len(request.queries))}
        async with self._changing(_of_base(actor, "put_evaluation", request, details)):
            return (await self._knowledge.put_evaluation(self._meant(actor, request))).queries

    async def _still_seen(self, actor: Actor, request: Any, document: str) -> None:
        """Refuse what was read while its labels were taken from the actor."""
        if not _sees_all(actor):
            await self.get_document(actor, request.tenant, request.base, document)

    def _meant(self, actor: Actor, request: _OfTenantT) -> _OfTenantT:
        return msgspec.structs.replace(request, tenant=self.owner(actor, request.tenant))

    @asynccontextmanager
    async def _changing(self, deed: Deed) -> AsyncGenerator[None]:
        """Note the deed on leaving, however it went. The registry's transaction is not held meanwhile: uploads take long."""
        try:
            yield
        except ServiceUnavailable:
            raise
        except PenstockError as error:
            await self._audit.note(deed, outcome_of(error))
            raise
        await self._audit.note(deed, OK)


def may_see(actor: Actor, document: Document) -> bool:
    """Return whether the actor may look at a document."""
    return _sees_all(actor) or may_find(actor.labels, document)


def _sees_all(actor: Actor) -> bool:
    return actor.is_operator or actor.may_change


def _no_document(document: str) -> ResourceNotFound:
    shown = document[:_MOST_SHOWN]
    return ResourceNotFound(f"There is no document '{shown}'.", kind=DOCUMENT_KIND, name=shown)


@contextmanager
def _one_refusal(document: str) -> Generator[None]:
    """Have what is not there be told in the words of what may not be seen."""
    try:
        yield
    except ResourceNotFound as error:
        if error.kind == BASE_KIND:
            raise
        raise _no_document(document) from None


def _of_base(actor: Actor, action: str, request: Any, details: Mapping[str, str]) -> Deed:
    return Deed(actor, f"knowledge.{action}", request.tenant or actor.tenant, request.base, details)


def _of_document(actor: Actor, action: str, request: Any, details: Mapping[str, str] | None = None) -> Deed:
    target = f"{request.base}/{request.id}"
    return Deed(actor, f"knowledge.{action}", request.tenant or actor.tenant, target, details or {})
