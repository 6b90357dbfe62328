"""The detector: what a text is taken for on its surface, by rules and by the classifier, and why.

``check`` reads all of it: folded, in pieces, and with what lies beneath. ``check_inline`` looks at rules alone and only around
words that some rule needs, for places that have no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock_gateway.domain.guardrails.injection.classifier import Classifier, shipped
from penstock_gateway.domain.guardrails.injection.cues import cues_of
from penstock_gateway.domain.guardrails.injection.finding import Finding, Kind, Surface, Verdict
from penstock_gateway.domain.guardrails.injection.folding import Folded, folded
from penstock_gateway.domain.guardrails.injection.inline import regions
from penstock_gateway.domain.guardrails.injection.reading import Part, Reading, read
from penstock_gateway.domain.guardrails.injection.rules import AGREEING, Match, agreeing, matches

# Rules that decide alone, whatever was learned: nothing harmless has these.
CERTAIN = frozenset({"telling-address"})
# Rules that decide where there is no classifier, unless their words are quoted.
DECISIVE = CERTAIN | {
    "drop-prior-rules", "tell-prompt-verbatim", "persona-unbound", "persona-drops-rules", "unbound-harm", "called-deed",
    "machine-reads", "drop-people", "address-to-fill", "broken-out", "turns", "told-prompt",
}  # fmt: skip
_FEWEST_HIDDEN_WORDS = 3
_EVEN = 0.5
_MOST_FINDINGS = 12


class Detector:
    """Looks for prompt injection. Stateless but for words that it has seen; may be shared by threads."""

    def __init__(self, classifier: Classifier | None = None) -> None:
        """Take the classifier of this package unless another is given."""
        self._classifier = classifier or shipped()

    @property
    def version(self) -> str:
        """Return which classifier it has."""
        return self._classifier.version

    @property
    def threshold(self) -> float:
        """Return the score from which a text is an attack."""
        return self._classifier.threshold

    def check(self, text: str, surface: Surface, threshold: float | None = None) -> Verdict:
        """Return what the text is taken for; ``threshold`` in the place of that of the weights."""
        limit = self._classifier.threshold if threshold is None else threshold
        reading = read(text)
        score = 0.0
        findings = [*_hidden(reading.plain)]
        certain = bool(findings)
        for part in reading.parts:
            features = part.seen(surface)
            found = [*_found(part, reading, features.matches)]
            of_part = self._lifted(self._classifier.score(features), features.matches)
            certain |= any(finding.rule in CERTAIN for finding in found)
            score = max(score, of_part)
            if of_part >= limit and not found:
                found = [_learned(part, of_part)]
            findings += found
        score = 1.0 if certain else score
        is_attack = score >= limit
        return Verdict(is_attack, score, _distinct(findings), self.version)

    def _lifted(self, score: float, held: Sequence[Match]) -> float:
        """Return the score; where rules agree, an even chance is enough to reach the threshold of the weights."""
        limit = self._classifier.threshold
        if agreeing(held) < AGREEING or score < _EVEN or score >= limit:
            return score
        return limit + (1 - limit) * (score - _EVEN)

    def check_inline(self, text: str, surface: Surface) -> Verdict:
        """Return what rules alone take the text for: score 1 or 0. Disguises other than single characters' stay."""
        plain = folded(text)
        findings = [*_hidden(plain)]
        decisive = bool(findings)
        for start, end in regions(plain.text, surface):
            piece = plain.text[start:end]
            for match in matches(piece, cues_of(piece, surface), surface):
                where = plain.origin(start + match.start, start + match.end)
                findings.append(Finding(match.kind, match.name, *where, match.reason))
                decisive |= match.name in DECISIVE and not match.quoted
        return Verdict(decisive, float(decisive), _distinct(findings), "rules")


def _found(part: Part, reading: Reading, held: Sequence[Match]) -> Iterator[Finding]:
    for match in held:
        if match.quoted:
            continue
        start, end = part.start, part.end
        if not part.undone:
            start, end = reading.plain.origin(part.offset + match.start, part.offset + match.end)
        yield Finding(match.kind, match.name, start, end, match.reason, part.undone)
    if part.undone == "joined pieces":
        yield Finding(Kind.SPLIT, "joined", part.start, part.end, "pieces that are to be put together", part.undone)


def _hidden(plain: Folded) -> Iterator[Finding]:
    for start, end, said in plain.hidden:
        if len(said.split()) >= _FEWEST_HIDDEN_WORDS:
            yield Finding(
                Kind.HIDDEN_TEXT, "unicode-tags", start, end, "a sentence in characters that nobody sees", "tags"
            )


def _learned(part: Part, score: float) -> Finding:
    reason = f"the classifier takes it for an attack ({score:.2f})"
    return Finding(Kind.LEARNED, "classifier", part.start, part.end, reason, part.undone)


def _distinct(findings: list[Finding]) -> tuple[Finding, ...]:
    kept: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        kept.setdefault((finding.rule, finding.decoded), finding)
    return tuple(kept.values())[:_MOST_FINDINGS]


def because(text: str, surface: Surface, classifier: Classifier, most: int = 6) -> list[tuple[str, float]]:
    """Return what spoke most for an attack in the piece with the highest score, and by how much (log odds)."""
    best = max((part.seen(surface) for part in read(text).parts), key=classifier.score)
    return sorted(classifier.weighed(best), key=lambda each: -each[1])[:most]
