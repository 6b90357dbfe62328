"""What a plan is run for, and with what: one request, and the parts that every request's attempts have in common."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from penstock_common.llm.types import Batch, Candidate, GenerationInput, Plan, Recovery
from penstock_common.priority import Priority
from penstock_inference.domain.catalogue import Catalogue
from penstock_inference.domain.hedging import HedgeOutcome, Hedging
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.reasoning.kept import KeptReasoning

_CHANCE = random.Random()  # noqa: S311 - spreads retries, hides nothing


class Generation(msgspec.Struct, frozen=True):
    """One request: what to generate, who may answer, and by when (None: no deadline).

    ``whole``: the caller is told the answer once all of it is there. Until then it
    has been sent nothing, and any break is a failure that another attempt makes good.
    ``given`` is what others have been given of the answer, which goes on from there;
    ``given_is_owed``: nobody was billed for it.
    """

    input: GenerationInput
    plan: Plan
    seconds_left: float | None = None
    whole: bool = False
    may_recover: bool = True
    priority: Priority = Priority.DEFAULT
    may_hedge: bool = True
    given: Batch = ()
    given_is_owed: bool = False


@dataclass(frozen=True, slots=True)
class Pauses:
    """Chance and waiting between attempts; tests put their own in."""

    chance: Callable[[], float] = _CHANCE.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class AttemptObserver(Protocol):
    """Hears what operators want to know of attempts; never raises, returns at once."""

    def unpriced(self, candidate: Candidate, tier: str) -> None:
        """An answer was served at a tier that has no price; it is billed as if it had been the asked one."""
        ...

    def recovered(self, recovery: Recovery) -> None:
        """A break within an answer was made good."""
        ...

    def broke_off(self, candidate: Candidate, cause: str) -> None:
        """An answer broke off after some of it was sent, and nobody made it whole."""
        ...

    def hedged(self, candidate: Candidate, outcome: HedgeOutcome) -> None:
        """A candidate's first token was late; what came of the second attempt, or why there was none."""
        ...

    def reasoning_missing(self, candidate: Candidate, why: str) -> None:
        """A candidate is asked without reasoning that stood in the conversation; ``why``: moved, refused or lost."""
        ...


class NobodyHears:
    """Lets it be."""

    def unpriced(self, candidate: Candidate, tier: str) -> None:
        """Let it be."""

    def recovered(self, recovery: Recovery) -> None:
        """Let it be."""

    def broke_off(self, candidate: Candidate, cause: str) -> None:
        """Let it be."""

    def hedged(self, candidate: Candidate, outcome: HedgeOutcome) -> None:
        """Let it be."""

    def reasoning_missing(self, candidate: Candidate, why: str) -> None:
        """Let it be."""


@dataclass(frozen=True, slots=True)
class GenerationParts:
    """What attempts are made with."""

    pools: Mapping[str, Pool]
    catalogue: Catalogue
    pauses: Pauses = Pauses()
    observer: AttemptObserver = field(default_factory=NobodyHears)
    hedging: Hedging | None = None
    """None: nobody is asked beside an attempt whose first token is late."""
    reasoning: KeptReasoning = field(default_factory=KeptReasoning)
