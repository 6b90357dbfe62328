"""LedgerService as the command asks for it."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import msgspec

from penstock.gateway.v1 import ledger_service_pb2 as pb
from penstock_suite.domain.ledger import CorrectionRow, DriftRow, PriceRow, RightAmounts

_OF_CORRECTION = {field.name for field in msgspec.structs.fields(CorrectionRow)} - {"created_at"}
_OF_DRIFT = {field.name for field in msgspec.structs.fields(DriftRow)} - {"period_start"}
_OF_PRICE = {field.name for field in msgspec.structs.fields(PriceRow)} - {"effective_at"}


class LedgerClient:
    """Implements ``LedgerBook``: converts, asks, converts."""

    async def _ask(self, method: str, request: Any) -> Any:
        """Return what the service answers, or raise the ``SuiteFailure`` that says why not."""
        raise NotImplementedError

    async def correct_entry(self, generation_id: str, right: RightAmounts, reason: str) -> CorrectionRow:
        """Return the entry that says the difference."""
        said = {name: amount for name, amount in msgspec.structs.asdict(right).items() if amount is not None}
        request = pb.CorrectEntryRequest(generation_id=generation_id, reason=reason, **said)
        made = (await self._ask("CorrectEntry", request)).correction
        return CorrectionRow(created_at=made.created_at.ToDatetime(UTC), **_fields(made, _OF_CORRECTION))

    async def drift(self, tenant: str) -> tuple[DriftRow, ...]:
        """Return counters of spend beside the ledger."""
        return tuple(map(_drift, (await self._ask("ListDrift", pb.ListDriftRequest(tenant=tenant))).counters))

    async def rebuild_counters(self, tenant: str) -> tuple[DriftRow, ...]:
        """Return the counters as they were before."""
        request = pb.RebuildCountersRequest(tenant=tenant)
        return tuple(map(_drift, (await self._ask("RebuildCounters", request)).counters))

    async def price_revisions(self, upstream: str, model: str, *, current_only: bool) -> tuple[PriceRow, ...]:
        """Return what models cost, the oldest first."""
        request = pb.ListPriceRevisionsRequest(upstream=upstream, model=model, current_only=current_only)
        return tuple(map(_price, (await self._ask("ListPriceRevisions", request)).revisions))


def _drift(message: pb.CounterDrift) -> DriftRow:
    start = message.period_start.ToDatetime(UTC) if message.HasField("period_start") else None
    return DriftRow(period_start=start, **_fields(message, _OF_DRIFT))


def _price(message: pb.PriceRevision) -> PriceRow:
    return PriceRow(effective_at=message.effective_at.ToDatetime(UTC), **_fields(message, _OF_PRICE))


def _fields(message: Any, names: set[str]) -> dict[str, Any]:
    return {name: getattr(message, name) for name in names}
