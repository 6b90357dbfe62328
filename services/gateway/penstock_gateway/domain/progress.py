"""What is known of an answer while it runs, and the bill that follows from it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock_common.llm.estimate import estimated_input_tokens, estimated_tokens
from penstock_common.llm.types import (
    Candidate,
    Finished,
    GenerationEvent,
    GenerationInput,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UnitPrices,
    Usage,
    cost_nano_usd,
)


@dataclass(slots=True)
class Progress:
    """The answer so far."""

    first_event_ns: int = 0
    started: Started | None = None
    usage: Usage | None = None
    finished: Finished | None = None
    events: list[GenerationEvent] = field(default_factory=list[GenerationEvent])

    def note(self, event: GenerationEvent) -> None:
        """Take the next event in."""
        self.events.append(event)
        if isinstance(event, Started):
            self.started = event
            self.first_event_ns = time.time_ns()
        elif isinstance(event, Usage):
            self.usage = event
        elif isinstance(event, Finished):
            self.finished = event

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
            return Bill()
        usage = self.usage or Usage(
            input_tokens=estimated_input_tokens(request),
            output_tokens=estimated_tokens(_delivered_text(self.events)),
            estimated=True,
        )
        prices = self.started.unit_prices
        return Bill(usage, prices, cost_nano_usd(usage, prices))


@dataclass(frozen=True, slots=True)
class Bill:
    """Tokens, what a million of them costs, and what that makes."""

    usage: Usage = Usage()
    unit_prices: UnitPrices = UnitPrices()
    cost_nano_usd: int = 0


def _delivered_text(events: Sequence[GenerationEvent]) -> str:
    pieces: list[str] = []
    for event in events:
        if isinstance(event, TextDelta | ReasoningDelta):
            pieces.append(event.text)
        elif isinstance(event, ToolCallDelta):
            pieces.append(event.arguments_json_fragment)
    return "".join(pieces)
