"""How a rule refuses."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_common.errors import GuardrailRefused, PenstockError, ServiceUnavailable
from penstock_gateway.domain.guardrails.pipeline.rule import Rule

TOO_LONG = "The answer is longer than is looked at."
TOO_SLOW = "The answer comes too slowly to be looked at."
UNDER_REVIEW = "This is under review: {item}."


@dataclass(eq=False)
class GuardrailUnavailable(ServiceUnavailable):
    """A rule that must look could not."""


@dataclass(eq=False)
class AnswerRefused(PenstockError):
    """A rule has ended an answer; no caller is told this. ``message`` is what stands in its place, perhaps nothing."""

    rule: str = ""


def refusal(rule: Rule, item: str = "") -> GuardrailRefused:
    """Return the error of a request that a rule has refused; ``item`` is what a person looks at."""
    message = rule.text or f"The guardrail '{rule.name}' has refused this request."
    if item:
        message = f"{message} {UNDER_REVIEW.format(item=item)}"
    return GuardrailRefused(message, rule=rule.name)


def end_of_answer(rule: Rule, item: str = "") -> AnswerRefused:
    """Return what ends an answer that a rule has refused or replaced."""
    told = UNDER_REVIEW.format(item=item) if item else ""
    return AnswerRefused(" ".join(part for part in (rule.text, told) if part), rule=rule.name)


def too_long(rule: Rule, most: int) -> GuardrailRefused:
    """Return the error of a text that a rule has to look at and that is longer than ``most`` characters."""
    return GuardrailRefused(
        f"The guardrail '{rule.name}' looks at texts of at most {most:,} characters: send a shorter one.",
        rule=rule.name,
    )


def unavailable(rule: Rule) -> GuardrailUnavailable:
    """Return the error of a request that a rule has to look at and could not."""
    return GuardrailUnavailable(
        f"The guardrail '{rule.name}' could not look at this request. Try again.", service="guardrails"
    )
