"""Whether an answer follows from what was found for it."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_gateway.domain.guardrails.grounding.grounding import Support, ground
from penstock_gateway.domain.guardrails.pipeline.rule import WHOLE, Found, LocalLook, Runs, Surface

# No text has it: the contract's strings have none.
_BETWEEN = "\x00"
LEAST_SCORE = 0.5


def answer_text(context: str, answer: str) -> str:
    """Return an answer as the rule looks at it: with what it is to rest on before it."""
    return f"{context}{_BETWEEN}{answer}"


class Grounding(LocalLook):
    """Looks for claims that do not follow, where the answer's score is below ``least``; without a context it finds nothing."""

    runs = Runs.BESIDE
    hold = WHOLE

    def __init__(self, least: float = LEAST_SCORE) -> None:
        self._least = least

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return the claims, by their places in the answer."""
        context, _, answer = text.rpartition(_BETWEEN)
        if not context.strip() or not answer.strip():
            return ()
        grounding = ground(answer, context)
        if grounding.score >= self._least:
            return ()
        return [
            Found(one.support.value, one.start, one.end)
            for one in grounding.claims
            if one.support is not Support.SUPPORTED
        ]
