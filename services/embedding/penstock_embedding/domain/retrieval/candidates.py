"""How many candidates a search asks each way for, and whether they are enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from penstock_common.contract.knowledge import SearchOptions
from penstock_embedding.domain.knowledge.ports import FoundChunk

DEFAULT_LIMIT = 10
_MORE_AT_SECOND = 5
_SPARE = 4


class AskedFor(NamedTuple):
    """Candidates of each way: at first, and where too few of those may be shown."""

    first: int
    second: int


def asked_for(options: SearchOptions, ways: int, candidates: int) -> AskedFor:
    """Return how many to ask for; ``candidates`` are those that something is to be chosen among."""
    most = max(candidates, 2 * limit_of(options))
    # Where the first are the hits, further ones only take time; under a filter an engine that looks for more finds better.
    chooses = ways > 1 or options.diversity or options.max_per_document or options.filter is not None
    return AskedFor(most if chooses else 2 * limit_of(options) + _SPARE, most * _MORE_AT_SECOND)


def limit_of(options: SearchOptions) -> int:
    """Return how many hits are asked for."""
    return options.limit or DEFAULT_LIMIT


def usable(found: Iterable[FoundChunk], options: SearchOptions) -> int:
    """Return how many hits these chunks can become."""
    most = options.max_per_document
    of_document = Counter(one.document for one in found)
    return sum(min(count, most) if most else count for count in of_document.values())
