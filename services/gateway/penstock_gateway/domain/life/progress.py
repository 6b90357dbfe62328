"""What is known of an answer while it runs, and the bill that follows from it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from penstock_common.llm.estimate import estimated_input_tokens, estimated_tokens
from penstock_common.llm.types import (
    Batch,
    Candidate,
    Finished,
    GenerationEvent,
    GenerationInput,
    Plan,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
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


NOTHING_OWED = Bill()


# How an attempt ends whose caller left, or had no time left.
_LEFT = ("cancelled", "deadline:deadline")


class Progress:
    """The answer so far."""

    __slots__ = ("events", "finished", "first_event_ns", "started", "usage")

    def __init__(self) -> None:
        self.first_event_ns = 0
        self.started: Started | None = None
        self.usage: Usage | None = None
        self.finished: Finished | None = None
        self.events: list[GenerationEvent] = []

    def note(self, batch: Batch) -> None:
        """Take the next events in, in the contract's order."""
        if self.started is None:
            first = batch[0]
            self.first_event_ns = time.time_ns()
            if isinstance(first, Started):
                self.started = first
        self.events += batch
        # Usage and end come last, so a batch that ends in a delta has neither.
        if isinstance(batch[-1], Usage | Finished):
            for event in batch[-2:]:
                if isinstance(event, Finished):
                    self.finished = event
                elif isinstance(event, Usage):
                    self.usage = event

    def note_unseen(self, attempts: Sequence[Step], plan: Plan, request: GenerationInput) -> None:
        """Take in an answer that had begun to come when its caller left, or its time was over, of which nothing has reached us."""
        last = attempts[-1].attributes if attempts else {}
        if self.started is not None or not last.get("begun") or last["outcome"] not in _LEFT:
            return
        candidate = Candidate(upstream=str(last["upstream"]), model=str(last["model"]))
        prices = dict(zip(map(str, plan.candidates), plan.prices, strict=False)).get(str(candidate), UnitPrices())
        self.started = Started(generation_id="", answered_by=candidate, unit_prices=prices)
        output_tokens = int(last["estimated_output_tokens"])
        self.usage = Usage(input_tokens=estimated_input_tokens(request), output_tokens=output_tokens, estimated=True)

    @property
    def answered_by(self) -> Candidate | None:
        """Who answered, or was answering when it was interrupted."""
        if self.finished is not None:
            return self.finished.answered_by
        return self.started.answered_by if self.started is not None else None

    def bill(self, request: GenerationInput) -> Bill:
        """Return what is owed: as finished, or estimated for what was delivered before an interruption."""
        if self.finished is not None:
            return Bill(self.usage or Usage(), self.finished.unit_prices, self.finished.cost_nano_usd)
        if self.started is None:
            return NOTHING_OWED
        usage = self.usage or Usage(
            input_tokens=estimated_input_tokens(request),
            output_tokens=estimated_tokens(_delivered_text(self.events)),
            estimated=True,
        )
        prices = self.started.unit_prices
        return Bill(usage, prices, cost_nano_usd(usage, prices))


def _delivered_text(events: Sequence[GenerationEvent]) -> str:
    pieces: list[str] = []
    for event in events:
        if isinstance(event, TextDelta | ReasoningDelta):
            pieces.append(event.text)
        elif isinstance(event, ToolCallDelta):
            pieces.append(event.arguments_json_fragment)
    return "".join(pieces)
