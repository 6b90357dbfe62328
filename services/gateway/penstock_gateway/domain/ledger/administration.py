"""All that an operator does with the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.ledger.corrections import Corrections, EntryBook, NoCountersHere
from penstock_gateway.domain.ledger.drift import DriftAdministration, DriftWatch
from penstock_gateway.domain.ledger.prices import PriceHistory, PriceRevision, current


class LedgerAdministration:
    """Corrections, drift and prices; without a ``watch`` nobody counts spend here."""

    def __init__(
        self, book: EntryBook, prices: PriceHistory, registry: Registry, watch: DriftWatch | None = None
    ) -> None:
        self.corrections = Corrections(book, registry, watch or NoCountersHere())
        self.drift = DriftAdministration(watch, registry)
        self._prices = prices

    async def prices(self, upstream: str, model: str, *, current_only: bool) -> Sequence[PriceRevision]:
        """Return what models cost, from when on, the oldest first; of every upstream and model where none is named."""
        revisions = await self._prices.revisions()
        found = current(revisions) if current_only else revisions
        return [
            revision
            for revision in found
            if upstream in ("", revision.offer.upstream) and model in ("", revision.offer.model)
        ]
