"""What is known of an answer while it runs, and the bill that follows from it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from penstock_common.llm.estimate import estimated_input_tokens, estimated_output_tokens
from penstock_common.llm.events import Answer
from penstock_common.llm.owed import is_owing, owed_in
from penstock_common.llm.types import (
    Batch,
    Candidate,
    Finished,
    GenerationEvent,
    GenerationInput,
    Plan,
    Started,
    UnitPrices,
    Usage,
    cost_nano_usd,
)
from penstock_common.telemetry.steps import Step


class Bill(msgspec.Struct, frozen=True, gc=False):
    """Tokens, what a million of them costs, and what that makes."""

    usage: Usage = Usage()
    unit_prices: UnitPrices = UnitPrices()
    cost_nano_usd: int = 0

    @property
    def known_cost_nano_usd(self) -> int | None:
        """The cost; None where nobody knows the price of all that it was made of."""
        return None if self.unit_prices.is_unknown else self.cost_nano_usd


NOTHING_OWED = Bill()
_AT_THE_END = (Usage, Finished)
# Inference's word for an attempt that was ended by whoever had asked for it.
_INTERRUPTED = "cancelled"


class Progress:
    """The answer so far."""

    __slots__ = ("_owed", "events", "finished", "first_event_ns", "started", "usage")

    def __init__(self) -> None:
        self.first_event_ns = 0
        self.started: Started | None = None
        self.usage: Usage | None = None
        self.finished: Finished | None = None
        self.events: list[GenerationEvent] = []
        self._owed: Bill | None = None

    def note(self, batch: Batch) -> None:
        """Take the next events in, in the contract's order."""
        if self.started is None:
            first = batch[0]
            self.first_event_ns = time.time_ns()
            if type(first) is Started:
                self.started = first
        self.events += batch
        # Usage and end come last, so a batch that ends in a delta has neither.
        if type(batch[-1]) in _AT_THE_END:
            for event in batch[-2:]:
                if type(event) is Finished:
                    self.finished = event
                elif type(event) is Usage:
                    self.usage = event

    def note_ended(self, attempts: Sequence[Step]) -> None:
        """Take in what is owed for the attempts at an answer that came to no end.

        The caller left, their time was over, a guard refused, or it broke off and nobody made it whole. Inference says what
        that makes: nothing for an attempt whose upstream had not been sent the prompt yet.
        """
        owing = [step.attributes for step in attempts if is_owing(step.attributes)]
        if self.usage is not None:
            # The attempt that runs is billed by what it has said itself.
            owing = [told for told in owing if told.get("outcome") != _INTERRUPTED]
        if not owing:
            return
        owed = [owed_in(told) for told in owing]
        last = owing[-1]
        prices = _with_unknown(owed[-1].unit_prices, any(bill.unit_prices.is_unknown for bill in owed))
        self._owed = Bill(_sum([bill.usage for bill in owed]), prices, sum(bill.cost_nano_usd for bill in owed))
        if self.started is None:
            candidate = Candidate(upstream=str(last["upstream"]), model=str(last["model"]))
            self.started = Started(generation_id="", answered_by=candidate, unit_prices=owed[-1].unit_prices)

    def assume_asked(self, plan: Plan, request: GenerationInput) -> None:
        """Take it that the plan's first candidate was sent the prompt, unless an answer says who was."""
        if self.started is None:
            self.usage = Usage(input_tokens=estimated_input_tokens(request), estimated=True)
            prices = plan.prices[0] if plan.prices else UnitPrices()
            self.started = Started(generation_id="", answered_by=plan.candidates[0], unit_prices=prices)

    @property
    def answered_by(self) -> Candidate | None:
        """Who answered, or was answering when it was interrupted."""
        if self.finished is not None:
            return self.finished.answered_by
        return self.started.answered_by if self.started is not None else None

    @property
    def known_cost_nano_usd(self) -> int | None:
        """What the answer costs, as its end tells; 0 before that, None where nobody knows."""
        finished = self.finished
        if finished is None:
            return 0
        return None if finished.unit_prices.is_unknown else finished.cost_nano_usd

    def bill(self, request: GenerationInput) -> Bill:
        """Return what is owed: as finished; else, once the upstream had the prompt, for it and for what was written."""
        if self.finished is not None:
            return Bill(self.usage or Usage(), self.finished.unit_prices, self.finished.cost_nano_usd)
        usage, owed = self.usage, self._owed
        if owed is not None and usage is None:
            return owed
        if self.started is None:
            return NOTHING_OWED
        if usage is None:
            answer = Answer()
            answer.extend(self.events)
            usage = Usage(
                input_tokens=estimated_input_tokens(request),
                output_tokens=estimated_output_tokens(request, answer),
                estimated=True,
            )
        prices = self.started.unit_prices
        if owed is None:
            return Bill(usage, prices, cost_nano_usd(usage, prices))
        # Whoever broke off is owed beside the one whose end was on its way.
        cost = cost_nano_usd(usage, prices) + owed.cost_nano_usd
        return Bill(usage, _with_unknown(prices, owed.unit_prices.is_unknown), cost)


def came_whole(generate: Step | None) -> bool:
    """Return whether the upstream was asked for a whole answer: it has no first token that anybody saw."""
    return generate is not None and bool(generate.children) and "whole" in generate.children[-1].attributes


def waited_ns(attempts: Sequence[Step]) -> int:
    """Return the nanoseconds from the first attempt to the last one's end: a pause between two is no work of ours.

    Nor is the time until an upstream's limits let the first one in.
    """
    first, last_ns = attempts[0], attempts[-1].end_ns
    for attempt in attempts[:-1]:
        # One that was hedged may have gone on.
        last_ns = max(last_ns, attempt.end_ns)
    waited_ns = last_ns - first.start_ns
    return (
        waited_ns + round(float(first.attributes["queued_ms"]) * 1e6) if "queued_ms" in first.attributes else waited_ns
    )


def waited_at_ns(generation: Step) -> int:
    """Return the nanoseconds that a generation has taken so far."""
    if generation.children:
        return waited_ns(generation.children)
    return (generation.end_ns or time.time_ns()) - generation.start_ns


def attempts_made(attempts: Sequence[Step], progress: Progress) -> int:
    """Return how many attempts an unfinished answer took, as far as inference could tell before it ended."""
    told = sum(attempt.attributes.get("asked") is not False for attempt in attempts)
    return max(told, int(progress.started is not None))


def owed_for(given: Batch, request: GenerationInput) -> Bill:
    """Return what a generation is owed, estimated, that has given this and of which nothing more is known."""
    progress = Progress()
    if given:
        progress.note(given)
    return progress.bill(request)


def owed_by(attempts: Sequence[Step], request: GenerationInput) -> Bill:
    """Return what attempts have left behind that came to no answer."""
    progress = Progress()
    progress.note_ended(attempts)
    return progress.bill(request)


def and_also(bill: Bill, owed: Bill) -> Bill:
    """Return a bill with the cost of another generation in it, whose tokens are none of this answer's."""
    prices = _with_unknown(bill.unit_prices, owed.unit_prices.is_unknown)
    return Bill(bill.usage, prices, bill.cost_nano_usd + owed.cost_nano_usd)


def _with_unknown(prices: UnitPrices, has_unknown: bool) -> UnitPrices:
    """Return the prices, marked where beside them something is billed whose price nobody knows."""
    return msgspec.structs.replace(prices, is_unknown=True) if has_unknown and not prices.is_unknown else prices


def _sum(usages: Sequence[Usage]) -> Usage:
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        cached_input_tokens=sum(usage.cached_input_tokens for usage in usages),
        cache_write_input_tokens=sum(usage.cache_write_input_tokens for usage in usages),
        cache_write_1h_input_tokens=sum(usage.cache_write_1h_input_tokens for usage in usages),
        estimated=True,
    )
