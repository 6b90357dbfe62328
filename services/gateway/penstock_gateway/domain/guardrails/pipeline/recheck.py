"""Asks the rules of now about a text that nobody has sent: one that a reviewer has written."""

from __future__ import annotations

from penstock_gateway.domain.guardrails.pipeline.guarding import GuardParts
from penstock_gateway.domain.guardrails.pipeline.judging import Judge
from penstock_gateway.domain.guardrails.pipeline.rails import Rails
from penstock_gateway.domain.guardrails.pipeline.rule import Action, Surface
from penstock_gateway.domain.guardrails.pipeline.told import Tally
from penstock_gateway.domain.reviews.item import ReviewItem

_CHANGE = frozenset({Action.REFUSE, Action.RETRY, Action.REPLACE, Action.REDACT})


class RulesOfNow:
    """Implements ``Recheck`` with the rules that hold for who asked: its tenant, public model and key (of a rotated one, the first)."""

    def __init__(self, rails: Rails, parts: GuardParts) -> None:
        self._rails, self._parts = rails, parts

    async def refused_by(self, item: ReviewItem, text: str) -> str:
        """Return the name of the first rule that would not let the text pass; see ``Recheck``.

        Raises:
            GuardrailUnavailable: if one must look, and cannot.
        """
        held = self._rails.held(item.tenant, item.public_model, item.key_id)
        if held is None:
            return ""
        where = Surface(item.surface.value)
        judge = Judge(self._parts.beside, Tally(), self._parts.memo, self._parts.most_looked)
        # Who has looked has decided what was held for it.
        rules = [rule for rule in held.input.get(where, ()) if rule.action is Action.REFUSE]
        rules += [rule for rule in held.output.get(where, ()) if rule.action in _CHANGE]
        for rule in rules:
            if rule.enforces and await judge.found(rule, text, where):
                return rule.name
        return ""
