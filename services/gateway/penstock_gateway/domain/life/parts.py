"""What the life of a chat request is made of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.llm.types import GenerationInput
from penstock_gateway.domain.experiments.running import NO_EXPERIMENTS, Assigned, Experiments
from penstock_gateway.domain.guardrails.pipeline.guarding import GuardParts
from penstock_gateway.domain.guardrails.pipeline.rails import NO_RAILS, Rails
from penstock_gateway.domain.life.compression import ContextCompression
from penstock_gateway.domain.life.effective import InputStep
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.flights import Flights
from penstock_gateway.domain.life.forks import NO_FORKS, Forks
from penstock_gateway.domain.life.guards import OutputGuard
from penstock_gateway.domain.life.ladder import NO_LADDERS, Ladders
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.life.pace import Pace
from penstock_gateway.domain.life.ports import AnswerCache, Generator, Router
from penstock_gateway.domain.life.retrieval import NO_RETRIEVAL, Retrieval
from penstock_gateway.domain.life.shadows import Shadows, shadow_of
from penstock_gateway.domain.prompts.library import PromptLibrary
from penstock_gateway.domain.structured.terms import StructuredOutput


class LifeParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the life of a request is made of. ``input_steps`` and ``guards`` come in their order.

    ``rails``: the rules that hold for requests; where there are any, ``guarding`` is what they take to be at work.
    ``inference_is_here``: it is in this process, and tells of its attempts even where a caller leaves.
    ``matches_meaning``: so does the cache, where the configuration says so. ``ladders``: what stands in for the answers of public models, by their names, where there is something.
    ``forks``: the public models that leave a choice to the router. ``flights``: equal requests share a generation; None: each
    has its own. ``pace`` is that of kept answers. ``prompts``: where those are found that requests name; None: there are none.
    ``retrieval``: what is searched for requests before they are answered. ``experiments``: those that run; ``shadows`` answers beside what callers are given, None where nothing does.
    ``structured``: what answers that are to be JSON are checked with.
    """

    visits: VisitParts
    input_steps: Sequence[InputStep]
    compression: ContextCompression | None = None
    cache: AnswerCache
    router: Router
    generator: Generator
    guards: Sequence[OutputGuard] = ()
    rails: Rails = NO_RAILS
    guarding: GuardParts | None = None
    inference_is_here: bool = False
    matches_meaning: bool = False
    ladders: Ladders = NO_LADDERS
    forks: Forks = NO_FORKS
    flights: Flights | None = None
    pace: Pace | None = None
    prompts: PromptLibrary | None = None
    retrieval: Retrieval = NO_RETRIEVAL
    experiments: Experiments = NO_EXPERIMENTS
    shadows: Shadows | None = None
    structured: StructuredOutput | None = None

    def begin_shadow(self, call: Call[ChatOrder], effective: GenerationInput, assigned: Assigned) -> None:
        """Begin the shadow beside a request that has one, where shadows run; what is private no other provider is shown."""
        control = call.order.cache_control
        if self.shadows is not None and not (control.no_store or control.private):
            self.shadows.begin(shadow_of(call, effective, assigned, self.forks), self.router, self.generator)
