"""Has the rules of now look at a text that a reviewer has written."""

from __future__ import annotations

from penstock_gateway.domain.guardrails.pipeline.guarding import GuardParts
from penstock_gateway.domain.guardrails.pipeline.judging import Judge
from penstock_gateway.domain.guardrails.pipeline.rails import Rails
from penstock_gateway.domain.guardrails.pipeline.rule import Action, Surface
from penstock_gateway.domain.guardrails.pipeline.told import Tally
from penstock_gateway.domain.reviews.flag import Surface as Flagged

_CHANGES = (Action.REFUSE, Action.REPLACE, Action.REDACT, Action.PSEUDONYMISE)


class RailsRecheck:
    """Implements ``Recheck``: by the rules that hold for a tenant and a model, whatever the key."""

    def __init__(self, rails: Rails, parts: GuardParts) -> None:
        self._rails = rails
        self._parts = parts

    async def refused_by(self, tenant: str, surface: Flagged, text: str, public_model: str) -> str:
        """Return the first rule that would not let the text out as it is; see the port.

        Raises:
            GuardrailUnavailable: if one must look at it, and cannot.
        """
        held = self._rails.held(tenant, public_model, "")
        if held is None:
            return ""
        place = Surface(surface.value)
        judge = Judge(self._parts.beside, Tally(), self._parts.memo)
        # What reviewers write goes out, whichever way the other text went.
        rules = held.output.get(place) or held.input.get(place) or ()
        for rule in rules:
            if rule.enforces and rule.action in _CHANGES and await judge.found(rule, text, place):
                return rule.name
        return ""
