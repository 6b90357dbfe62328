"""What retrieval needs of the service that keeps documents."""

from __future__ import annotations

from typing import Protocol

from penstock_common.contract.knowledge_calls import SearchRequest, SearchResponse
from penstock_common.telemetry.steps import Step


class PassageSearch(Protocol):
    """Finds passages of a tenant's knowledge bases: ``tenant`` and ``labels`` are those of the caller's key."""

    async def search(self, request: SearchRequest, steps: list[Step]) -> SearchResponse:
        """Return what was found, or raise the domain error that says why nobody could look."""
        ...
