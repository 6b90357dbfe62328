"""Finds personal data and secrets in a text: by rules, and persons and postal addresses by what was learned."""

from __future__ import annotations

from typing import Protocol

from penstock_gateway.domain.guardrails.pii.finding import Finding, without_overlaps
from penstock_gateway.domain.guardrails.pii.rules import found_by_rules
from penstock_gateway.domain.guardrails.pii.scanned import Scanned


class Names(Protocol):
    """Finds persons and addresses."""

    def findings(self, scanned: Scanned, known: list[Finding]) -> list[Finding]:
        """Return them, in places of ``scanned.text``, with what they say of a text where ``known`` was found."""
        ...


class Detector:
    """Finds everything in a text; without ``names`` what rules find alone. Keeps nothing of the text."""

    def __init__(self, names: Names | None = None) -> None:
        self._names = names

    def findings(self, text: str) -> list[Finding]:
        """Return what was found, in the order of the text; places are code points of ``text``."""
        scanned = Scanned(text)
        found = found_by_rules(scanned)
        if self._names is not None:
            found = without_overlaps([*found, *self._names.findings(scanned, found)])
        return [
            one._replace(start=start, end=end) for one in found for start, end in [scanned.span(one.start, one.end)]
        ]
