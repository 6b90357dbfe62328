"""Personal data and secrets."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from penstock_gateway.domain.guardrails.pii.detector import Detector
from penstock_gateway.domain.guardrails.pii.excerpts import excerpts
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind, without_overlaps
from penstock_gateway.domain.guardrails.pipeline.rule import Found, Hold, LocalLook, Runs, Surface
from penstock_gateway.domain.guardrails.pipeline.waiting import go_on

# Of a longer text parts, as no other thread has its turn while an expression looks at one; they share more than a private key has.
_LONGEST, _OVERLAP = 65_536, 13_000


class PersonalData(LocalLook):
    """Looks for the ``types``; ``allowed`` texts are no finding, whatever their case."""

    def __init__(
        self, detector: Detector, types: Collection[str], allowed: Collection[str] = (), *, beside: bool = False
    ) -> None:
        self._detector, self._types = detector, frozenset(map(Kind, types))
        self._allowed = frozenset(one.casefold() for one in allowed)
        self.runs = Runs.BESIDE if beside else Runs.INLINE
        self.hold = Hold(personal=True, by_sentence=beside, keys=Kind.API_KEY in self._types)

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return what is found."""
        return [
            Found(one.kind.value, one.start, one.end, f"[{one.kind.value.upper()}]")
            for one in self._findings(text)
            if one.kind in self._types and not self._is_allowed(text[one.start : one.end])
        ]

    def _findings(self, text: str) -> list[Finding]:
        if len(text) <= _LONGEST:
            return self._detector.findings(text)
        found: list[Finding] = []
        for start, end in excerpts(text, _LONGEST, _OVERLAP):
            go_on()
            part = self._detector.findings(text[start:end])
            found += [one._replace(start=one.start + start, end=one.end + start) for one in part]
        return without_overlaps(found)

    def _is_allowed(self, said: str) -> bool:
        return bool(self._allowed) and said.strip().casefold() in self._allowed
