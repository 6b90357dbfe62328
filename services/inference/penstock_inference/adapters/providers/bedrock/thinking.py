"""How much a model is to think, in the words that its facts say it takes.

https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html and
``OutputConfig`` of the Converse API.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from penstock_common.llm.types import SamplingParams
from penstock_inference.domain.model_facts import ModelFacts
from penstock_inference.domain.unsupported import FieldPolicy

NONE = "none"
_EFFORTS = (NONE, "minimal", "low", "medium", "high", "xhigh", "max")
# What each model has that thinks in Anthropic's way.
_OF_ALL = ("low", "medium", "high", "xhigh", "max")
_LEAST_BUDGET_TOKENS = 1024
_BUDGET_TOKENS = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16384, "xhigh": 32768, "max": 32768}
_PATH = "input.sampling.reasoning_effort"
# What Converse has no word for is said by its neighbour.
_CONVERSE_WORDS = {"minimal": "low"}


class Thinking(msgspec.Struct, frozen=True):
    """What is sent: ``effort`` of ``outputConfig``, '' for none, and Anthropic's ``thinking``."""

    effort: str = ""
    thinking: Mapping[str, str | int] | None = None


DEFAULT = Thinking()


def thinking_of(sampling: SamplingParams, facts: ModelFacts, policy: FieldPolicy) -> Thinking:
    """Return how the effort that is asked for is said.

    Raises:
        AttemptFailed: UNSUPPORTED, where it cannot be, and may not be left out.
    """
    asked = sampling.reasoning_effort
    if not asked:
        return DEFAULT
    types = facts.thinking or frozenset()
    if asked == NONE and "disabled" in types:
        return Thinking(thinking={"type": "disabled"})
    if asked == NONE and facts.thinking is None and not facts.efforts:
        return _unless_refused(policy, "cannot be 'none' for a model of which nothing is known")
    effort = _taken(asked, facts.efforts or (_OF_ALL if types else ()))
    if effort != asked:
        policy.drop(f"reasoning_effort: {asked}")
    if effort == NONE:
        return DEFAULT
    word = _CONVERSE_WORDS.get(effort, effort)
    if "adaptive" in types:
        return Thinking(word, {"type": "adaptive"})
    if "enabled" in types:
        return _by_budget(effort, sampling.max_output_tokens, policy)
    if facts.thinking is None or facts.efforts:
        return Thinking(word)
    return _unless_refused(policy, "is not supported by the model")


def _taken(asked: str, known: tuple[str, ...]) -> str:
    """Return the effort that the model takes which is nearest below, else its least."""
    if not known or asked in known or asked not in _EFFORTS:
        return asked
    below = [effort for effort in known if effort in _EFFORTS and _EFFORTS.index(effort) < _EFFORTS.index(asked)]
    return max(below, key=_EFFORTS.index) if below else known[0]


def _by_budget(effort: str, most_tokens: int | None, policy: FieldPolicy) -> Thinking:
    budget = _BUDGET_TOKENS.get(effort, _LEAST_BUDGET_TOKENS)
    if most_tokens is not None:
        # The budget is a part of what may be written.
        budget = min(budget, most_tokens - 1)
    if budget < _LEAST_BUDGET_TOKENS:
        return _unless_refused(
            policy, f"takes more tokens than max_output_tokens allows; it needs {_LEAST_BUDGET_TOKENS}"
        )
    return Thinking(thinking={"type": "enabled", "budget_tokens": budget})


def _unless_refused(policy: FieldPolicy, why: str) -> Thinking:
    if policy.sends("reasoning_effort", _PATH, why):
        policy.drop("reasoning_effort")
    return DEFAULT
