"""From a document's text to what an index has of it: cut, embedded, and put among the vectors."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from penstock_common.contract.knowledge import Chunk, Document
from penstock_common.errors import ResourceState
from penstock_embedding.domain.chunking.piece import Chunker, Piece, passage_head
from penstock_embedding.domain.knowledge.pieces import pieces_of
from penstock_embedding.domain.knowledge.ports import (
    ChunkVectors,
    IndexedChunk,
    IndexRef,
    KnowledgeModel,
    Models,
    Terms,
)
from penstock_embedding.domain.knowledge.records import Key, Made, Readout
from penstock_embedding.domain.knowledge.rules import chunk_id

BATCH = 64
"""Chunks that are embedded and put together: what is in memory of a document beside its text."""

Analyse = Callable[[str, str], Terms]
"""Returns the weights of a text's words; of which language it is comes second."""
Checkpoint = Callable[[str], None]
"""Called with each stage that begins; a test may end the process there."""


class Whose(NamedTuple):
    """The version of a document that chunks are made of."""

    document: Document
    fingerprint: str


def nothing_happens(stage: str) -> None:
    """Go on."""


@dataclass(frozen=True, slots=True)
class Preparing:
    """Makes what an index has of a document; nothing of it is found until a transaction says so."""

    chunker: Chunker
    models: Models
    vectors: ChunkVectors
    analyse: Analyse
    checkpoint: Checkpoint = nothing_happens

    async def prepare(
        self, index: IndexRef, whose: Whose, readout: Readout, on_batch: Callable[[int], Awaitable[None]] | None = None
    ) -> Made:
        """Put a document's vectors, and return its chunks; ``on_batch`` hears how many were put.

        Raises:
            ModelNotFound: if the index's model is not there.
            ResourceState: if the model of that name makes other vectors by now.
            InvalidRequest: if its window does not hold the chunks.
        """
        model = await self._model(index)
        self.checkpoint("cut")
        pieces = await pieces_of(self.chunker, model, readout.parsed._replace(title=readout.title), index.spec.splitter)
        chunks = await asyncio.to_thread(_chunks, index, whose, readout, pieces)
        counts: Counter[int] = Counter()
        for start in range(0, len(chunks), BATCH):
            batch = chunks[start : start + BATCH]
            texts = [passage_head(readout.title, chunk.headings) + chunk.text for chunk in batch]
            self.checkpoint("embed")
            found = await model.passages(texts)
            terms = await asyncio.to_thread(self._terms, texts, readout.language)
            self.checkpoint("put")
            await self.vectors.put(index, whose.document, _joined(batch, found, terms))
            for weights in terms:
                counts.update(weights.keys())
            if on_batch is not None:
                await on_batch(len(batch))
        return Made(index, chunks, dict(counts))

    async def _model(self, index: IndexRef) -> KnowledgeModel:
        model = self.models.model(index.spec.model)
        revision = await model.revision()
        if revision != index.model_revision:
            raise ResourceState(
                f"Index version {index.version} of '{index.base}' has vectors of the model '{index.spec.model}' at revision "
                f"'{index.model_revision}', and the service has it at '{revision}': build a version with that one.",
                kind="index",
                name=str(index.version),
            )
        return model

    def _terms(self, texts: Sequence[str], language: str) -> list[Terms]:
        return [self.analyse(text, language) for text in texts]


def _chunks(index: IndexRef, whose: Whose, readout: Readout, pieces: Sequence[Piece]) -> list[Chunk]:
    document, text, splitter = whose.document, readout.parsed.text, index.spec.splitter

    def chunk(ordinal: int, piece: Piece) -> Chunk:
        span = piece.start, piece.end
        return Chunk(
            id=chunk_id(Key(index.tenant, index.base, document.id), whose.fingerprint, splitter, span),
            document=document.id,
            document_version=document.version,
            ordinal=ordinal,
            text=text[piece.start : piece.end],
            start=piece.start,
            end=piece.end,
            headings=tuple(piece.headings),
            page=piece.page,
            tokens=piece.tokens,
        )

    return [chunk(ordinal, piece) for ordinal, piece in enumerate(pieces)]


def _joined(chunks: Sequence[Chunk], vectors: Sequence[array[float]], terms: Sequence[Terms]) -> list[IndexedChunk]:
    return [IndexedChunk(*three) for three in zip(chunks, vectors, terms, strict=True)]
