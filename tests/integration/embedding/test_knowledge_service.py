"""KnowledgeService with all of its real parts: SQLite, Qdrant Edge, the embedding model, confined parsers."""

from __future__ import annotations

import importlib.util
from contextlib import asynccontextmanager

import pytest

from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import (
    EvaluationQuery,
    IndexSpec,
    RelevantDocument,
    SearchMode,
    SearchOptions,
    Splitter,
)
from penstock_common.contract.wire import knowledge as methods
from penstock_common.errors import ResourceState, ServiceUnavailable
from penstock_common.rpc.in_process import InProcessChannel
from penstock_embedding.app import build
from penstock_embedding.settings import Settings

TENANT = "acme"
DOCUMENTS = {
    "leave.md": "# Leave\n\nEmployees have thirty days of paid leave a year.\n\n## Sickness\n\nCall in before nine o'clock.\n",
    "travel.txt": "Travel by train is booked in second class. Flights need the consent of a manager.\n",
    "prices.csv": "product,price\nkettle,29\ntoaster,35\n",
    "server.py": "def restart(server):\n    '''Restart a server that hangs.'''\n    server.stop()\n    server.start()\n",
    "page.html": "<html><body><h1>Canteen</h1><p>Lunch is served between noon and two.</p></body></html>",
}


@pytest.fixture
def settings(tmp_path, model_files, cache_dir):
    if importlib.util.find_spec("qdrant_edge") is None:
        pytest.skip("the embedded engine is not installed")
    (tmp_path / "key").write_bytes(b"k" * 32)
    return Settings.model_validate(
        {
            "embedding": {"load": "on_first_use", "cache_dir": str(cache_dir)},
            "sql": f"sqlite:///{tmp_path}/penstock.db",
            "secrets": {"knowledge_key_file": str(tmp_path / "key")},
            "knowledge": {"least_evaluation_queries": 2, "path": str(tmp_path / "vectors")},
            "qdrant": {"timeout": "10s"},
        }
    )


class Service:
    """Calls it."""

    def __init__(self, channel):
        self._channel = channel

    async def __call__(self, method, request):
        return await self._channel.call(method, request)

    async def put(self, id_, content):
        content = content if isinstance(content, bytes) else content.encode()
        request = calls.PutDocumentRequest(tenant=TENANT, base="kb", id=id_, filename=id_, content=content)
        return await self(methods.PUT_DOCUMENT, request)

    async def settled(self):
        return [one.progress async for one in self._channel.stream(methods.WATCH_INGEST, watch())][-1]

    async def found(self, query, mode: SearchMode = "hybrid", version=0):
        options = SearchOptions(mode=mode, limit=5, index_version=version)
        request = calls.SearchRequest(tenant=TENANT, bases=["kb"], query=query, options=options)
        return (await self(methods.SEARCH, request)).result


def watch():
    return calls.WatchIngestRequest(TENANT, "kb")


@asynccontextmanager
async def serving(settings):
    async with build(settings) as service:
        yield Service(InProcessChannel(service.handlers))


async def test_documents_are_found_replaced_kept_over_a_restart_and_gone(settings, tmp_path):
    async with serving(settings) as service:
        # Nothing is opened for nobody.
        assert not list(tmp_path.glob("knowledge*"))
        await service(methods.PUT_BASE, calls.PutBaseRequest(tenant=TENANT, id="kb"))
        for id_, content in DOCUMENTS.items():
            await service.put(id_, content)
        await service.put("broken.pdf", b"%PDF-1.7\nnothing that could be read")
        progress = await service.settled()
        assert (progress.documents_done, progress.documents_failed) == (5, 1)
        for mode in ("dense", "sparse", "hybrid"):
            result = await service.found("How many days of leave do employees have?", mode)
            assert result.hits[0].chunk.document == "leave.md", mode
            assert not result.degraded
        hit = (await service.found("restart a server")).hits[0]
        assert hit.chunk.document == "server.py"
        assert DOCUMENTS["server.py"][hit.chunk.start : hit.chunk.end] == hit.chunk.text
        failed = (await service(methods.GET_DOCUMENT, calls.GetDocumentRequest(TENANT, "kb", "broken.pdf"))).document
        assert failed.state == "failed"
        assert failed.failure.reason in {"broken", "no_text"}
        await service.put("travel.txt", "Journeys go by bicycle now.\n")
    # What was put and not taken in is taken in by the next process.
    async with serving(settings) as service:
        await service.settled()
        texts = [hit.chunk.text for hit in (await service.found("journeys travel flights train bicycle")).hits]
        assert any("bicycle" in text for text in texts)
        assert not any("Flights" in text for text in texts)
        await service(methods.DELETE_DOCUMENT, calls.DeleteDocumentRequest(TENANT, "kb", "leave.md"))
        assert "leave.md" not in {hit.chunk.document for hit in (await service.found("days of leave")).hits}


async def test_a_version_with_another_splitter_is_built_judged_and_switched_to(settings):
    async with serving(settings) as service:
        await service(methods.PUT_BASE, calls.PutBaseRequest(tenant=TENANT, id="kb"))
        for id_, content in DOCUMENTS.items():
            await service.put(id_, content)
        await service.settled()
        queries = [
            EvaluationQuery("How many days of leave?", [RelevantDocument("leave.md", 3)]),
            EvaluationQuery("When is lunch?", [RelevantDocument("page.html", 3)]),
        ]
        await service(methods.PUT_EVALUATION, calls.PutEvaluationRequest(TENANT, "kb", queries))
        spec = IndexSpec("", Splitter("recursive", 64, 0))
        index = (await service(methods.BUILD_INDEX, calls.BuildIndexRequest(TENANT, "kb", spec))).index
        while index.state == "building":
            listed = await service(methods.LIST_INDEXES, calls.ListIndexesRequest(TENANT, "kb"))
            index = listed.indexes[0]
        assert (index.state, index.documents, index.documents_total) == ("ready", 5, 5)
        assert (await service(methods.SWITCH_INDEX, calls.SwitchIndexRequest(TENANT, "kb", 2))).index.state == "serving"
        result = await service.found("When is lunch served?")
        assert (result.searched[0].version, result.hits[0].chunk.document) == (2, "page.html")
        assert (await service(methods.SWITCH_INDEX, calls.SwitchIndexRequest(TENANT, "kb"))).index.number == 1
        assert (await service(methods.DROP_INDEX, calls.DropIndexRequest(TENANT, "kb", 2))).existed


async def test_what_a_document_would_be_cut_into_is_shown_and_not_kept(settings):
    async with serving(settings) as service:
        content = DOCUMENTS["leave.md"].encode()
        answer = await service(methods.CHUNK, calls.ChunkRequest(content=content, filename="leave.md"))
        assert answer.document.title == "Leave"
        assert [list(chunk.headings)[:1] for chunk in answer.chunks][0] in ([], ["Leave"])
        assert all(chunk.tokens for chunk in answer.chunks)


async def test_the_splitter_semantic_cuts_where_the_meaning_changes(settings):
    leave = (
        "Employees have thirty days of paid leave a year. Employees take their days of paid leave in that year. " * 2
    )
    kettle = "The kettle boils water for tea. Tea is made of boiling water from the kettle. " * 2
    semantic = IndexSpec("", Splitter("semantic", 0, 0))
    content = (leave + kettle).encode()
    async with serving(settings) as service:
        shown = await service(methods.CHUNK, calls.ChunkRequest(content=content, filename="a.txt", spec=semantic))
        await service(methods.PUT_BASE, calls.PutBaseRequest(tenant=TENANT, id="kb", spec=semantic))
        await service.put("a.txt", content)
        assert (await service.settled()).documents_done == 1
        listed = await service(methods.LIST_CHUNKS, calls.ListChunksRequest(TENANT, "kb", "a.txt"))
    for chunks in (shown.chunks, listed.chunks):
        assert [chunk.text for chunk in chunks] == [leave.strip(), kettle.strip()]


async def test_the_named_reranker_is_opened_and_one_that_is_none_is_told(settings):
    knowledge = settings.knowledge.model_copy(update={"reranker": "/no/such/cross-encoder"})
    async with serving(settings.model_copy(update={"knowledge": knowledge})) as service:
        with pytest.raises(ServiceUnavailable, match="'knowledge.reranker': /no/such/cross-encoder"):
            await service(methods.PUT_BASE, calls.PutBaseRequest(tenant=TENANT, id="kb"))


async def test_without_a_database_or_a_key_it_says_what_is_missing(settings):
    without = settings.model_copy(update={"sql": ""})
    async with serving(without) as service:
        with pytest.raises(ResourceState, match="keeps no documents: it needs 'sql'"):
            await service(methods.LIST_BASES, calls.ListBasesRequest(TENANT))
    off = settings.model_copy(update={"knowledge": settings.knowledge.model_copy(update={"enabled": False})})
    async with serving(off) as service:
        with pytest.raises(ResourceState, match="knowledge.enabled"):
            await service(methods.LIST_BASES, calls.ListBasesRequest(TENANT))
    secrets = settings.secrets.model_copy(update={"knowledge_key_file": None})
    async with serving(settings.model_copy(update={"secrets": secrets})) as service:
        for _ in range(2):
            with pytest.raises(ServiceUnavailable, match="'secrets.knowledge_key_file' is missing"):
                await service(methods.LIST_BASES, calls.ListBasesRequest(TENANT))
