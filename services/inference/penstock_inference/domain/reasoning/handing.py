"""Reasoning on its way through one request: what is handed back to whom is asked, and what is kept of the answer."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.llm.events import Answer
from penstock_common.llm.types import Candidate
from penstock_inference.domain.attempt import Attempt
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.failure import AttemptFailed
from penstock_inference.domain.generation import Generation, GenerationParts
from penstock_inference.domain.health.turn import Turn
from penstock_inference.domain.model_facts import ThinkingBound
from penstock_inference.domain.reasoning.history import History, Told, history_of, prefix_of
from penstock_inference.domain.reasoning.turns import kept_turn
from penstock_inference.domain.succession import Succession
from penstock_inference.domain.upstream import UpstreamCall


class Handing:
    """What one request's history means for whoever is asked."""

    __slots__ = ("_history", "_parts", "_stays_with", "_told", "missing", "models")

    def __init__(self, history: History, parts: GenerationParts, models: Sequence[Model]) -> None:
        self._history = history
        self._parts = parts
        self._told: dict[Candidate, Told] = {}
        self.missing = ""
        """Why whoever was asked last was asked without some reasoning; empty where it was asked with all."""
        self.models = history.order(models)
        """The plan's, first the one that the conversation stays with."""
        self._stays_with = history.stays_with(self.models)
        """That one; None where the plan has it not, or nobody is known."""

    @property
    def stays(self) -> bool:
        """Whether another would be asked without reasoning that this one reads, or in the middle of its loop."""
        return self._stays_with is not None

    def begin(self, succession: Succession) -> None:
        """Have the model that the conversation stays with asked first, although it is slow."""
        if self._stays_with is not None:
            succession.stay_with(self._stays_with)

    def turn(self, succession: Succession, call: UpstreamCall, model: Model, beside: Model | None) -> Turn:
        """Return the attempt at a model, with the account that its reasoning is of, which asks with what it reads alone."""
        turn = succession.turn(call, beside, self._history.account_at(model))
        told = self._told[model.candidate] = self._history.told_to(
            model, turn.endpoint.account, call.input, needs_reasoning=_needs_reasoning(model, self._parts)
        )
        if told.input is not call.input:
            turn.call = msgspec.structs.replace(call, input=told.input)
        self.missing = told.missing
        if told.missing:
            self._parts.observer.reasoning_missing(model.candidate, told.missing)
        return turn

    def asks_without(self, model: Model, failure: AttemptFailed) -> bool:
        """Return whether who failed so is asked once more, without any reasoning."""
        return self._history.asks_without(model, self._told[model.candidate], failure)

    def answered(self, model: Model) -> None:
        """Note that a candidate has answered."""
        self._history.answered(model)


async def handing_of(generation: Generation, parts: GenerationParts, models: Sequence[Model]) -> Handing | None:
    """Return what a request's history means; None where no assistant has called or reasoned in it."""
    needs_reasoning = any(_needs_reasoning(model, parts) for model in models)
    history = await history_of(generation.input, parts.reasoning, needs_reasoning=needs_reasoning)
    return None if history is None else Handing(history, parts, models)


def keep_calls(generation: Generation, parts: GenerationParts, attempt: Attempt, answer: Answer) -> None:
    """Keep, of an answer that asks for calls, what its caller may lose."""
    message = answer.message()
    if not message.tool_calls:
        return
    needs_reasoning = _needs_reasoning(attempt.model, parts)
    prefix = prefix_of(attempt.turn.call.input, attempt.model) if needs_reasoning else b""
    kept = kept_turn(message, attempt.origin, prefix)
    parts.reasoning.keep(generation.input.messages, message, kept, is_shared=needs_reasoning)


def _needs_reasoning(model: Model, parts: GenerationParts) -> bool:
    is_bound = model.facts.thinking_bound is not ThinkingBound.NOTHING
    return is_bound or parts.pools[model.candidate.upstream].takes_reasoning
