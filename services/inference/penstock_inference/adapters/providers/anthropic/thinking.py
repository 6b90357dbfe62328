"""How much a model is to think: from an effort to ``thinking`` and ``output_config.effort``, as the model takes it."""

from __future__ import annotations

from penstock_inference.adapters.providers.anthropic.blocks import Block, Writing
from penstock_inference.adapters.providers.carried import Use

_ALL = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
NONE = "none"
# The format has no less, and each of its models with efforts has the first three.
_OWN = _ALL[_ALL.index("low") :]
_ADAPTIVE, _ENABLED, _DISABLED = "adaptive", "enabled", "disabled"
_LEAST_BUDGET_TOKENS = 1024
"""The format's own bound: https://platform.claude.com/docs/en/build-with-claude/extended-thinking"""
# Of models that are told tokens. The more is asked, the more of the answer's length may go to thinking.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16384, "xhigh": 32768, "max": 65536}


def thinks_by_budget(writing: Writing) -> bool:
    """Return whether the model is told how many tokens it may think, and knows no efforts."""
    thinking = writing.facts.thinking
    return thinking is not None and _ADAPTIVE not in thinking and _ENABLED in thinking


def never_thinks(writing: Writing) -> bool:
    """Return whether the model takes no kind of thinking."""
    thinking = writing.facts.thinking
    return thinking is not None and not thinking & {_ADAPTIVE, _ENABLED}


def always_thinks(writing: Writing) -> bool:
    """Return whether the model thinks unless it is told otherwise, and takes no telling."""
    thinking = writing.facts.thinking
    return thinking is not None and _ADAPTIVE in thinking and _DISABLED not in thinking


def shown(display: str) -> Block:
    """Return ``thinking`` of a model that thinks anyway, and by itself shows nothing of it."""
    return {"type": _ADAPTIVE, "display": display}


def effort_of(asked: str, writing: Writing) -> str:
    """Return the effort of those that the model has which is nearest to the one asked for; '' where none is asked for."""
    facts = writing.facts
    if asked == NONE and (facts.thinking is None or _DISABLED in facts.thinking):
        return NONE
    if asked not in _ALL or (thinks_by_budget(writing) and asked != NONE):
        # A word of tomorrow is for the vendor to know.
        return asked
    known = [effort for effort in _ALL if effort in (facts.efforts or _OWN) and effort != NONE]
    if asked in known or not known:
        return asked
    writing.policy.drop(Use.REASONING_EFFORT.value)
    less = [effort for effort in known if _ALL.index(effort) < _ALL.index(asked)]
    return less[-1] if less else known[0]


def thinking_of(effort: str, max_tokens: int, writing: Writing, display: str | None) -> Block | None:
    """Return ``thinking`` for an effort and the length of the answer; None where nothing is said."""
    if not effort:
        return None
    if effort == NONE:
        return {"type": _DISABLED}
    thinking: Block = {"type": _ADAPTIVE}
    if thinks_by_budget(writing):
        budget = min(_BUDGETS.get(effort, _LEAST_BUDGET_TOKENS), max_tokens - _LEAST_BUDGET_TOKENS)
        if budget < _LEAST_BUDGET_TOKENS:
            # The answer may not be long enough to think before it.
            writing.policy.drop(Use.REASONING_EFFORT.value)
            return None
        thinking = {"type": _ENABLED, "budget_tokens": budget}
    return {**thinking, "display": display} if display else thinking


def is_on(thinking: Block | None) -> bool:
    """Return whether the model is told to think."""
    return thinking is not None and thinking["type"] != _DISABLED


def is_by_budget(thinking: Block | None) -> bool:
    """Return whether an open loop of tools has to begin with thinking."""
    return thinking is not None and thinking["type"] == _ENABLED
