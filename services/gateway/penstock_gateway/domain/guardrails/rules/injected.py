"""Prompt injection, by rules at once or by the classifier beside."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_gateway.domain.guardrails.injection.detector import Detector
from penstock_gateway.domain.guardrails.injection.finding import Surface as Seen
from penstock_gateway.domain.guardrails.pipeline.rule import WHOLE, Found, Hold, LocalLook, Runs, Surface

_SEEN = {
    Surface.TOOL_RESULT: Seen.TOOL_OUTPUT,
    Surface.DOCUMENT: Seen.DOCUMENT,
    Surface.OUTPUT: Seen.OUTPUT,
    Surface.TOOL_CALL: Seen.OUTPUT,
}
_BY_SENTENCE = Hold(by_sentence=True)


class Injection(LocalLook):
    """Looks for attacks; one finding for a text, of the kind that was found first."""

    def __init__(self, detector: Detector, threshold: float | None = None, *, by_classifier: bool = True) -> None:
        self._detector, self._threshold, self._by_classifier = detector, threshold, by_classifier
        self.runs = Runs.BESIDE if by_classifier else Runs.INLINE
        self.hold = WHOLE if by_classifier else _BY_SENTENCE

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return what is found."""
        seen = _SEEN.get(surface, Seen.USER)
        if self._by_classifier:
            verdict = self._detector.check(text, seen, self._threshold)
        else:
            verdict = self._detector.check_inline(text, seen)
        if not verdict.is_attack:
            return ()
        kinds = [one.kind.value for one in verdict.findings] or ["learned"]
        return (Found(kinds[0], 0, len(text)),)
