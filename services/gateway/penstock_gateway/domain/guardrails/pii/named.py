"""Persons and addresses of a text together, and the dates of birth that stand beside them in records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from penstock_gateway.domain.guardrails.pii.east import eastern_persons
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind, without_overlaps
from penstock_gateway.domain.guardrails.pii.likeness import Weights
from penstock_gateway.domain.guardrails.pii.papers import DATE
from penstock_gateway.domain.guardrails.pii.persons import persons
from penstock_gateway.domain.guardrails.pii.postal import postal_addresses
from penstock_gateway.domain.guardrails.pii.scanned import Scanned

_RECORD_GAP = re.compile(r"\s*[,;|\t]\s*|\s{2,}")
_RECORD_KINDS = frozenset((Kind.ADDRESS, Kind.PHONE, Kind.EMAIL, Kind.IBAN, Kind.SSN_US, Kind.PASSPORT))


class LearnedNames:
    """Finds persons by learned weights, and addresses by rules of their own."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def findings(self, scanned: Scanned, known: list[Finding]) -> list[Finding]:
        """Return what is found beside what is known."""
        text = scanned.text
        addresses = list(postal_addresses(text, known))
        known = without_overlaps([*known, *addresses])
        found = without_overlaps([*persons(text, known, self._weights), *eastern_persons(text)])
        return [*addresses, *found, *_births(text, found, known)]


def _births(text: str, named: Sequence[Finding], known: Sequence[Finding]) -> Iterator[Finding]:
    """Yield dates in a record: right behind a person, and right before what only a person has."""
    starts = {one.start for one in known if one.kind in _RECORD_KINDS}
    for person in named:
        gap = _RECORD_GAP.match(text, person.end)
        date = DATE.match(text, gap.end()) if gap else None
        behind = _RECORD_GAP.match(text, date.end()) or re.compile(" ").match(text, date.end()) if date else None
        if date and behind and behind.end() in starts:
            yield Finding(Kind.DATE_OF_BIRTH, date.start(), date.end(), 0.7)
