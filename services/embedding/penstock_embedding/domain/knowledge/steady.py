"""Searches that see one moment of a knowledge base."""

from __future__ import annotations

from penstock_common.contract.knowledge import SearchResult
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_common.errors import ResourceNotFound
from penstock_embedding.domain.knowledge.ports import Catalogue
from penstock_embedding.domain.knowledge.stores import Searcher

_MOST_TIMES = 3


class SteadySearcher:
    """Searches once more where something became current, or went, meanwhile.

    A search asks for vectors first and believes rows afterwards. Of a document that is replaced between the two it would
    show nothing at all: neither the version whose rows have gone, nor the one whose vectors it may have seen in part.
    """

    def __init__(self, searcher: Searcher, catalogue: Catalogue) -> None:
        self._searcher = searcher
        self._catalogue = catalogue

    async def search(self, request: SearchRequest, deadline: float | None) -> SearchResult:
        """Return what was found; see ``Searcher``."""
        for _ in range(_MOST_TIMES - 1):
            result = await self._searcher.search(request, deadline)
            if await self._is_still_so(request, result):
                return result
        return await self._searcher.search(request, deadline)

    async def _is_still_so(self, request: SearchRequest, result: SearchResult) -> bool:
        for searched in result.searched:
            try:
                now = await self._catalogue.index(request.tenant, searched.knowledge_base, searched.version)
            except ResourceNotFound:
                return False
            if now.generation != searched.generation:
                return False
        return True
