"""What a caller is told of a search and of the answer's citations: the values of ``penstock.gateway.v1.KnowledgeTold``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from penstock_common.contract.knowledge import SearchedIndex, SearchResult
from penstock_common.llm.types import Value
from penstock_gateway.domain.knowledge_use.citations import Cited, citations_in
from penstock_gateway.domain.knowledge_use.passages import Passage

Outcome = Literal["found", "nothing", "unavailable"]


class RetrievedPassage(Value, frozen=True, kw_only=True):
    """A passage that the model was given; its text is the document's ``text[start:end]``."""

    number: int
    chunk_id: str
    document: str
    document_version: int
    knowledge_base: str
    title: str = ""
    filename: str = ""
    page: int = 0
    start: int
    end: int
    score: float


class KnowledgeCitation(Value, frozen=True, kw_only=True):
    """A place in the answer, in characters, and what it refers to: ``quote`` is the document's ``text[start:end]``."""

    number: int
    chunk_id: str
    document: str
    document_version: int
    knowledge_base: str
    title: str = ""
    filename: str = ""
    page: int = 0
    start: int
    end: int
    quote: str
    index: int
    choice: int = 0


class KnowledgeTold(Value, frozen=True, kw_only=True):
    """What was found for an answer, and what of it the answer cites."""

    outcome: Outcome
    query: str
    retrieved: Sequence[RetrievedPassage] = ()
    citations: Sequence[KnowledgeCitation] = ()
    unknown_citations: int = 0
    searched: Sequence[SearchedIndex] = ()
    degraded: Sequence[str] = ()


class Retrieved(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a search has given, before anything is answered."""

    outcome: Outcome
    bases: Sequence[str]
    query: str
    passages: Sequence[Passage] = ()
    result: SearchResult = SearchResult()
    irrelevant: int = 0
    """Hits that were left out, as they have nothing to do with the question."""
    cited: Sequence[Cited] | None = None
    """What the answer cites, where that is known without reading it."""

    def __str__(self) -> str:
        """Return it as ``x-penstock-knowledge`` tells it."""
        words = [f"hits={len(self.passages)}", f"bases={','.join(self.bases)}"]
        if self.outcome != "found":
            words.append(f"outcome={self.outcome}")
        if self.cited is not None:
            words.append("cite=extractive")
        if self.result.degraded:
            words.append(f"degraded={','.join(self.result.degraded)}")
        return "; ".join(words)

    def told(self, texts: Mapping[int, str]) -> KnowledgeTold:
        """Return what there is to tell of an answer with these texts, by its choices' numbers."""
        citations: list[KnowledgeCitation] = []
        unknown = 0
        for choice, text in sorted(texts.items()):
            cited, missed = citations_in(text, self.passages) if self.cited is None else (self.cited, 0)
            citations += [_citation(one, choice) for one in cited]
            unknown += missed
        return KnowledgeTold(
            outcome=self.outcome,
            query=self.query,
            retrieved=[_retrieved(passage) for passage in self.passages],
            citations=citations,
            unknown_citations=unknown,
            searched=self.result.searched,
            degraded=self.result.degraded,
        )


def _retrieved(passage: Passage) -> RetrievedPassage:
    hit, chunk = passage.hit, passage.hit.chunk
    return RetrievedPassage(
        number=passage.number,
        chunk_id=chunk.id,
        document=chunk.document,
        document_version=chunk.document_version,
        knowledge_base=hit.knowledge_base,
        title=hit.title,
        filename=hit.filename,
        page=chunk.page,
        start=passage.start,
        end=passage.end,
        score=hit.score,
    )


def _citation(cited: Cited, choice: int) -> KnowledgeCitation:
    passage = cited.passage
    hit, chunk = passage.hit, passage.hit.chunk
    return KnowledgeCitation(
        number=passage.number,
        chunk_id=chunk.id,
        document=chunk.document,
        document_version=chunk.document_version,
        knowledge_base=hit.knowledge_base,
        title=hit.title,
        filename=hit.filename,
        page=chunk.page,
        start=passage.start,
        end=passage.end,
        quote=passage.text,
        index=cited.place,
        choice=choice,
    )
