"""Cutting a document, by the vectors of an index's model where the splitter compares meanings."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence
from operator import mul

from penstock_common.contract.knowledge import Splitter
from penstock_embedding.domain.chunking.piece import Chunker, Piece
from penstock_embedding.domain.documents.parsed import Parsed
from penstock_embedding.domain.knowledge.ports import KnowledgeModel

_AT_ONCE = 64
"""Sentences that are compared together: vectors of no more are in memory."""


async def pieces_of(chunker: Chunker, model: KnowledgeModel, parsed: Parsed, splitter: Splitter) -> list[Piece]:
    """Return a document's pieces; those who wait for questions' vectors go before its sentences.

    Raises:
        InvalidRequest: if the model's window does not hold what the splitter asks for.
        PenstockError: why the model compares no sentences.
    """
    sentences = await asyncio.to_thread(chunker.sentences, parsed, splitter)
    changes = await _changes(sentences, model)
    return await asyncio.to_thread(chunker.cut, parsed, splitter, model.counter, changes)


async def _changes(sentences: Sequence[str], model: KnowledgeModel) -> array[float]:
    """Return how much the meaning changes from each sentence to the next one: 1 minus the cosine."""
    changes = array("f")
    before: array[float] | None = None
    for start in range(0, len(sentences), _AT_ONCE):
        for vector in await model.passages(sentences[start : start + _AT_ONCE]):
            if before is not None:
                changes.append(1 - sum(map(mul, before, vector)))
            before = vector
    return changes
