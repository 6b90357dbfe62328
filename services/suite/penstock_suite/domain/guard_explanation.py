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
