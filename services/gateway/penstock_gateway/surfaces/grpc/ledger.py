"""LedgerService: convert, ask, convert."""

from __future__ import annotations

from penstock.gateway.v1 import ledger_service_pb2 as pb
from penstock_common.rpc.method import Handler
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.ledger.administration import LedgerAdministration
from penstock_gateway.domain.ledger.corrections import Correction, Right
from penstock_gateway.domain.ledger.drift import CounterDrift
from penstock_gateway.domain.ledger.prices import PriceRevision
from penstock_gateway.domain.limits.windows import EVER
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf
from penstock_gateway.surfaces.grpc.methods import handlers_of

_RIGHT = ("cost_nano_usd", "input_tokens", "output_tokens", "cached_input_tokens")


class LedgerServicer:
    """Serves what there is to do with the ledger; calls come authorised or not at all."""

    def __init__(self, ledger: LedgerAdministration, actor_of: ActorOf) -> None:
        self._ledger = ledger
        self._actor = actor_of

    def handlers(self) -> list[Handler]:
        """Return what this serves."""
        return handlers_of(pb.DESCRIPTOR.services_by_name["LedgerService"], self)

    async def CorrectEntry(self, request: pb.CorrectEntryRequest, call: ServerCall) -> pb.CorrectEntryResponse:
        """Return the entry that corrects another."""
        right = Right(**{name: getattr(request, name) for name in _RIGHT if request.HasField(name)})
        made = await self._ledger.corrections.correct(self._actor(call), request.generation_id, right, request.reason)
        return pb.CorrectEntryResponse(correction=_correction(made))

    async def ListDrift(self, request: pb.ListDriftRequest, call: ServerCall) -> pb.ListDriftResponse:
        """Return counters beside the ledger."""
        return pb.ListDriftResponse(counters=map(_drift, await self._ledger.drift.list(request.tenant)))

    async def RebuildCounters(self, request: pb.RebuildCountersRequest, call: ServerCall) -> pb.RebuildCountersResponse:
        """Return counters as they were before they were set right."""
        before = await self._ledger.drift.rebuild(self._actor(call), request.tenant)
        return pb.RebuildCountersResponse(counters=map(_drift, before))

    async def ListPriceRevisions(
        self, request: pb.ListPriceRevisionsRequest, call: ServerCall
    ) -> pb.ListPriceRevisionsResponse:
        """Return what models cost, and cost before."""
        found = await self._ledger.prices(request.upstream, request.model, current_only=request.current_only)
        return pb.ListPriceRevisionsResponse(revisions=map(_revision, found))


def _correction(made: Correction) -> pb.LedgerCorrection:
    message = pb.LedgerCorrection(
        id=made.id,
        corrects=made.corrects,
        tenant=made.tenant,
        cost_nano_usd=made.cost_nano_usd,
        input_tokens=made.usage.input_tokens,
        output_tokens=made.usage.output_tokens,
        cached_input_tokens=made.usage.cached_input_tokens,
        reason=made.reason,
        corrected_by=made.corrected_by,
    )
    message.created_at.FromDatetime(made.created_at)
    return message


def _drift(drift: CounterDrift) -> pb.CounterDrift:
    limit = drift.limit
    message = pb.CounterDrift(
        tenant=limit.tenant,
        scope=str(limit.scope),
        limit=limit.name,
        counter_nano_usd=drift.counted,
        ledger_nano_usd=drift.booked,
        reserved_nano_usd=drift.reserved,
    )
    if drift.period != EVER:
        message.period_start.FromDatetime(drift.period.start)
    return message


def _revision(revision: PriceRevision) -> pb.PriceRevision:
    offer = revision.offer
    prices = offer.prices
    message = pb.PriceRevision(
        revision=revision.revision,
        upstream=offer.upstream,
        model=offer.model,
        tier=offer.tier,
        above_input_tokens=offer.above_input_tokens,
        input_nano_usd=prices.input_nano_usd,
        cached_input_nano_usd=prices.cached_input_nano_usd,
        output_nano_usd=prices.output_nano_usd,
        cache_write_nano_usd=prices.cache_write_nano_usd,
        cache_write_1h_nano_usd=prices.cache_write_1h_nano_usd,
        is_unknown=prices.is_unknown,
        source=revision.source,
    )
    message.effective_at.FromDatetime(revision.effective_at)
    return message
