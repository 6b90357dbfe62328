"""The entries that are matched by meaning, as a surface asks for them."""

from __future__ import annotations

from typing import Protocol

from penstock_common.contract.cache import Deletion, Dispute, EntryPage, EntryQuery, ExplainRequest, Explanation
from penstock_common.errors import ResourceState


class Entries(Protocol):
    """All raise ``ServiceUnavailable`` where what they need does not answer."""

    async def list(self, query: EntryQuery) -> EntryPage:
        """Return a page of a tenant's."""
        ...

    async def delete(self, deletion: Deletion) -> int:
        """Delete what a filter names, or count it; return how many."""
        ...

    async def explain(self, request: ExplainRequest) -> Explanation:
        """Return whether an answer to one text would be served to another."""
        ...

    async def dispute(self, dispute: Dispute) -> bool:
        """Remove what was wrong; return whether there was one."""
        ...


class NoEntries:
    """Stands where nothing is matched by meaning: there are no entries."""

    async def list(self, query: EntryQuery) -> EntryPage:
        """Return none."""
        return EntryPage()

    async def delete(self, deletion: Deletion) -> int:
        """Return 0 for ids, which nothing has here.

        Raises:
            ResourceState: for anything else: what equal requests are answered with has no tags or users.
        """
        if deletion.filter.entry_ids:
            return 0
        raise ResourceState(
            "Nothing is matched by meaning here, and what equal requests are answered with is cleared for a model or a "
            "tenant: 'penstock cache clear'."
        )

    async def explain(self, request: ExplainRequest) -> Explanation:
        """Refuse."""
        raise ResourceState("Nothing is matched by meaning here; 'cache.mode: semantic' turns that on.")

    async def dispute(self, dispute: Dispute) -> bool:
        """Return that there was none."""
        return False
