"""What a request has to say of itself at its end, and the ledger's row that follows from it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from penstock_common.llm.types import Candidate, Decision
from penstock_gateway.domain.guardrails.pipeline.told import Tally
from penstock_gateway.domain.knowledge_use.signals import RetrievalSignals
from penstock_gateway.domain.life.cache_outcome import NOT_ASKED, CacheOutcome
from penstock_gateway.domain.life.order import AnyOrder, Call
from penstock_gateway.domain.life.progress import NOTHING_OWED, Bill
from penstock_gateway.domain.life.settlement import NO_PART, OK, LedgerRow, Part, outcome_of
from penstock_gateway.domain.life.sources import Saved
from penstock_gateway.domain.prompts.content import PromptReference


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an exchange has to say of itself at its end.

    ``public_model`` is the name asked for, where it is known to be a model's;
    ``first_event_ns`` is on the wall clock, 0 where none came.
    """

    bill: Bill = NOTHING_OWED
    public_model: str = ""
    answered_by: Candidate | None = None
    finish_reason: str = ""
    cache: CacheOutcome = NOT_ASKED
    attempts: int = 0
    first_event_ns: int = 0
    degraded: str = ""
    saved: Saved | None = None
    prompt: PromptReference | None = None
    decision: Decision | None = None
    part: Part = NO_PART
    compressed_tokens: int = 0
    retrieval: RetrievalSignals | None = None
    stopped_by: str = ""
    operation: str = "chat"
    guardrails: Tally | None = None


def ledger_row(
    call: Call[AnyOrder], outcome: Outcome, error: BaseException | None, now_ns: int, waiting_ns: int
) -> LedgerRow:
    """Return the row of a request that ends now (wall clock) and has spent ``waiting_ns`` on waiting for upstreams."""
    order, bill, answered_by, first_ns = call.order, outcome.bill, outcome.answered_by, outcome.first_event_ns
    decision, saved, caller = outcome.decision, outcome.saved, call.caller
    prompt = outcome.prompt if outcome.prompt is not None and outcome.prompt.is_found else None
    return LedgerRow(
        generation_id=order.generation_id,
        request_id=order.request_id,
        created_at=datetime.fromtimestamp(call.started_ns / 1e9, UTC),
        tenant=order.tenant,
        key_id=order.key_id,
        surface=order.surface,
        requested_model=order.input.model,
        outcome=OK if error is None else outcome_of(error),
        upstream=answered_by.upstream if answered_by else "",
        model=answered_by.model if answered_by else "",
        finish_reason=outcome.finish_reason,
        cache_status=outcome.cache.status,
        usage=bill.usage,
        unit_prices=bill.unit_prices,
        cost_nano_usd=bill.cost_nano_usd,
        attempts=outcome.attempts,
        time_to_first_token_ms=(first_ns - call.started_ns) / 1e6 if first_ns else None,
        duration_ms=(now_ns - call.started_ns) / 1e6,
        overhead_ms=(now_ns - call.started_ns - waiting_ns) / 1e6,
        user=order.context.user,
        feature=order.context.feature,
        tags=order.context.tags,
        degraded=outcome.degraded,
        saved_tokens=saved.tokens if saved is not None else 0,
        saved_nano_usd=saved.nano_usd if saved is not None else 0,
        prompt=prompt.name if prompt is not None else "",
        prompt_version=prompt.version if prompt is not None else 0,
        task=decision.task if decision is not None else "",
        cache_entry=outcome.cache.entry_id,
        part=outcome.part,
        compressed_tokens=outcome.compressed_tokens,
        team=caller.team,
        user_id=caller.user_id,
        stopped_by=outcome.stopped_by,
        operation=outcome.operation,
    )
