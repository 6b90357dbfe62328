"""A gateway whose documents lie in memory, and whose files lie where they always do: in SQL."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import openai

import penstock_gateway.app.gateway
import penstock_gateway.settings
import penstock_inference.app
import penstock_router.app
from penstock_common.configuration import Configuration
from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import (
    Attribute,
    AttributeValue,
    Chunk,
    Comparison,
    Document,
    DocumentFailure,
    Filter,
    Hit,
    IndexVersion,
    KnowledgeBase,
    SearchedIndex,
    SearchResult,
)
from penstock_common.contract.wire import knowledge as wire
from penstock_common.errors import InvalidRequest, ResourceNotFound
from penstock_common.rpc.method import Handler
from penstock_common.service import Service
from penstock_common.sql.database import open_database
from penstock_common.sql.schema import upgrade
from penstock_common.testing.transports import IN_PROCESS, channel_to
from penstock_embedding.adapters.sql.files.schema import FILES
from penstock_embedding.adapters.sql.files.store import SqlFiles
from penstock_embedding.domain.knowledge.files import FileLimits, Files
from penstock_embedding.surfaces.files import files_handlers

_NOW = datetime(2030, 1, 2, tzinfo=UTC)
_WINDOW = 254
_CHUNK = 40
_OVERLAP = 10


class XorSealer:
    """Implements ``Sealer``: what lies there is not what was given, and opens where it belongs alone."""

    def seal(self, tenant: str, bound_to: bytes, content: bytes) -> bytes:
        return bound_to + b"\0sealed\0" + bytes(byte ^ 0x5A for byte in content)

    def open(self, tenant: str, bound_to: bytes, sealed: bytes) -> bytes:
        head, _, content = sealed.partition(b"\0sealed\0")
        assert head == bound_to
        return bytes(byte ^ 0x5A for byte in content)


@dataclass
class MemoryKnowledge:
    """Implements what the contract's ``KnowledgeService`` says, by plain words. ``settle`` takes in what is pending."""

    settles_at_once: bool = True
    bases: dict[tuple[str, str], KnowledgeBase] = field(default_factory=dict)
    specs: dict[tuple[str, str], Any] = field(default_factory=dict)
    documents: dict[tuple[str, str, str], Document] = field(default_factory=dict)
    texts: dict[tuple[str, str, str], str] = field(default_factory=dict)
    searches: list[calls.SearchRequest] = field(default_factory=list)
    degraded: tuple[str, ...] = ()

    def handlers(self) -> list[Handler]:
        methods = {
            wire.PUT_BASE: self.put_base,
            wire.GET_BASE: self.get_base,
            wire.LIST_BASES: self.list_bases,
            wire.DELETE_BASE: self.delete_base,
            wire.CHANGE_DOCUMENT: self.change_document,
            wire.GET_DOCUMENT: self.get_document,
            wire.LIST_DOCUMENTS: self.list_documents,
            wire.LIST_CHUNKS: self.list_chunks,
            wire.DELETE_DOCUMENT: self.delete_document,
            wire.LIST_INDEXES: self.list_indexes,
            wire.SEARCH: self.search,
        }

        def serving(behaviour: Any) -> Any:
            async def serve(request: Any, _: Any) -> Any:
                return await behaviour(request)

            return serve

        return [method.served_by(serving(behaviour)) for method, behaviour in methods.items()]

    def settle(self) -> None:
        for place, document in self.documents.items():
            if document.state == "pending":
                self.documents[place] = self._taken_in(document, self.texts[place])

    async def put_base(self, request: calls.PutBaseRequest) -> calls.PutBaseResponse:
        place = request.tenant, request.id
        if request.change_only:
            base = self._base(*place)
        else:
            if request.spec.splitter.max_tokens > _WINDOW:
                message = f"spec.splitter.max_tokens must be at most {_WINDOW}, the model's window."
                raise InvalidRequest(message, field="spec.splitter.max_tokens")
            base = KnowledgeBase(id=request.id, created_at=_NOW)
            self.specs[place] = request.spec
        self.bases[place] = msgspec.structs.replace(base, name=request.name, attributes=request.attributes)
        return calls.PutBaseResponse(self._told(*place))

    async def get_base(self, request: calls.GetBaseRequest) -> calls.GetBaseResponse:
        return calls.GetBaseResponse(self._told(request.tenant, request.id))

    async def list_bases(self, request: calls.ListBasesRequest) -> calls.ListBasesResponse:
        ids = [base for tenant, base in self.bases if tenant == request.tenant]
        page, token = _page(ids, request)
        return calls.ListBasesResponse([self._told(request.tenant, base) for base in page], token)

    async def delete_base(self, request: calls.DeleteBaseRequest) -> calls.DeleteBaseResponse:
        existed = self.bases.pop((request.tenant, request.id), None) is not None
        self.documents = {
            place: one for place, one in self.documents.items() if place[:2] != (request.tenant, request.id)
        }
        return calls.DeleteBaseResponse(existed)

    async def put_document(self, request: calls.PutDocumentRequest) -> calls.PutDocumentResponse:
        self._base(request.tenant, request.base)
        place = request.tenant, request.base, request.id
        before = self.documents.get(place)
        document = Document(
            id=request.id,
            knowledge_base=request.base,
            filename=request.filename,
            attributes=request.attributes,
            labels=request.labels,
            version=1 if before is None else before.version + 1,
            bytes=len(request.content),
            created_at=_NOW,
        )
        self.texts[place] = request.content.decode(errors="replace")
        self.documents[place] = self._taken_in(document, self.texts[place]) if self.settles_at_once else document
        return calls.PutDocumentResponse(self.documents[place])

    async def change_document(self, request: calls.ChangeDocumentRequest) -> calls.ChangeDocumentResponse:
        place = request.tenant, request.base, request.id
        document = self._document(*place)
        changes: dict[str, Any] = {}
        if request.replace_attributes:
            changes["attributes"] = request.attributes
        if request.replace_labels:
            changes["labels"] = request.labels
        if request.cancel and document.state == "pending":
            changes["state"] = "cancelled"
        self.documents[place] = msgspec.structs.replace(document, **changes)
        return calls.ChangeDocumentResponse(self.documents[place])

    async def get_document(self, request: calls.GetDocumentRequest) -> calls.GetDocumentResponse:
        return calls.GetDocumentResponse(self._document(request.tenant, request.base, request.id))

    async def list_documents(self, request: calls.ListDocumentsRequest) -> calls.ListDocumentsResponse:
        self._base(request.tenant, request.base)
        ids = [
            place[2]
            for place, one in self.documents.items()
            if place[:2] == (request.tenant, request.base)
            and request.state in ("", one.state)
            and (not request.ids or place[2] in request.ids)
        ]
        page, token = _page(ids, request)
        return calls.ListDocumentsResponse([self._document(request.tenant, request.base, one) for one in page], token)

    async def list_chunks(self, request: calls.ListChunksRequest) -> calls.ListChunksResponse:
        place = request.tenant, request.base, request.document
        self._document(*place)
        first = int(request.page_token or 0)
        chunks = _chunks(self.documents[place], self.texts[place])
        more = first + 2 < len(chunks)
        return calls.ListChunksResponse(chunks[first : first + 2], str(first + 2) if more else "")

    async def delete_document(self, request: calls.DeleteDocumentRequest) -> calls.DeleteDocumentResponse:
        self._base(request.tenant, request.base)
        place = request.tenant, request.base, request.id
        return calls.DeleteDocumentResponse(self.documents.pop(place, None) is not None)

    async def list_indexes(self, request: calls.ListIndexesRequest) -> calls.ListIndexesResponse:
        self._base(request.tenant, request.base)
        spec = self.specs[request.tenant, request.base]
        index = IndexVersion(number=1, spec=spec, model_revision="r", dimension=3, state="serving", created_at=_NOW)
        return calls.ListIndexesResponse([index])

    async def search(self, request: calls.SearchRequest) -> calls.SearchResponse:
        self.searches.append(request)
        (base,) = request.bases
        self._base(request.tenant, base)
        words = set(request.query.lower().split())
        hits = [
            Hit(
                chunk=chunk,
                knowledge_base=base,
                filename=one.filename,
                attributes=one.attributes,
                score=len(words & set(chunk.text.lower().split())) / len(words),
            )
            for place, one in self.documents.items()
            if place[:2] == (request.tenant, base)
            and one.state == "ready"
            and (not one.labels or set(one.labels) & set(request.labels))
            and _meets(one, request.options.filter)
            for chunk in _chunks(one, self.texts[place])
        ]
        found = sorted((hit for hit in hits if hit.score > request.options.min_score), key=lambda hit: -hit.score)
        index = SearchedIndex(knowledge_base=base, version=1, model="m", model_revision="r", generation=1)
        result = SearchResult(
            hits=found[: request.options.limit], searched=[index], degraded=self.degraded, query_tokens=len(words)
        )
        return calls.SearchResponse(result)

    def _taken_in(self, document: Document, text: str) -> Document:
        if "%broken%" in text:
            failure = DocumentFailure("broken", "The file ends in the middle. Upload it again.", "page 3")
            return msgspec.structs.replace(document, state="failed", failure=failure)
        return msgspec.structs.replace(document, state="ready", chunks=len(_chunks(document, text)))

    def _base(self, tenant: str, base: str) -> KnowledgeBase:
        if (tenant, base) not in self.bases:
            raise ResourceNotFound(f"There is no knowledge base '{base}'.", kind="knowledge base", name=base)
        return self.bases[tenant, base]

    def _document(self, tenant: str, base: str, document: str) -> Document:
        self._base(tenant, base)
        if (tenant, base, document) not in self.documents:
            raise ResourceNotFound(f"There is no document '{document}'.", kind="document", name=document)
        return self.documents[tenant, base, document]

    def _told(self, tenant: str, base: str) -> KnowledgeBase:
        states = [one.state for place, one in self.documents.items() if place[:2] == (tenant, base)]
        return msgspec.structs.replace(
            self._base(tenant, base),
            documents=states.count("ready"),
            documents_pending=states.count("pending"),
            documents_failed=states.count("failed"),
            documents_cancelled=states.count("cancelled"),
            bytes=sum(one.bytes for place, one in self.documents.items() if place[:2] == (tenant, base)),
        )


def _page(ids: list[str], request: Any) -> tuple[list[str], str]:
    ordered = sorted(ids, reverse=request.descending)
    token = request.page_token
    if token:
        ordered = [one for one in ordered if (one < token if request.descending else one > token)]
    page = ordered[: request.page_size]
    return page, page[-1] if len(ordered) > len(page) else ""


def _chunks(document: Document, text: str) -> list[Chunk]:
    chunks: list[Chunk] = []
    start = 0
    while start == 0 or start + _OVERLAP < len(text):
        end = min(len(text), start + _CHUNK)
        chunks.append(
            Chunk(
                id=f"{document.id}-{document.version}-{len(chunks)}",
                document=document.id,
                document_version=document.version,
                ordinal=len(chunks),
                text=text[start:end],
                start=start,
                end=end,
            )
        )
        start = end - _OVERLAP if end < len(text) else len(text)
    return chunks


def _meets(document: Document, wanted: Filter | None) -> bool:
    if wanted is None:
        return True
    if wanted.comparison is not None:
        return _compares(document.attributes, wanted.comparison)
    if wanted.all_of:
        return all(_meets(document, one) for one in wanted.all_of)
    return any(_meets(document, one) for one in wanted.any_of)


def _compares(attributes: Any, wanted: Comparison) -> bool:
    value: AttributeValue | None = next((one.value for one in attributes if one.name == wanted.attribute), None)
    if wanted.operator in ("eq", "in"):
        return value in wanted.values
    if wanted.operator in ("ne", "nin"):
        return value not in wanted.values
    if value is None or value.number is None:
        return False
    bound = wanted.values[0].number
    assert bound is not None
    return {"gt": value.number > bound, "gte": value.number >= bound, "lt": value.number < bound}.get(
        wanted.operator, value.number <= bound
    )


def attribute(name: str, text: str) -> Attribute:
    return Attribute(name, AttributeValue(text=text))


@dataclass
class StoresWorld:
    """A gateway with documents, and its callers' side."""

    knowledge: MemoryKnowledge
    grpc_port: int
    socket: str
    http: httpx.AsyncClient

    def sdk(self, key: str) -> openai.AsyncOpenAI:
        """Return the vendor's SDK with a key."""
        return openai.AsyncOpenAI(api_key=key, base_url="http://penstock/v1", http_client=self.http, max_retries=0)

    async def ask(self, method: str, path: str, key: str, **options: Any) -> httpx.Response:
        """Return the answer to a request that no SDK would send."""
        head = {"authorization": f"Bearer {key}", **options.pop("headers", {})}
        return await self.http.request(method, f"http://penstock{path}", headers=head, **options)


def _opened(files: Files) -> Any:
    async def opened() -> Files:
        return files

    return opened


@asynccontextmanager
async def stores_world(
    document: dict[str, Any], folder: Path, limits: FileLimits | None = None
) -> AsyncGenerator[StoresWorld]:
    """Yield a gateway whose documents lie in memory."""
    knowledge = MemoryKnowledge()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_database(f"sqlite:///{folder}/files.sqlite"))
        await upgrade(engine, FILES)
        files = Files(SqlFiles(engine), XorSealer(), knowledge, limits or FileLimits())
        service = Service("embedding", [*knowledge.handlers(), *files_handlers(_opened(files))])
        yield await stack.enter_async_context(gateway_before(document, folder, service, knowledge))


@asynccontextmanager
async def gateway_before(
    document: dict[str, Any],
    folder: Path,
    embedding: Service,
    knowledge: MemoryKnowledge | None = None,
    transport: str = IN_PROCESS,
) -> AsyncGenerator[StoresWorld]:
    """Yield a gateway before an embedding service."""
    async with AsyncExitStack() as stack:
        opened = stack.enter_async_context
        configuration = Configuration(document)
        channels: dict[str, Any] = {"embedding": await opened(channel_to(embedding, transport))}
        for package in (penstock_router, penstock_inference):
            service = await opened(package.app.build(configuration.settings(package.settings.Settings)))
            channels[service.name] = await opened(channel_to(service, IN_PROCESS))
        gateway = await opened(
            penstock_gateway.app.gateway.running(
                configuration.settings(penstock_gateway.settings.Settings),
                penstock_gateway.app.gateway.Channels(**channels),
                penstock_gateway.app.gateway.Listen(grpc="127.0.0.1:0", http=f"unix:{folder}/http.sock"),
                upgrades_schema=True,
                shares_limits=False,
            )
        )
        await gateway.set_ready()
        http = await opened(
            httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=f"{folder}/http.sock"), timeout=60)
        )
        yield StoresWorld(knowledge or MemoryKnowledge(), gateway.grpc_port, f"{folder}/http.sock", http)


def plain_configuration(folder: Path, operator_key: str) -> dict[str, Any]:
    """Return the configuration of a gateway whose tenants the operator makes."""
    (folder / "pepper").write_bytes(b"p" * 32)
    model = {"name": "m", "context_window": 8000, "capabilities": ["chat"], "price": {"input": 1, "output": 2}}
    upstream = {"name": "u", "provider": "openai_compatible", "base_url": "http://127.0.0.1:1/v1", "api_key": "x"}
    return {
        "upstreams": [{**upstream, "models": [model]}],
        "models": [{"name": "fast", "candidates": ["u/m"]}],
        "tenants": [],
        "tiers": {"wide": {"requests_per_minute": 100_000}},
        "operator": {"keys": [operator_key]},
        "sql": f"sqlite:///{folder}/penstock.db",
        "secrets": {"key_pepper_file": f"{folder}/pepper"},
        "gateway": {"key_lookup_timeout": "20s", "router_timeout": "10s"},
    }
