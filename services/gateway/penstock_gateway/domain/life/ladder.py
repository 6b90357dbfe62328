"""What a model's callers are given where all of its candidates have failed: a ladder of steps, each less than the last.

A step that a request cannot take is left out, with a reason. What a request
itself brought about is no reason to go down.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar, NamedTuple

import msgspec

from penstock_common.errors import (
    NoHealthyUpstream,
    Overloaded,
    PenstockError,
    RateLimited,
    UpstreamFailed,
    UpstreamTimeout,
)
from penstock_common.llm.types import GENERAL_TASK, Degradation, GenerationInput, JsonObject, JsonSchema, Plan
from penstock_gateway.domain.life.admission import TurnedAway
from penstock_gateway.domain.life.order import CacheControl

_OF_UPSTREAMS = (UpstreamFailed, UpstreamTimeout, NoHealthyUpstream, RateLimited, Overloaded)


def is_an_upstreams(error: PenstockError) -> bool:
    """Return whether an error of routing or of generating is a fault of the upstreams, which another answer makes up for.

    The tenant's own limits are looked at before either.
    """
    return isinstance(error, _OF_UPSTREAMS) and not isinstance(error, TurnedAway)


class Asked(NamedTuple):
    """What of a request decides which steps it can take."""

    input: GenerationInput
    cache: CacheControl

    @property
    def wants_several(self) -> bool:
        """Return whether several answers to one question are wanted."""
        return self.input.sampling.choices not in (None, 1)


class SmallerModel(msgspec.Struct, frozen=True):
    """Another public model is asked."""

    kind: ClassVar[Degradation] = Degradation.SMALLER_MODEL

    model: str

    def objection(self, asked: Asked) -> str:
        """Return nothing: who can route knows more."""
        return ""


class StaleAnswer(msgspec.Struct, frozen=True):
    """A kept answer is given that has been past its time for at most so long."""

    kind: ClassVar[Degradation] = Degradation.STALE

    stale_for: timedelta

    def objection(self, asked: Asked) -> str:
        """Return why a kept answer is none to this request; empty where it may be."""
        if not asked.cache.may_look_up:
            return "the request wants no kept answer"
        return "several answers are wanted, which are not kept" if asked.wants_several else ""


class Template(msgspec.Struct, frozen=True):
    """A text of the operator's is given, by task; there is one for ``GENERAL_TASK``."""

    kind: ClassVar[Degradation] = Degradation.TEMPLATE

    texts: Mapping[str, str]

    def text_for(self, plan: Plan | None) -> str:
        """Return the text for the task that the router saw, where it saw one."""
        decision = plan.decision if plan is not None else None
        return self.texts.get(decision.task if decision is not None else GENERAL_TASK) or self.texts[GENERAL_TASK]

    def objection(self, asked: Asked) -> str:
        """Return why a text is no answer to this request; empty where it may be."""
        request = asked.input
        if request.tools:
            return "the request has tools"
        if asked.wants_several:
            return "several answers are wanted"
        if request.sampling.top_logprobs is not None:
            return "probabilities are wanted, which a text has not"
        if isinstance(request.response_format, JsonSchema):
            return "the answer must fit a schema"
        if isinstance(request.response_format, JsonObject) and not all(map(_is_object, self.texts.values())):
            return "the answer must be a JSON object"
        return ""


Rung = SmallerModel | StaleAnswer | Template


def asks_no_model(rung: Rung) -> bool:
    """Return whether a step takes next to no time."""
    return not isinstance(rung, SmallerModel)


class Ladder(msgspec.Struct, frozen=True):
    """A model's steps in their order; ``stale_for`` is how long its answers are kept past their time, None if not at all.

    ``reserve`` is what a request's time is shortened by while a model is asked, for the steps that ask none.
    """

    rungs: tuple[Rung, ...]
    stale_for: timedelta | None = None
    reserve: timedelta = timedelta()

    @classmethod
    def of(cls, *rungs: Rung, reserve: timedelta = timedelta()) -> Ladder:
        """Return the ladder of these steps."""
        kept = [rung.stale_for for rung in rungs if isinstance(rung, StaleAnswer)]
        return cls(rungs, max(kept, default=None), reserve if any(map(asks_no_model, rungs)) else timedelta())

    @property
    def has_quick_steps(self) -> bool:
        """Whether a step of it asks no model: it gives an answer where there is hardly any time left."""
        return any(map(asks_no_model, self.rungs))


class Ladders:
    """The ladders of public models by their names; a reload exchanges all of them at once.

    ``on_budget`` names the public model that answers in the place of another for which a budget has no room.
    """

    __slots__ = ("by_name", "on_budget")

    def __init__(self, by_name: Mapping[str, Ladder], on_budget: Mapping[str, str] | None = None) -> None:
        self.take_over(by_name, on_budget or {})

    def take_over(self, by_name: Mapping[str, Ladder], on_budget: Mapping[str, str]) -> None:
        """Let requests that begin from now on have these."""
        self.by_name = by_name
        self.on_budget = on_budget


NO_LADDERS = Ladders({})


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
