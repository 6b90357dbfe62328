"""What a search, and an answer that rests on one, tell of how well documents are found, without anybody judging them."""

from __future__ import annotations

from typing import Literal

import msgspec

from penstock_common.contract.knowledge import SearchResult
from penstock_gateway.domain.knowledge_use.relevance import is_far
from penstock_gateway.domain.knowledge_use.told import KnowledgeTold, Retrieved

SearchOutcome = Literal["found", "low", "empty", "unavailable"]
"""``low``: something was found, and nothing of it seems to have to do with the question."""


class RetrievalSignals(msgspec.Struct, frozen=True, gc=False):
    """How a search went, and what became of the passages that a model was given."""

    use: Literal["search", "chat"]
    outcome: SearchOutcome
    cited: int = 0
    """Passages."""
    unused: int = 0
    """Passages."""
    citations: int = 0
    unknown_citations: int = 0


def signals_of_search(found: SearchResult) -> RetrievalSignals:
    """Return what a search tells whose hits its caller gets."""
    if not found.hits:
        return RetrievalSignals("search", "empty")
    return RetrievalSignals("search", "low" if is_far(found) else "found")


def signals_of_chat(retrieved: Retrieved, told: KnowledgeTold, *, is_whole: bool) -> RetrievalSignals:
    """Return what an answer tells; nothing is unused of one that is not whole, or of quotes, which nobody chose."""
    if retrieved.outcome != "found":
        nothing = "low" if retrieved.irrelevant else "empty"
        return RetrievalSignals("chat", "unavailable" if retrieved.outcome == "unavailable" else nothing)
    if not is_whole or retrieved.cited is not None:
        return RetrievalSignals("chat", "found")
    cited = len({one.number for one in told.citations})
    unused = len(told.retrieved) - cited
    return RetrievalSignals("chat", "found", cited, unused, len(told.citations), told.unknown_citations)
