"""Knowledge bases and their documents: what callers put, change and see."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import IndexSpec, KnowledgeBase
from penstock_common.errors import InvalidRequest, ResourceNotFound
from penstock_embedding.domain.knowledge import rules
from penstock_embedding.domain.knowledge.ports import IndexRef, Models
from penstock_embedding.domain.knowledge.records import Key, Limits, NewDocument, Page
from penstock_embedding.domain.knowledge.stores import Bases, DocumentStore
from penstock_embedding.domain.knowledge.sweeping import Sweeper
from penstock_embedding.domain.retrieval.analysis import ANALYSIS_VERSION


class Bounds(NamedTuple):
    """The most of one tenant, and of one document."""

    of_a_tenant: Limits
    document_bytes: int


@dataclass(frozen=True, slots=True)
class Documents:
    """What ``KnowledgeService`` does about knowledge bases and documents; requests and answers are the contract's."""

    bases: Bases
    documents: DocumentStore
    models: Models
    sweeper: Sweeper
    bounds: Bounds
    awaken: Callable[[], None]
    """Called when there is something to take in."""

    async def put_base(self, request: calls.PutBaseRequest) -> calls.PutBaseResponse:
        """Make a knowledge base, or change one.

        Raises:
            InvalidRequest: if it may not be so.
            ResourceNotFound, ResourceExists: as asked for, and if its model is not there.
            QuotaExhausted: if the tenant may have no more.
        """
        id_ = request.id or f"kb-{uuid.uuid4().hex[:24]}"
        rules.check_base(id_, request.name)
        rules.check_attributes(request.attributes)
        if not request.create_only and await self._exists(request.tenant, id_):
            base = await self.bases.change(request.tenant, id_, request.name, request.attributes)
            return calls.PutBaseResponse(base)
        if request.change_only:
            return calls.PutBaseResponse(await self.bases.get(request.tenant, id_))
        index = await new_index(self.models, request.tenant, id_, request.spec)
        made = KnowledgeBase(id=id_, name=request.name, attributes=request.attributes, created_at=datetime.now(UTC))
        return calls.PutBaseResponse(await self.bases.create(made, index, self.bounds.of_a_tenant.bases))

    async def get_base(self, request: calls.GetBaseRequest) -> calls.GetBaseResponse:
        """Return a knowledge base."""
        return calls.GetBaseResponse(await self.bases.get(request.tenant, request.id))

    async def list_bases(self, request: calls.ListBasesRequest) -> calls.ListBasesResponse:
        """Return a page of a tenant's knowledge bases; a page's token is the last id of the page before."""
        size = rules.page_size(request.page_size)
        page = Page(request.page_token, size + 1, request.descending)
        found = await self.bases.list(request.tenant, page)
        return calls.ListBasesResponse(found[:size], found[size - 1].id if len(found) > size else "")

    async def delete_base(self, request: calls.DeleteBaseRequest) -> calls.DeleteBaseResponse:
        """Delete a knowledge base with all that is in it, its vectors as far as their store answers now."""
        existed = await self.bases.delete(request.tenant, request.id)
        await self.sweeper.sweep_soon()
        return calls.DeleteBaseResponse(existed)

    async def put_document(self, request: calls.PutDocumentRequest) -> calls.PutDocumentResponse:
        """Accept a document: once this has returned, it is taken in, whatever happens.

        Raises:
            InvalidRequest: if it cannot be kept.
            ResourceNotFound: if there is no such knowledge base.
            ResourceChanged: if it has not the version that was asked for.
            QuotaExhausted: if the tenant may have no more.
        """
        rules.check_document(request, self.bounds.document_bytes)
        rules.check_attributes(request.attributes)
        labels = rules.check_labels(request.labels)
        content_hash = rules.hash_of(request.content)
        said = {
            "filename": request.filename,
            "media_type": request.media_type,
            "title": request.title,
            "language": request.language,
        }
        new = NewDocument(
            key=Key(request.tenant, request.base, request.id or rules.new_document_id(request)),
            content=request.content,
            content_hash=content_hash,
            fingerprint=rules.fingerprint_of(content_hash, said),
            attributes=request.attributes,
            labels=labels,
            if_version=request.if_version,
            **said,
        )
        document, unchanged = await self.documents.put(new, self.bounds.of_a_tenant)
        if not unchanged:
            self.awaken()
        # Its labels count from now on, also of what is found of it already.
        await self.sweeper.sweep_soon()
        return calls.PutDocumentResponse(document, unchanged)

    async def change_document(self, request: calls.ChangeDocumentRequest) -> calls.ChangeDocumentResponse:
        """Change labels and attributes, from now on and in every version, or end the taking in."""
        if request.replace_attributes:
            rules.check_attributes(request.attributes)
        document = await self.documents.change(
            Key(request.tenant, request.base, request.id),
            request.attributes if request.replace_attributes else None,
            rules.check_labels(request.labels) if request.replace_labels else None,
            cancel=request.cancel,
        )
        await self.sweeper.sweep_soon()
        return calls.ChangeDocumentResponse(document)

    async def get_document(self, request: calls.GetDocumentRequest) -> calls.GetDocumentResponse:
        """Return a document."""
        return calls.GetDocumentResponse(await self.documents.get(Key(request.tenant, request.base, request.id)))

    async def list_documents(self, request: calls.ListDocumentsRequest) -> calls.ListDocumentsResponse:
        """Return a page of documents; a page's token is the last id of the page before."""
        if len(request.ids) > rules.MAX_PAGE:
            raise InvalidRequest(f"At most {rules.MAX_PAGE} ids are looked up at once.", field="ids")
        size = rules.page_size(request.page_size)
        page = Page(request.page_token, size + 1, request.descending)
        found = await self.documents.list(request.tenant, request.base, page, request.state, request.ids)
        return calls.ListDocumentsResponse(found[:size], found[size - 1].id if len(found) > size else "")

    async def list_chunks(self, request: calls.ListChunksRequest) -> calls.ListChunksResponse:
        """Return a page of a document's chunks; a page's token is the last ordinal of the page before."""
        size = rules.page_size(request.page_size)
        key = Key(request.tenant, request.base, request.document)
        found = await self.documents.chunks(key, _ordinal(request.page_token), size + 1)
        return calls.ListChunksResponse(found[:size], str(found[size - 1].ordinal) if len(found) > size else "")

    async def get_original(self, request: calls.GetOriginalRequest) -> calls.GetOriginalResponse:
        """Return what was put.

        Raises:
            ResourceNotFound: also where originals are not kept.
        """
        document, content = await self.documents.original(Key(request.tenant, request.base, request.id))
        return calls.GetOriginalResponse(content, document.media_type, document.filename)

    async def delete_document(self, request: calls.DeleteDocumentRequest) -> calls.DeleteDocumentResponse:
        """Delete a document: it is found by nothing that begins from now on."""
        existed = await self.documents.delete(Key(request.tenant, request.base, request.id))
        await self.sweeper.sweep_soon()
        return calls.DeleteDocumentResponse(existed)

    async def _exists(self, tenant: str, base: str) -> bool:
        try:
            await self.bases.get(tenant, base)
        except ResourceNotFound:
            return False
        return True


async def new_index(models: Models, tenant: str, base: str, spec: IndexSpec) -> IndexRef:
    """Return an index of a spec, without a number.

    Raises:
        ModelNotFound: if there is no such model.
        InvalidRequest: if its window does not hold the chunks.
    """
    model = models.model(spec.model)
    full = rules.resolved(spec, model.counter.window_tokens)
    return IndexRef(
        tenant=tenant,
        base=base,
        version=0,
        spec=IndexSpec(model.name, full.splitter),
        model_revision=await model.revision(),
        dimension=await model.dimension(),
        generation=0,
        chunks=0,
        analysis=ANALYSIS_VERSION,
    )


def _ordinal(token: str) -> int:
    if not token:
        return -1
    if not token.isdecimal():
        raise InvalidRequest("The page token is none of ours.", field="page_token")
    return int(token)
