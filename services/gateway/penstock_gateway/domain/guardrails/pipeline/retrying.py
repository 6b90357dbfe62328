"""Rules that have an answer asked for again, where it comes from: before anything of it was sent."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.errors import GuardrailRefused
from penstock_common.llm.types import GenerationEvent
from penstock_gateway.domain.guardrails.pipeline.answer import texts_of
from penstock_gateway.domain.guardrails.pipeline.guarding import Guarding
from penstock_gateway.domain.guardrails.pipeline.lane import REASONING, Verdicts
from penstock_gateway.domain.guardrails.pipeline.refusing import GuardrailUnavailable
from penstock_gateway.domain.guardrails.pipeline.rule import Action, Rule, Surface
from penstock_gateway.domain.structured.schema import Problem


class Retries:
    """Implements ``WantedOtherwise`` with a request's own rules. What the model is told says nothing of what was found."""

    def __init__(self, guarding: Guarding, rules: Sequence[Rule]) -> None:
        self.retries = guarding.parts.retries
        self._verdicts, self._rules = Verdicts(guarding), rules

    async def problem(self, events: Sequence[GenerationEvent]) -> Problem | None:
        """Return what the first rule says that finds something.

        One that cannot look says nothing here: it looks again where the answer is given, and its setting holds there.
        """
        for name, text in texts_of(events):
            for rule in self._rules:
                if (name != REASONING or rule.reads_reasoning) and await self._finds(rule, text):
                    return Problem(False, rule.ask or f"it breaks the rule '{rule.name}'.", rule.name)
        return None

    async def _finds(self, rule: Rule, text: str) -> bool:
        try:
            return bool(await self._verdicts.found(rule, text, Surface.OUTPUT))
        except (GuardrailUnavailable, GuardrailRefused):
            return False


def retries_of(guarding: Guarding) -> Retries | None:
    """Return the rules that have a request's answer asked for again; None where there is none."""
    judged = guarding.held.output.get(Surface.OUTPUT, ())
    rules = [rule for rule in judged if rule.action is Action.RETRY and rule.enforces]
    return Retries(guarding, rules) if rules and guarding.parts.retries else None
