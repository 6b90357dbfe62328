"""What models cost, from when on: each set of prices has a revision that a row of the ledger names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Protocol

import msgspec

from penstock_common.llm.types import UnitPrices

CONFIGURATION = "configuration"
"""Who says what models cost."""
_DIGITS = 16


class Offer(msgspec.Struct, frozen=True, gc=False):
    """What a model costs at a tier of service, a request with more input tokens than ``above_input_tokens``.

    An empty ``tier`` is the standard one.
    """

    upstream: str
    model: str
    prices: UnitPrices
    tier: str = ""
    above_input_tokens: int = 0

    @property
    def subject(self) -> tuple[str, str, str, int]:
        """What has one price at a time."""
        return self.upstream, self.model, self.tier, self.above_input_tokens


class PriceRevision(msgspec.Struct, frozen=True, gc=False):
    """An offer that held from ``effective_at`` on, until there was another; ``source`` is who said so."""

    offer: Offer
    effective_at: datetime
    source: str = CONFIGURATION

    @property
    def revision(self) -> str:
        """The name that rows of the ledger call its prices by."""
        return revision_of(self.offer.upstream, self.offer.model, self.offer.prices)


class PriceHistory(Protocol):
    """The prices that there were, and from when on."""

    async def note(self, offers: Sequence[Offer], now: datetime) -> int:
        """Keep those that are not what is known already; return how many."""
        ...

    async def revisions(self) -> Sequence[PriceRevision]:
        """Return all, the oldest first."""
        ...


def changed(known: Iterable[PriceRevision], offers: Iterable[Offer]) -> list[Offer]:
    """Return the offers that are not the latest of their subjects; ``known`` comes the oldest first."""
    latest = {revision.offer.subject: revision.offer for revision in known}
    return [offer for offer in offers if latest.get(offer.subject) != offer]


def as_they_changed(revisions: Iterable[PriceRevision]) -> list[PriceRevision]:
    """Return the revisions without those that say what the one before said, as two processes do that begin at once."""
    latest: dict[tuple[str, str, str, int], Offer] = {}
    told: list[PriceRevision] = []
    for revision in revisions:
        if latest.get(revision.offer.subject) != revision.offer:
            told.append(revision)
        latest[revision.offer.subject] = revision.offer
    return told


@lru_cache(maxsize=4096)
def revision_of(upstream: str, model: str, prices: UnitPrices) -> str:
    """Return the name of a model's prices, 16 hexadecimal digits: the same for the same prices, wherever and whenever."""
    said = (
        upstream,
        model,
        prices.input_nano_usd,
        prices.cached_input_nano_usd,
        prices.output_nano_usd,
        prices.cache_write_nano_usd,
        prices.cache_write_1h_nano_usd,
    )
    return hashlib.sha256("\x00".join(map(str, said)).encode()).hexdigest()[:_DIGITS]


def current(revisions: Iterable[PriceRevision]) -> list[PriceRevision]:
    """Return the last revision of each subject; ``revisions`` come the oldest first."""
    return list({revision.offer.subject: revision for revision in revisions}.values())
