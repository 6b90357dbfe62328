"""What is known of an answer while it runs, and the bill that follows from it."""

from __future__ import annotations

import time

import msgspec

from penstock_common.llm.estimate import estimated_input_tokens, estimated_output_tokens
from penstock_common.llm.events import Answer
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


NOTHING_OWED = Bill()


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

    def note_ended(self, attempt: Step) -> None:
        """Take in what is owed for the last attempt at an answer that ended early, and not by the upstream's fault.

        The caller left, their time was over, or a guard refused. Inference says what that makes: nothing where the
        upstream had not been sent the prompt yet.
        """
        told = attempt.attributes
        if "owed_input_tokens" not in told or self.usage is not None:
            return
        self.usage = Usage(
            input_tokens=int(told["owed_input_tokens"]),
            output_tokens=int(told["owed_output_tokens"]),
            cached_input_tokens=int(told["owed_cached_input_tokens"]),
            estimated=True,
        )
        if self.started is None:
            prices = UnitPrices(
                input_nano_usd=int(told["input_nano_usd"]),
                cached_input_nano_usd=int(told["cached_input_nano_usd"]),
                output_nano_usd=int(told["output_nano_usd"]),
            )
            candidate = Candidate(upstream=str(told["upstream"]), model=str(told["model"]))
            self.started = Started(generation_id="", answered_by=candidate, unit_prices=prices)

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

    def bill(self, request: GenerationInput) -> Bill:
        """Return what is owed: as finished; else, once the upstream had the prompt, for it and for what was written."""
        if self.finished is not None:
            return Bill(self.usage or Usage(), self.finished.unit_prices, self.finished.cost_nano_usd)
        if self.started is None:
            return NOTHING_OWED
        usage = self.usage
        if usage is None:
            answer = Answer()
            answer.extend(self.events)
            usage = Usage(
                input_tokens=estimated_input_tokens(request),
                output_tokens=estimated_output_tokens(request, answer),
                estimated=True,
            )
        prices = self.started.unit_prices
        return Bill(usage, prices, cost_nano_usd(usage, prices))
