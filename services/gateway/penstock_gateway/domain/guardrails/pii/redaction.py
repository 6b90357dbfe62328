"""Puts what was found into words that say its kind alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from penstock_gateway.domain.guardrails.pii.finding import Finding

Replacement = Callable[[Finding, str], str]


def redacted(text: str, findings: Sequence[Finding]) -> str:
    """Return the text with each finding as its kind in brackets, such as ``[EMAIL]``."""
    return replaced(text, findings, in_brackets)


def in_brackets(finding: Finding, _original: str) -> str:
    """Return the kind in brackets."""
    return f"[{finding.kind.value.upper()}]"


def replaced(text: str, findings: Sequence[Finding], replacement: Replacement) -> str:
    """Return the text with each finding as what ``replacement`` makes of it; findings are in order and do not overlap."""
    parts: list[str] = []
    last = 0
    for one in findings:
        parts += (text[last : one.start], replacement(one, text[one.start : one.end]))
        last = one.end
    return "".join([*parts, text[last:]])
