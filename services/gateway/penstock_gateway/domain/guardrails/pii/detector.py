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
    """Finds everything in a text; without ``names`` what rules find alone. Keeps nothing of the text.

    What it found last it says again at once: several rules look at the same text with one detector.
    """

    def __init__(self, names: Names | None = None) -> None:
        self._names = names
        self._last: tuple[int, int, list[Finding]] = (0, -1, [])

    def findings(self, text: str) -> list[Finding]:
        """Return what was found, in the order of the text; places are code points of ``text``."""
        # Python's hash of a text is keyed anew in each process (PEP 456).
        hashed, length, found = self._last
        if length != len(text) or hashed != hash(text):
            found = self._findings(text)
            self._last = (hash(text), len(text), found)
        return found

    def _findings(self, text: str) -> list[Finding]:
        scanned = Scanned(text)
        found = found_by_rules(scanned)
        if self._names is not None:
            found = without_overlaps([*found, *self._names.findings(scanned, found)])
        return [
            one._replace(start=start, end=end) for one in found for start, end in [scanned.span(one.start, one.end)]
        ]
