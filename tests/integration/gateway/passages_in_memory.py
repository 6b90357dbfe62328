"""A service that finds passages, in memory: what a gateway asks the embedding service for, with its rules of access."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import Any

from penstock_common.contract.knowledge import Chunk, Hit, SearchedIndex, SearchResult
from penstock_common.contract.knowledge_calls import SearchRequest, SearchResponse
from penstock_common.contract.wire.knowledge import SEARCH
from penstock_common.errors import PenstockError, ResourceNotFound
from penstock_common.service import Service
from penstock_gateway.domain.compression.words import words_of


@dataclass
class Kept:
    """A document, which is one chunk."""

    text: str
    labels: frozenset[str] = frozenset()
    version: int = 1


@dataclass
class PassagesInMemory:
    """Finds documents by the words that they share with the question; ``fails`` is raised in the place of an answer."""

    bases: dict[tuple[str, str], dict[str, Kept]] = field(default_factory=dict)
    asked: list[SearchRequest] = field(default_factory=list)
    fails: PenstockError | None = None
    holds: asyncio.Event | None = None
    index_version: int = 1
    cost_nano_usd: int = 0

    def put(self, base: str, document: str, text: str, *labels: str, tenant: str = "demo") -> None:
        """Keep a document, in the place of one of its name."""
        kept = self.bases.setdefault((tenant, base), {})
        version = kept[document].version + 1 if document in kept else 1
        kept[document] = Kept(text, frozenset(labels), version)

    @property
    def service(self) -> Service:
        """The embedding service, as far as it finds documents."""
        return Service("embedding", (SEARCH.served_by(self.search),))

    async def search(self, request: SearchRequest, _: Any) -> SearchResponse:
        """Return what shares most words with the question."""
        self.asked.append(request)
        if self.holds is not None:
            await self.holds.wait()
        if self.fails is not None:
            raise self.fails
        hits = [hit for base in request.bases for hit in self._found(request, base)]
        hits.sort(key=lambda hit: (-hit.score, hit.chunk.id))
        searched = [
            SearchedIndex(knowledge_base=base, version=self.index_version, model="m", model_revision="r", generation=1)
            for base in request.bases
        ]
        found = SearchResult(
            hits=hits[: request.options.limit], searched=searched, query_cost_nano_usd=self.cost_nano_usd
        )
        return SearchResponse(found)

    def _found(self, request: SearchRequest, base: str) -> list[Hit]:
        kept = self.bases.get((request.tenant, base))
        if kept is None:
            raise ResourceNotFound(f"There is no knowledge base '{base}'.", kind="knowledge base", name=base)
        wanted = set(words_of(request.query))
        hits: list[Hit] = []
        for name, document in kept.items():
            if document.labels and not document.labels & set(request.labels):
                continue
            score = len(wanted & set(words_of(document.text))) / (len(wanted) or 1)
            if score > request.options.min_score:
                hits.append(hit_of(base, name, document, score))
        return hits


def hit_of(base: str, name: str, document: Kept, score: float) -> Hit:
    """Return a hit of a whole document, whose snippet is its first sentence."""
    text = document.text
    snippet = text.partition(". ")[0]
    chunk = Chunk(
        id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{base}/{name}/{document.version}")),
        document=name,
        document_version=document.version,
        ordinal=0,
        text=text,
        start=0,
        end=len(text),
        headings=(name.title(),),
    )
    return Hit(
        chunk=chunk, knowledge_base=base, title=name.title(), filename=f"{name}.md", score=score,
        snippet=snippet, snippet_start=0, snippet_end=len(snippet),
    )  # fmt: skip
