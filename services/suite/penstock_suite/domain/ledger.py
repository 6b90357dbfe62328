"""The ledger as people correct it, compare it with what was counted, and ask it what models cost."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec


class RightAmounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a request should have come to, in all; None where it is as it stands."""

    cost_nano_usd: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None


class CorrectionRow(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that corrects another: amounts are what is added."""

    id: str
    corrects: str
    tenant: str
    created_at: datetime
    cost_nano_usd: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reason: str
    corrected_by: str


class DriftRow(msgspec.Struct, frozen=True, kw_only=True):
    """A counter of spend beside the ledger; ``period_start`` is None where it counts all time."""

    tenant: str
    scope: str
    limit: str
    period_start: datetime | None
    counter_nano_usd: int
    ledger_nano_usd: int
    reserved_nano_usd: int

    @property
    def drift_nano_usd(self) -> int:
        """By how much more was counted than is in the ledger."""
        return self.counter_nano_usd - self.ledger_nano_usd


class PriceRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a model cost from a time on, in nano-dollars per million tokens."""

    revision: str
    effective_at: datetime
    upstream: str
    model: str
    tier: str
    above_input_tokens: int
    input_nano_usd: int
    cached_input_nano_usd: int
    output_nano_usd: int
    cache_write_nano_usd: int
    cache_write_1h_nano_usd: int
    is_unknown: bool
    source: str


class LedgerBook(Protocol):
    """Corrects the ledger, compares counters with it, and knows what models cost."""

    async def correct_entry(self, generation_id: str, right: RightAmounts, reason: str) -> CorrectionRow:
        """Return the entry that says the difference."""
        ...

    async def drift(self, tenant: str) -> tuple[DriftRow, ...]:
        """Return counters of spend beside the ledger; of every tenant where none is named."""
        ...

    async def rebuild_counters(self, tenant: str) -> tuple[DriftRow, ...]:
        """Have a tenant's counters be what the ledger says; return how they were."""
        ...

    async def price_revisions(self, upstream: str, model: str, *, current_only: bool) -> tuple[PriceRow, ...]:
        """Return what models cost, from when on, the oldest first."""
        ...
