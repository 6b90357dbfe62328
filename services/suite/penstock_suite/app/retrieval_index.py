"""An index of an evaluation: documents read, cut, embedded and put into the embedded vector store of a folder."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from penstock_common.contract.embedding import EmbedRequest, EmbedResponse
from penstock_common.contract.knowledge import Chunk, Document, IndexSpec, Splitter
from penstock_common.contract.wire.embedding import EMBED
from penstock_common.points.store import Engine
from penstock_common.rpc.client import Channel
from penstock_embedding.adapters.chunk_vectors import QdrantChunkVectors
from penstock_embedding.domain.chunking.piece import Chunker, Piece, TokenCounter, embedded_text
from penstock_embedding.domain.documents.parsed import DocumentRefused, Parsed, Parser
from penstock_embedding.domain.knowledge.pieces import pieces_of
from penstock_embedding.domain.knowledge.ports import FoundChunk, IndexedChunk, IndexRef, KnowledgeModel, QueryVector
from penstock_embedding.domain.retrieval.analysis import ANALYSIS_VERSION, document_terms
from penstock_suite.domain.retrieval_dataset import CorpusDocument

TENANT = "evaluation"
BASE = "corpus"
_SECONDS = 120.0
_BATCH = 64
_NAMESPACE = uuid.UUID("a3a5ba06-2f0b-5a5e-8a43-0d9a0c1f7b11")
_NO_TITLE = frozenset("{[(<")

Told = Callable[[int], None]


class EvaluatedModel:
    """A model of the embedding service, as an index uses it. Questions are embedded once for all modes."""

    def __init__(self, channel: Channel, name: str, counter: TokenCounter, identity: EmbedResponse) -> None:
        self._channel = channel
        self._asked = name
        self._identity = identity
        self._questions: dict[str, QueryVector] = {}
        self.name = identity.model
        self.counter = counter

    @classmethod
    async def reached(cls, channel: Channel, name: str, counter: TokenCounter) -> EvaluatedModel:
        """Return the model, which has answered once."""
        identity = await channel.call(EMBED, EmbedRequest(("What is it?",), name), timeout=_SECONDS)
        return cls(channel, name, counter, identity)

    async def revision(self) -> str:
        """Return the revision of the model that answers."""
        return self._identity.revision

    async def dimension(self) -> int:
        """Return how many values a vector has."""
        return len(self._identity.vectors[0].values)

    async def passages(self, texts: Sequence[str]) -> list[array[float]]:
        """Return unit vectors in the order of the texts."""
        request = EmbedRequest(tuple(texts), self._asked, purpose="passage")
        embedded = await self._channel.call(EMBED, request, timeout=_SECONDS)
        return [vector.values for vector in embedded.vectors]

    async def query(self, text: str, deadline: float | None) -> QueryVector:
        """Return a question's unit vector."""
        if text not in self._questions:
            request = EmbedRequest((text,), self._asked, purpose="query")
            embedded = await self._channel.call(EMBED, request, timeout=_SECONDS)
            vector = embedded.vectors[0]
            self._questions[text] = QueryVector(vector.values, embedded.input_tokens, vector.truncated)
        return self._questions[text]


class OneModel:
    """Implements ``Models`` of one."""

    def __init__(self, model: EvaluatedModel) -> None:
        self._model = model

    def model(self, name: str) -> EvaluatedModel:
        """Return it."""
        return self._model


class Cut(NamedTuple):
    """A document and its pieces; ``text`` is what their offsets are in."""

    document: Document
    text: str
    pieces: Sequence[Piece]


class CutCorpus(NamedTuple):
    """What was cut, and what was not, with the reason."""

    documents: Sequence[Cut]
    left_out: Mapping[str, str]


async def read_all(parser: Parser, corpus: Sequence[CorpusDocument]) -> tuple[dict[str, Parsed], dict[str, str]]:
    """Return what was read of each document, and why the others cannot be read."""
    read: dict[str, Parsed] = {}
    left_out: dict[str, str] = {}

    async def one(document: CorpusDocument) -> None:
        try:
            read[document.id] = await parser.parse(document.text.encode(), filename=document.filename)
        except DocumentRefused as refused:
            left_out[document.id] = refused.message

    # The parser has a bound of its own of how many may wait.
    for start in range(0, len(corpus), _BATCH // 2):
        await asyncio.gather(*(one(document) for document in corpus[start : start + _BATCH // 2]))
    return read, left_out


async def cut_all(
    corpus: Sequence[CorpusDocument],
    read: Mapping[str, Parsed],
    chunker: Chunker,
    splitter: Splitter,
    model: KnowledgeModel,
) -> list[Cut]:
    """Return the documents' pieces."""
    found: list[Cut] = []
    for document in corpus:
        if (parsed := read.get(document.id)) is None:
            continue
        # Some corpora take the first line for the title, which of a program or of JSON is none.
        given = document.title.strip().strip("".join(_NO_TITLE))
        titled = Parsed(
            parsed.text, parsed.media_type, given or parsed.title, parsed.language, parsed.blocks, parsed.pages
        )
        row = Document(id=document.id, knowledge_base=BASE, title=titled.title, language=parsed.language)
        found.append(Cut(row, parsed.text, await pieces_of(chunker, model, titled, splitter)))
    return found


class EvaluationIndex:
    """Implements ``Catalogue`` of one index in memory; its vectors are in the store."""

    def __init__(self, engine: Engine, model: EvaluatedModel) -> None:
        self.vectors = QdrantChunkVectors(engine, secrets.token_bytes(32))
        self._model = model
        self._reference: IndexRef | None = None
        self._found: dict[str, FoundChunk] = {}
        self._counts: Counter[int] = Counter()

    async def fill(self, version: int, splitter: Splitter, cut: Sequence[Cut], told: Told) -> None:
        """Embed and put all pieces; ``told`` hears of each document that is in."""
        revision, dimension = await self._model.revision(), await self._model.dimension()
        spec = IndexSpec(self._model.name, splitter)
        self._reference = IndexRef(TENANT, BASE, version, spec, revision, dimension, 1, 0, ANALYSIS_VERSION)
        for batch in _batches(cut):
            await self._put(self._reference, batch)
            told(len(batch))
        self._reference = self._reference._replace(chunks=len(self._found))

    @property
    def size(self) -> int:
        """How many chunks there are."""
        return len(self._found)

    async def index(self, tenant: str, base: str, version: int = 0) -> IndexRef:
        """Return the one there is."""
        assert self._reference is not None
        return self._reference

    async def term_counts(self, index: IndexRef, terms: Sequence[int]) -> Mapping[int, int]:
        """Return in how many chunks each term is."""
        return {term: self._counts[term] for term in terms}

    async def chunks(self, index: IndexRef, ids: Sequence[str]) -> Mapping[str, FoundChunk]:
        """Return the chunks of these ids."""
        return {one: self._found[one] for one in ids if one in self._found}

    async def _put(self, reference: IndexRef, batch: Sequence[Cut]) -> None:
        chunks = [(one, chunk) for one in batch for chunk in _chunks(one)]
        texts = [embedded_text(one.document.title, one.pieces[chunk.ordinal], chunk.text) for one, chunk in chunks]
        vectors = await self._model.passages(texts)
        by_document: dict[str, list[IndexedChunk]] = {}
        for (one, chunk), text, vector in zip(chunks, texts, vectors, strict=True):
            terms = document_terms(text, one.document.language)
            self._counts.update(terms.keys())
            self._found[chunk.id] = FoundChunk.of(chunk, one.document)
            by_document.setdefault(one.document.id, []).append(IndexedChunk(chunk, vector, terms))
        for one in batch:
            if one.document.id in by_document:
                await self.vectors.put(reference, one.document, by_document[one.document.id])


def _chunks(cut: Cut) -> Iterator[Chunk]:
    for ordinal, piece in enumerate(cut.pieces):
        yield Chunk(
            id=str(uuid.uuid5(_NAMESPACE, f"{cut.document.id}\0{piece.start}\0{piece.end}")),
            document=cut.document.id,
            document_version=1,
            ordinal=ordinal,
            text=cut.text[piece.start : piece.end],
            start=piece.start,
            end=piece.end,
            headings=piece.headings,
            page=piece.page,
            tokens=piece.tokens,
        )


def _batches(cut: Sequence[Cut]) -> Iterator[list[Cut]]:
    """Yield documents in their order, about as many pieces together as are embedded at once."""
    batch: list[Cut] = []
    for one in cut:
        batch.append(one)
        if sum(len(other.pieces) for other in batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
