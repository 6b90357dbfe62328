"""What a guardrail finds in one text, and why."""

from __future__ import annotations

import msgspec


class Explained(msgspec.Struct, frozen=True):
    """One finding: ``start`` and ``end`` are code points of the text; ``decoded`` names what was undone to see it."""

    kind: str
    rule: str
    start: int
    end: int
    text: str
    reason: str
    decoded: str


class GuardExplanation(msgspec.Struct, frozen=True):
    """``spoke_for_an_attack``: what weighed most in the piece with the highest score, in log odds."""

    is_attack: bool
    score: float
    threshold: float
    findings: tuple[Explained, ...]
    spoke_for_an_attack: dict[str, float]
    version: str


class SpanFound(msgspec.Struct, frozen=True):
    """Code points ``start`` to ``end`` of the text, as rules before have left it, are of this kind."""

    kind: str
    start: int
    end: int


class RuleChecked(msgspec.Struct, frozen=True):
    """What one rule says of a text; ``outcome`` is clean, hit or failed."""

    rule: str
    kind: str
    version: str
    side: str
    action: str
    shadow: bool
    outcome: str
    found: tuple[SpanFound, ...]
    microseconds: float


class GuardCheck(msgspec.Struct, frozen=True):
    """What all rules say of a text, what is left of it, and which rule ends the request or the answer, if one does."""

    rules: tuple[RuleChecked, ...]
    text: str
    ended_by: str
