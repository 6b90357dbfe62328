"""What an answer claims, cut so that each claim can be true or false by itself: sentences, and clauses that are joined."""

from __future__ import annotations

import re
from typing import NamedTuple

from penstock_gateway.domain.guardrails.grounding.text import tidy, words_of

MAX_CLAIMS = 64
"""Claims that are judged of one answer; what follows them counts to the last."""

_SENTENCE = re.compile(
    r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9])|\n+\s*(?:[-*+] |\d{1,2}[.)] )?|(?<=[\u3002\uff01\uff1f])"
)
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|approx|no|nr|dr|mr|mrs|ms|prof|st|inc|ltd))\.$", re.IGNORECASE)
_INITIAL = re.compile(r"(?:^|[:,(]|\b(?:is|was|by|and|with|to|from|of|for|mr|ms|dr)) ?[A-Z]\.$")
_NUMBER = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|half|twice)\b",
    re.IGNORECASE,
)
_BETWEEN_NUMBERS = re.compile(r",?\s+and\s+|\s+for\s+(?=\d)|,\s+")
_JOINT = re.compile(
    r"(?P<cause>,?\s+(?:because|since(?= [a-z])|(?<!long )(?<!soon )(?<!well )(?<!far )as(?= (?:the|it|its|they|their|there|[a-z]+s (?:are|is)))|owing to|due to|so that)\s+)"
    r"|(?P<plain>\s*;\s+|,?\s+(?:but|whereas|yet|while)\s+|,\s+(?:and|or|so|which|who)\s+(?:also\s+)?"
    r"|\s+and\s+(?=(?:also|it|its|they|their|there|the|is|are|was|were|has|have|may|must|can|can't|cannot|mustn't|isn't|aren't|needs?|"
    r"costs?|takes?|gets?|lasts?|comes?|makes?|pays?|covers?|keeps?|needn't|doesn't|don't|won't|will|should|had|did|does|allows?|"
    r"requires?|forbids?|expires?|runs?|starts?|ends?|closes?|opens?)\b)|,\s+(?=(?:the|it|its|they|their|there|no|not|on|only|even)\s))"
)
_CONDITION = re.compile(
    r"^\s*(?:if|unless|when|once|until|after|before|without|with|in|on|at|for|from|under|within|since|as)\b",
    re.IGNORECASE,
)
_LEAST_WEIGHT = 1.0
# Longer ones are no prose, and are judged whole.
_LONGEST_SENTENCE = 800


class Claim(NamedTuple):
    """A claim: where it stands in the answer, its text, that of its sentence, and whether it gives a cause."""

    start: int
    end: int
    text: str
    sentence: str
    is_cause: bool


class _Span(NamedTuple):
    begin: int
    end: int
    is_cause: bool


def claims_of(answer: str) -> list[Claim]:
    """Return the claims in order."""
    text = tidy(answer)
    found: list[Claim] = []
    for start, end in _sentences(text):
        found += _clauses(text, start, end)
    if len(found) > MAX_CLAIMS:
        last = found[MAX_CLAIMS - 1]
        rest = text[last.start : found[-1].end]
        found = [*found[: MAX_CLAIMS - 1], Claim(last.start, found[-1].end, rest, rest, is_cause=False)]
    return found


def _sentences(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    begin = 0
    for match in _SENTENCE.finditer(text):
        if _INITIAL.search(text[max(begin, match.start() - 8) : match.start()]):
            continue
        if not _ABBREVIATION.search(text[max(begin, match.start() - 8) : match.start()]):
            spans.append((begin, match.start()))
            begin = match.end()
    spans.append((begin, len(text)))
    return [(start, end) for start, end in spans if text[start:end].strip()]


def _clauses(text: str, start: int, end: int) -> list[Claim]:
    sentence = text[start:end]
    if len(sentence) > _LONGEST_SENTENCE:
        return [Claim(start, end, sentence, sentence, is_cause=False)]
    cuts = [(0, 0, False)]
    for match in _JOINT.finditer(sentence):
        is_open = (
            _CONDITION.match(sentence[cuts[-1][1] : match.start()])
            and match.group().startswith(",")
            and not match["cause"]
        )
        if is_open and not re.search(r"\band\b|\bbut\b", match.group()):
            continue
        cuts.append((match.start(), match.end(), match["cause"] is not None))
    cuts = sorted({*cuts, *((cut.start(), cut.end(), False) for cut in _between_numbers(sentence, cuts))})
    spans = [
        _Span(begin, following, is_cause)
        for (_, begin, is_cause), (following, _, _) in zip(cuts, [*cuts[1:], (len(sentence), 0, False)], strict=True)
    ]
    return [
        Claim(start + span.begin, start + span.end, sentence[span.begin : span.end], sentence, span.is_cause)
        for span in _joined(sentence, spans)
        if sentence[span.begin : span.end].strip()
    ]


def _between_numbers(sentence: str, cuts: list[tuple[int, int, bool]]) -> list[re.Match[str]]:
    """Return where else to cut: between two things of which each has a number and says enough."""
    found: list[re.Match[str]] = []
    ends = [*(start for start, _, _ in cuts[1:]), len(sentence)]
    for (_, begin, _), end in zip(cuts, ends, strict=True):
        left_begin = begin
        for match in _BETWEEN_NUMBERS.finditer(sentence, begin, end):
            left, right = sentence[left_begin : match.start()], sentence[match.end() : end]
            if _NUMBER.search(left) and _NUMBER.search(right) and _says_enough(left) and _says_enough(right):
                found.append(match)
                left_begin = match.end()
    return found


def _joined(sentence: str, spans: list[_Span]) -> list[_Span]:
    """Put pieces that say too little by themselves to what stands before them, or else after."""
    kept: list[_Span] = []
    for span in spans:
        last = kept[-1] if kept else None
        if (last and not span.is_cause and not _says_enough(sentence[span.begin : span.end])) or (
            last and not last.is_cause and not _says_enough(sentence[last.begin : last.end])
        ):
            kept[-1] = last._replace(end=span.end)
        else:
            kept.append(span)
    return kept


def _says_enough(text: str) -> bool:
    words = words_of(text)
    weight = sum(word.weight for word in words) + sum(0.5 for word in words if word.text[0].isdigit())
    return weight >= _LEAST_WEIGHT and len(words) > (1 if _NUMBER.search(text) else 2)
