"""Correcting the ledger: what was written stays, and the difference to what is right is an entry of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import msgspec

from penstock_common.errors import InvalidRequest, ResourceNotFound
from penstock_common.llm.types import UnitPrices, Usage, cost_nano_usd
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed, utc_now
from penstock_gateway.domain.administration.registry import Registry

MAX_REASON = 256
_MAX_AMOUNT = 2**62
_SHOWN = 64
_PREFIXES = ("gen-", "chatcmpl-", "cmpl-", "msg_")
"""What stands before a generation's id in the answers of surfaces, and in what people write."""


class Right(msgspec.Struct, frozen=True, kw_only=True):
    """What a request should have come to, in all; None where it is as it stands."""

    cost_nano_usd: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None


class Charged(msgspec.Struct, frozen=True, kw_only=True):
    """What a request has come to by now, its ``corrections`` so far with it, and the prices it was charged by."""

    generation_id: str
    tenant: str
    usage: Usage
    unit_prices: UnitPrices
    cost_nano_usd: int
    corrections: int = 0


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """An entry: what is added to an earlier one. Its ``usage`` and cost are differences, and below 0 where it was too much."""

    id: str
    corrects: str
    tenant: str
    created_at: datetime
    usage: Usage
    cost_nano_usd: int
    reason: str
    corrected_by: str


class EntryBook(Protocol):
    """The ledger as corrections find and leave it."""

    async def charged(self, generation_id: str) -> Charged | None:
        """Return what a request has come to; None where the ledger has no row of it."""
        ...

    async def append(self, correction: Correction) -> None:
        """Write an entry, for whom and for what the corrected one is.

        Raises:
            ResourceExists: if somebody else has corrected it since it was looked at.
        """
        ...


class CountersFollow(Protocol):
    """Lets the counters of a tenant's spend know of a correction."""

    async def follow(self, tenant: str) -> None:
        """Have them as the ledger is, as far as there are any."""
        ...


class NoCountersHere:
    """Implements ``CountersFollow`` where nobody counts."""

    async def follow(self, tenant: str) -> None:
        """Do nothing."""


class Corrections:
    """Corrects entries; each deed leaves its entry in the audit log."""

    def __init__(
        self, book: EntryBook, registry: Registry, counters: CountersFollow, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._book = book
        self._audit = AuditLog(registry, now)
        self._counters = counters
        self._now = now

    async def correct(self, actor: Actor, generation_id: str, right: Right, reason: str) -> Correction:
        """Write by how much a request's entry is wrong. It counts in the period in which it is written.

        ``generation_id`` is the ledger's, or what an answer calls itself: ``chatcmpl-…``.

        Raises:
            InvalidRequest: if there is no reason, an amount cannot be, or nothing is to be corrected.
            ResourceNotFound: if the ledger has no such row, or no longer.
            ResourceExists: if somebody else corrects it just now.
        """
        details = {"reason": reason} | {
            name: str(amount) for name, amount in msgspec.structs.asdict(right).items() if amount is not None
        }
        charged = await self._charged(generation_id)
        generation_id = generation_id if charged is None else charged.generation_id
        tenant = charged.tenant if charged is not None else ""
        async with self._audit.changing(Deed(actor, "ledger.correct", tenant, generation_id, details)):
            _check(right, reason)
            if charged is None:
                raise ResourceNotFound(
                    f"The ledger has no row of the generation '{generation_id[:_SHOWN]}'; what retention has cut cannot be "
                    "corrected.",
                    kind="entry",
                    name=generation_id[:_SHOWN],
                )
            correction = self._correction(actor, charged, right, reason)
            await self._book.append(correction)
        await self._counters.follow(tenant)
        return correction

    async def _charged(self, generation_id: str) -> Charged | None:
        charged = await self._book.charged(generation_id)
        bare = next((generation_id[len(one) :] for one in _PREFIXES if generation_id.startswith(one)), "")
        return await self._book.charged(bare) if charged is None and bare else charged

    def _correction(self, actor: Actor, charged: Charged, right: Right, reason: str) -> Correction:
        usage = _right_usage(charged.usage, right)
        if right.cost_nano_usd is not None:
            cost = right.cost_nano_usd
        elif charged.unit_prices.is_unknown:
            raise InvalidRequest("Nobody knows what its tokens cost: say the cost.", field="cost_nano_usd")
        else:
            cost = cost_nano_usd(usage, charged.unit_prices)
        added = _difference(usage, charged.usage)
        if added == Usage() and cost == charged.cost_nano_usd:
            raise InvalidRequest("It has come to that already: there is nothing to correct.", field="cost_nano_usd")
        return Correction(
            id=f"{charged.generation_id}~{charged.corrections + 1}",
            corrects=charged.generation_id,
            tenant=charged.tenant,
            created_at=self._now(),
            usage=added,
            cost_nano_usd=cost - charged.cost_nano_usd,
            reason=reason,
            corrected_by=actor.user_id or actor.key_id,
        )


def _check(right: Right, reason: str) -> None:
    if not reason.strip():
        raise InvalidRequest("Say why: a correction has a reason.", field="reason")
    if len(reason) > MAX_REASON:
        raise InvalidRequest(f"The reason is longer than {MAX_REASON} characters.", field="reason")
    said = {name: amount for name, amount in msgspec.structs.asdict(right).items() if amount is not None}
    if not said:
        raise InvalidRequest("Say what is right: the cost, or tokens.", field="cost_nano_usd")
    for name, amount in said.items():
        if not 0 <= amount < _MAX_AMOUNT:
            raise InvalidRequest(f"{amount} is none that a request comes to.", field=name)


def _right_usage(usage: Usage, right: Right) -> Usage:
    said = {
        name: amount
        for name in ("input_tokens", "output_tokens", "cached_input_tokens")
        if (amount := getattr(right, name)) is not None
    }
    corrected = msgspec.structs.replace(usage, **said)
    if corrected.cached_input_tokens + corrected.cache_write_input_tokens > corrected.input_tokens:
        raise InvalidRequest("Cached tokens are among the input tokens, and cannot be more.", field="input_tokens")
    return corrected


def _difference(right: Usage, charged: Usage) -> Usage:
    return Usage(
        input_tokens=right.input_tokens - charged.input_tokens,
        output_tokens=right.output_tokens - charged.output_tokens,
        cached_input_tokens=right.cached_input_tokens - charged.cached_input_tokens,
    )
