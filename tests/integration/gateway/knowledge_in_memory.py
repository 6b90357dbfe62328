"""The embedding service's KnowledgeService as far as its callers can see it: documents in memory, found by their words."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from penstock_common.contract import knowledge as values
from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.wire import knowledge as wire
from penstock_common.errors import ResourceExists, ResourceNotFound, ResourceState
from penstock_common.rpc.method import StreamMethod, UnaryMethod
from penstock_common.service import Service

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class KnowledgeInMemory:
    """Keeps what is put at once; ``asked`` has every request, in order."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.bases: dict[tuple[str, str], values.KnowledgeBase] = {}
        self.documents: dict[tuple[str, str], dict[str, tuple[values.Document, bytes]]] = {}
        self.indexes: dict[tuple[str, str], list[values.IndexVersion]] = {}

    def service(self) -> Service:
        """Return the service, which has nothing else."""
        methods = [method for method in vars(wire).values() if isinstance(method, UnaryMethod | StreamMethod)]
        return Service("embedding", [method.served_by(self._behaviour(method)) for method in methods])

    def _behaviour(self, method: Any) -> Any:
        behaviour = getattr(self, method.path.rpartition("/")[2])

        async def answered(request: Any, _call: Any) -> Any:
            self.asked.append(request)
            return behaviour(request)

        async def streamed(request: Any, _call: Any) -> AsyncIterator[Any]:
            self.asked.append(request)
            for response in behaviour(request):
                yield response

        return streamed if isinstance(method, StreamMethod) else answered

    def Chunk(self, request: calls.ChunkRequest) -> calls.ChunkResponse:
        text = request.content.decode()
        document = values.Document(id="", knowledge_base="", filename=request.filename, characters=len(text))
        return calls.ChunkResponse([_chunk("", text)], document)

    def PutBase(self, request: calls.PutBaseRequest) -> calls.PutBaseResponse:
        place = (request.tenant, request.id or "made")
        known = self.bases.get(place)
        if request.create_only and known is not None:
            raise ResourceExists(f"There is a knowledge base '{request.id}'.", kind="knowledge base", name=request.id)
        if request.change_only and known is None:
            self._base(*place)
        self.bases[place] = values.KnowledgeBase(
            id=place[1], name=request.name, attributes=request.attributes, serving=1, created_at=NOW
        )
        self.documents.setdefault(place, {})
        self.indexes.setdefault(place, [_index(1, "serving", request.spec)])
        return calls.PutBaseResponse(self._base(*place))

    def GetBase(self, request: calls.GetBaseRequest) -> calls.GetBaseResponse:
        return calls.GetBaseResponse(self._base(request.tenant, request.id))

    def ListBases(self, request: calls.ListBasesRequest) -> calls.ListBasesResponse:
        return calls.ListBasesResponse(
            [self._base(*place) for place in sorted(self.bases) if place[0] == request.tenant]
        )

    def DeleteBase(self, request: calls.DeleteBaseRequest) -> calls.DeleteBaseResponse:
        self.documents.pop((request.tenant, request.id), None)
        return calls.DeleteBaseResponse(self.bases.pop((request.tenant, request.id), None) is not None)

    def PutDocument(self, request: calls.PutDocumentRequest) -> calls.PutDocumentResponse:
        kept = self._documents(request)
        digest = hashlib.sha256(request.content).hexdigest()
        name = request.id or digest[:16]
        known = kept.get(name)
        unchanged = known is not None and known[0].content_hash == digest
        document = values.Document(
            id=name,
            knowledge_base=request.base,
            filename=request.filename,
            attributes=request.attributes,
            labels=request.labels,
            content_hash=digest,
            version=(known[0].version + (not unchanged)) if known else 1,
            bytes=len(request.content),
            state="failed" if request.content.startswith(b"%BROKEN") else "ready",
            failure=values.DocumentFailure("broken", "It ends in the middle: save it again.", "page 3")
            if request.content.startswith(b"%BROKEN")
            else None,
            created_at=NOW,
            original_kept=True,
        )
        kept[name] = (document, request.content)
        return calls.PutDocumentResponse(document, bool(unchanged))

    def ChangeDocument(self, request: calls.ChangeDocumentRequest) -> calls.ChangeDocumentResponse:
        document, content = self._document(request, request.id)
        if request.replace_labels:
            document = msgspec.structs.replace(document, labels=request.labels)
        if request.replace_attributes:
            document = msgspec.structs.replace(document, attributes=request.attributes)
        self._documents(request)[request.id] = (document, content)
        return calls.ChangeDocumentResponse(document)

    def GetDocument(self, request: calls.GetDocumentRequest) -> calls.GetDocumentResponse:
        return calls.GetDocumentResponse(self._document(request, request.id)[0])

    def ListDocuments(self, request: calls.ListDocumentsRequest) -> calls.ListDocumentsResponse:
        kept = self._documents(request)
        names = [name for name in sorted(kept) if name > request.page_token]
        page = names[: request.page_size or 20]
        more = page[-1] if len(names) > len(page) else ""
        return calls.ListDocumentsResponse([kept[name][0] for name in page], more)

    def ListChunks(self, request: calls.ListChunksRequest) -> calls.ListChunksResponse:
        _, content = self._document(request, request.document)
        return calls.ListChunksResponse([_chunk(request.document, content.decode())])

    def GetOriginal(self, request: calls.GetOriginalRequest) -> calls.GetOriginalResponse:
        document, content = self._document(request, request.id)
        return calls.GetOriginalResponse(content, document.media_type, document.filename)

    def DeleteDocument(self, request: calls.DeleteDocumentRequest) -> calls.DeleteDocumentResponse:
        return calls.DeleteDocumentResponse(self._documents(request).pop(request.id, None) is not None)

    def WatchIngest(self, request: calls.WatchIngestRequest) -> list[calls.WatchIngestResponse]:
        total = len(self._documents(request))
        steps = [values.IngestProgress(documents_total=total, documents_done=done) for done in (0, total)]
        return [calls.WatchIngestResponse(step) for step in steps]

    def Search(self, request: calls.SearchRequest) -> calls.SearchResponse:
        hits: list[values.Hit] = []
        searched = []
        for base in request.bases:
            found = self._base(request.tenant, base)
            searched.append(
                values.SearchedIndex(
                    knowledge_base=base, version=found.serving, model="m", model_revision="r", generation=1
                )
            )
            for document, content in self.documents[request.tenant, base].values():
                may = not document.labels or set(document.labels) & set(request.labels)
                if may and request.query.lower() in content.decode().lower():
                    chunk = _chunk(document.id, content.decode())
                    hits.append(values.Hit(chunk=chunk, knowledge_base=base, filename=document.filename, score=1.0))
        return calls.SearchResponse(values.SearchResult(hits=hits, searched=searched, query_tokens=3))

    def BuildIndex(self, request: calls.BuildIndexRequest) -> calls.BuildIndexResponse:
        versions = self._indexes(request)
        made = _index(len(versions) + 1, "ready", request.spec)
        versions.append(made)
        return calls.BuildIndexResponse(made)

    def ListIndexes(self, request: calls.ListIndexesRequest) -> calls.ListIndexesResponse:
        return calls.ListIndexesResponse(self._indexes(request)[::-1])

    def SwitchIndex(self, request: calls.SwitchIndexRequest) -> calls.SwitchIndexResponse:
        versions = self._indexes(request)
        if request.version == len(versions) and not request.force:
            raise ResourceState("It finds worse: nDCG@10 0.61 after 0.70. Force it, or drop it.", kind="index")
        number = request.version or 1
        for at, version in enumerate(versions):
            versions[at] = msgspec.structs.replace(version, state="serving" if version.number == number else "ready")
        return calls.SwitchIndexResponse(versions[number - 1])

    def DropIndex(self, request: calls.DropIndexRequest) -> calls.DropIndexResponse:
        versions = self._indexes(request)
        left = [version for version in versions if version.number != request.version]
        existed = len(left) < len(versions)
        versions[:] = left
        return calls.DropIndexResponse(existed)

    def PutEvaluation(self, request: calls.PutEvaluationRequest) -> calls.PutEvaluationResponse:
        self._base(request.tenant, request.base)
        return calls.PutEvaluationResponse(len(request.queries))

    def _base(self, tenant: str, base: str) -> values.KnowledgeBase:
        found = self.bases.get((tenant, base))
        if found is None:
            raise ResourceNotFound(f"There is no knowledge base '{base}'.", kind="knowledge base", name=base)
        return msgspec.structs.replace(found, documents=len(self.documents[tenant, base]))

    def _documents(self, request: Any) -> dict[str, tuple[values.Document, bytes]]:
        self._base(request.tenant, request.base)
        return self.documents[request.tenant, request.base]

    def _document(self, request: Any, name: str) -> tuple[values.Document, bytes]:
        found = self._documents(request).get(name)
        if found is None:
            raise ResourceNotFound(f"No document {name} here.", kind="document", name=name)
        return found

    def _indexes(self, request: Any) -> list[values.IndexVersion]:
        self._base(request.tenant, request.base)
        return self.indexes[request.tenant, request.base]


def _chunk(document: str, text: str) -> values.Chunk:
    return values.Chunk(
        id=f"c-{document}", document=document, document_version=1, ordinal=0, text=text, start=0, end=len(text)
    )


def _index(number: int, state: values.IndexState, spec: values.IndexSpec) -> values.IndexVersion:
    return values.IndexVersion(number=number, spec=spec, model_revision="r", dimension=384, state=state, created_at=NOW)
