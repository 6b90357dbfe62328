"""Who counts what is flagged and decided, and how the queue stands."""

from __future__ import annotations

from typing import Protocol

from penstock_gateway.domain.reviews.flag import Source
from penstock_gateway.domain.reviews.item import ReviewItem
from penstock_gateway.domain.reviews.ports import Outcome


class ReviewObserver(Protocol):
    """Counts; never raises, and returns at once."""

    def flagged(self, source: Source, outcome: Outcome) -> None:
        """See a flag, and what became of it."""
        ...

    def decided(self, item: ReviewItem) -> None:
        """See an item that was decided."""
        ...


class NobodyCounts:
    """Implements ``ReviewObserver`` where nobody does."""

    def flagged(self, source: Source, outcome: Outcome) -> None:
        """See nothing."""

    def decided(self, item: ReviewItem) -> None:
        """See nothing."""
