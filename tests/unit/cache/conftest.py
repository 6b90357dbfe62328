from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationInput,
    Message,
    Role,
    SamplingParams,
    Started,
    Text,
    TextDelta,
    Usage,
)


@dataclasses.dataclass
class FakeClock:
    """Unix seconds that pass only when told."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ask() -> Callable[..., GenerationInput]:
    def make(text: str = "What is a penstock?", **sampling: float) -> GenerationInput:
        return GenerationInput(
            model="fast",
            messages=(Message(role=Role.USER, parts=(Text(text=text),)),),
            sampling=SamplingParams(**sampling),
        )

    return make


@pytest.fixture
def answer_events() -> Callable[..., tuple[GenerationEvent, ...]]:
    def make(text: str = "A pipe that feeds a turbine.") -> tuple[GenerationEvent, ...]:
        candidate = Candidate(upstream="openai", model="gpt-4o-mini")
        return (
            Started(generation_id="gen-1", answered_by=candidate),
            TextDelta(text=text),
            Usage(input_tokens=9, output_tokens=8),
            Finished(reason=FinishReason.STOP, answered_by=candidate, attempts=1),
        )

    return make
