"""Documents and their indexes, put together."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.background import running
from penstock_common.points.opening import open_points
from penstock_common.sealing import derived_key
from penstock_embedding.adapters.chunk_vectors import QdrantChunkVectors
from penstock_embedding.adapters.parsing.parser import SandboxedParser
from penstock_embedding.adapters.rerank import open_reranker
from penstock_embedding.adapters.sealing import DocumentSealer
from penstock_embedding.adapters.sql.bases import SqlBases
from penstock_embedding.adapters.sql.catalogue import SqlCatalogue
from penstock_embedding.adapters.sql.counting import SqlCounting
from penstock_embedding.adapters.sql.database import Database
from penstock_embedding.adapters.sql.documents import SqlDocuments
from penstock_embedding.adapters.sql.garbage import SqlGarbage
from penstock_embedding.adapters.sql.reading import open_reader
from penstock_embedding.adapters.sql.taking import SqlTaking
from penstock_embedding.adapters.sql.versions import SqlVersions
from penstock_embedding.app.knowledge_bounds import (
    bounds_of,
    build_pace_of,
    judging_of,
    pace_of,
    parsing_limits,
    search_limits_of,
)
from penstock_embedding.app.knowledge_places import database_url, vectors_place
from penstock_embedding.domain.chunking.chunker import StructureChunker
from penstock_embedding.domain.knowledge.building import Builder
from penstock_embedding.domain.knowledge.cutting import Cutting
from penstock_embedding.domain.knowledge.documents import Documents
from penstock_embedding.domain.knowledge.indexes import Indexes
from penstock_embedding.domain.knowledge.ingest import Ingest, Stores
from penstock_embedding.domain.knowledge.ports import Models
from penstock_embedding.domain.knowledge.preparing import Checkpoint, Preparing, nothing_happens
from penstock_embedding.domain.knowledge.steady import SteadySearcher
from penstock_embedding.domain.knowledge.sweeping import Sweeper
from penstock_embedding.domain.knowledge.watching import Watch
from penstock_embedding.domain.retrieval.analysis import document_terms
from penstock_embedding.domain.retrieval.search import Searcher
from penstock_embedding.settings import Settings
from penstock_embedding.surfaces.knowledge import Knowledge


@dataclass(frozen=True, slots=True)
class Whole:
    """What they are put together of."""

    settings: Settings
    models: Models
    engine: AsyncEngine
    sealer: DocumentSealer
    lasting_secret: bytes
    """What names are derived from, which have to stay as they are."""
    owner: str
    """Names this process among those that share the database."""


async def put_together(
    whole: Whole, stack: AsyncExitStack, checkpoint: Checkpoint | None = None
) -> tuple[Knowledge, Ingest]:
    """Return what serves; taking in, building and sweeping run until the stack ends.

    Raises:
        ConfigurationError: if the vectors' store or the reranker cannot be used.
    """
    own = whole.settings.knowledge
    reranker = await open_reranker(own.reranker, stack)
    database = Database(whole.engine, whole.sealer)
    bases, heap = SqlBases(database), SqlGarbage(database)
    documents = SqlDocuments(database, keeps_originals=own.keep_originals)
    taking = SqlTaking(database, whole.owner, keeps_originals=own.keep_originals)
    versions = SqlVersions(database, whole.owner)
    engine = await stack.enter_async_context(open_points(*vectors_place(whole.settings)))
    vectors = QdrantChunkVectors(engine, derived_key(whole.lasting_secret, b"penstock knowledge v1\0index names"))
    parser = await stack.enter_async_context(SandboxedParser.open(parsing_limits(own)))
    chunker = StructureChunker()
    preparing = Preparing(chunker, whole.models, vectors, document_terms, checkpoint or nothing_happens)
    sweeper = Sweeper(heap, vectors)
    ingest = Ingest(Stores(taking, versions, bases, heap), parser, preparing, sweeper, pace_of(own))
    builder = Builder(versions, heap, preparing, sweeper, build_pace_of(own))
    reader = await stack.enter_async_context(open_reader(database_url(whole.settings), whole.engine))
    catalogue = SqlCatalogue(database, reader)
    found = Searcher(catalogue, vectors, whole.models, reranker, search_limits_of(own))
    searcher = SteadySearcher(found, catalogue)
    for work in (sweeper.run(), builder.run(), ingest.run()):
        await stack.enter_async_context(running(work))
    knowledge = Knowledge(
        cutting=Cutting(parser, chunker, whole.models, own.max_document_bytes),
        documents=Documents(bases, documents, whole.models, sweeper, bounds_of(own), ingest.awaken),
        indexes=Indexes(versions, bases, whole.models, searcher, sweeper, judging_of(own), builder.awaken),
        searcher=searcher,
        watch=Watch(SqlCounting(database), ingest.vectors_under_way),
    )
    return knowledge, ingest
