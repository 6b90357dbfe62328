"""How hard a model is to think, in the words of its generation."""

from __future__ import annotations

from typing import Any

from penstock_inference.domain.model_facts import ModelFacts
from penstock_inference.domain.unsupported import FieldPolicy

_NONE = "none"
_EFFORTS = (_NONE, "minimal", "low", "medium", "high", "xhigh", "max")
# Of Google's own OpenAI form: https://ai.google.dev/gemini-api/docs/openai#thinking
_BUDGETS = {_NONE: 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
# What every model with levels may have; beyond, only what its facts name.
_LEVELS = frozenset({"minimal", "low", "medium", "high"})
_BY_BUDGET = "enabled"


def thinking_config(effort: str, facts: ModelFacts, policy: FieldPolicy, *, by_budget: bool = False) -> dict[str, Any]:
    """Return the ``thinkingConfig``; nothing where nothing is asked for and nothing known.

    A model of which budgets of thinking are known (``enabled`` among the types), or learnt (``by_budget``), is told
    one, any other a level. Thoughts are asked for wherever there are any to show.
    """
    if not effort:
        return {"includeThoughts": True} if _reasons(facts) else {}
    if by_budget or (facts.thinking is not None and _BY_BUDGET in facts.thinking):
        budget = _BUDGETS.get(effort, -1)
        return {"includeThoughts": True, "thinkingBudget": budget} if budget else {"thinkingBudget": 0}
    level = _nearest(effort, facts)
    if level != effort:
        policy.drop(f"reasoning_effort: {effort}")
    if level == _NONE:
        return {"thinkingBudget": 0}
    return {"includeThoughts": True, "thinkingLevel": level.upper()}


def _reasons(facts: ModelFacts) -> bool:
    """Return whether the model thinks where nobody says how hard."""
    if facts.default_effort:
        return facts.default_effort != _NONE
    return any(effort != _NONE for effort in facts.efforts)


def _nearest(effort: str, facts: ModelFacts) -> str:
    """Return the level that the model has which is nearest to one, the lesser of two."""
    known = [one for one in _EFFORTS if (one in facts.efforts if facts.efforts else one in _LEVELS)]
    if effort not in _EFFORTS or not known or effort in known:
        return effort
    place = _EFFORTS.index(effort)
    return min(known, key=lambda one: abs(_EFFORTS.index(one) - place))
