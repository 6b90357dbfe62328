"""What models cost, from when on: each set of prices has a revision that a row of the ledger names."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache

import msgspec

from penstock_common.llm.types import UnitPrices

_DIGITS = 16


class PriceRevision(msgspec.Struct, frozen=True, gc=False):
    """What a model cost from ``effective_at`` on, a request with more input tokens than ``above_input_tokens``.

    ``source`` is who said so, such as ``configuration``.
    """

    upstream: str
    model: str
    prices: UnitPrices
    effective_at: datetime
    above_input_tokens: int = 0
    source: str = "configuration"

    @property
    def revision(self) -> str:
        """The revision's name."""
        return revision_of(self.upstream, self.model, self.prices)


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
