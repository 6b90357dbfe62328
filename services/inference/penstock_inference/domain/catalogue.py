"""What this instance can run: models, their prices, windows and timers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum

from penstock_common.llm.types import Candidate, UnitPrices


class Capability(Enum):
    """What a model can do, in the configuration's words."""

    CHAT = "chat"
    TOOLS = "tools"
    JSON_SCHEMA = "json_schema"
    VISION = "vision"
    PREFILL = "prefill"
    EMBEDDINGS = "embeddings"
    REASONING = "reasoning"


FIRST_TOKEN = timedelta(seconds=30)
# A reasoning model may think for minutes before it says anything.
FIRST_TOKEN_OF_REASONING = timedelta(seconds=300)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The five timers of one attempt; ``idle`` is between content events, the others from its start."""

    connect: timedelta = timedelta(seconds=3)
    headers: timedelta = FIRST_TOKEN
    first_token: timedelta = FIRST_TOKEN
    idle: timedelta = timedelta(seconds=20)
    total: timedelta = timedelta(seconds=600)

    @classmethod
    def of_reasoning_models(cls) -> Timeouts:
        """Return the defaults of models that think before they answer."""
        return replace(cls(), headers=FIRST_TOKEN_OF_REASONING, first_token=FIRST_TOKEN_OF_REASONING)


@dataclass(frozen=True, slots=True)
class Model:
    """One model at one upstream; ``context_window_tokens`` is 0 where unknown."""

    candidate: Candidate
    context_window_tokens: int = 0
    capabilities: frozenset[Capability] = frozenset({Capability.CHAT})
    prices: UnitPrices = UnitPrices()
    timeouts: Timeouts = Timeouts()


class Catalogue:
    """Finds a model by the candidate that names it."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._models = {(model.candidate.upstream, model.candidate.model): model for model in models}

    def find(self, candidate: Candidate) -> Model | None:
        """Return the model, or None where this instance does not know it."""
        return self._models.get((candidate.upstream, candidate.model))

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())
