"""Asks the rules of now about a text that nobody has sent: one that a reviewer has written."""

from __future__ import annotations

from penstock_gateway.domain.guardrails.pipeline.guarding import GuardParts
from penstock_gateway.domain.guardrails.pipeline.judging import Judge
from penstock_gateway.domain.guardrails.pipeline.rails import Rails
from penstock_gateway.domain.guardrails.pipeline.rule import Action, Surface
from penstock_gateway.domain.guardrails.pipeline.told import Tally
from penstock_gateway.domain.reviews.flag import Surface as Flagged


class RulesOfNow:
    """Implements ``Recheck`` with the rules that hold for a tenant and a public model, whatever the key is."""

    def __init__(self, rails: Rails, parts: GuardParts) -> None:
        self._rails, self._parts = rails, parts

    async def refused_by(self, tenant: str, surface: Flagged, text: str, public_model: str) -> str:
        """Return the name of the first rule that would refuse the text; empty where none would.

        Raises:
            GuardrailUnavailable: if one must look, and cannot.
        """
        held = self._rails.held(tenant, public_model, "")
        if held is None:
            return ""
        where = Surface(surface.value)
        judge = Judge(self._parts.beside, Tally(), self._parts.memo)
        for rule in (*held.input.get(where, ()), *held.output.get(where, ())):
            # Who has looked has decided what was held for it.
            if rule.action is Action.REFUSE and rule.enforces and await judge.found(rule, text, where):
                return rule.name
        return ""
