from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from penstock_common.llm.types import GenerationInput, Message, Role, Text


@dataclass
class FakeClock:
    """A monotonic and a wall clock that pass only when told."""

    seconds: float = 1_000.0
    start: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def monotonic(self) -> float:
        return self.seconds

    def nanoseconds(self) -> int:
        return round(self.seconds * 1_000) * 1_000_000

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds - 1_000.0)

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ask() -> Callable[..., GenerationInput]:
    """A maker of requests; what is named replaces a part of a valid one."""

    def make(**parts: object) -> GenerationInput:
        message = Message(role=Role.USER, parts=(Text(text="12345678"),))
        return GenerationInput(**{"model": "fast", "messages": (message,), **parts})

    return make
