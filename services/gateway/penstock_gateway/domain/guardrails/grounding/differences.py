"""Where a claim says something else than what it was laid beside: denial, opposites, generality, conditions, rates, silence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from penstock_gateway.domain.guardrails.grounding.alignment import Alignment
from penstock_gateway.domain.guardrails.grounding.context import Context, Indexed
from penstock_gateway.domain.guardrails.grounding.text import Word, tidy, words_of
from penstock_gateway.domain.guardrails.grounding.vocabulary import (
    CONDITIONS,
    DENIALS,
    DUTIES,
    NEGATIONS,
    PERMISSIONS,
    SILENCES,
    SILENT_SUBJECTS,
    UNIVERSALS,
    opposites_of,
)

_CLAUSE = re.compile(r"[,;:|()]\s|\s(?:but|yet|and|whereas|while|unless|because)\s|\.\s|--")
_RATE = re.compile(
    r"\b(?:a|an|per|each|every|/)\s*(?P<per>second|minute|hour|day|night|week|month|quarter|year|piece|metre|meter|litre|kilo|person|page)s?\b"
    r"|\b(?P<ly>hourly|daily|nightly|weekly|monthly|quarterly|yearly|annual|annually)\b",
    re.IGNORECASE,
)
_LY = {"daily": "day", "nightly": "night", "annual": "year", "annually": "year"}
_NO = re.compile(r"(?:\||:)\s*(?:no|none|never|not|without|off|false|forbidden)\b", re.IGNORECASE)


def clause_near(alignment: Alignment, unit: Indexed) -> str:
    """Return the clause of a statement that shares the most with the claim; the statement, where none stands out."""
    text = unit.statement.text
    pieces = [piece for piece in _CLAUSE.split(text) if piece.strip()]
    if len(pieces) < 2:
        return text
    wanted = {word.stem: weight for word, weight in alignment.content}
    meanings = {meaning: weight for word, weight in alignment.content for meaning in word.meanings}
    best = max(pieces, key=lambda piece: _overlap(words_of(piece), wanted, meanings))
    label = pieces[0] if best is not pieces[0] and len(pieces[0].split()) <= 5 and text.startswith(pieces[0]) else ""
    return f"{label} : {best}" if label and text[len(label) : len(label) + 1] in ":|" else best


def _overlap(words: Iterable[Word], wanted: dict[str, float], meanings: dict[int, float]) -> float:
    found = 0.0
    for word in {word.stem: word for word in words}.values():
        if word.stem in wanted:
            found += wanted[word.stem]
        else:
            found += 0.8 * max((meanings[one] for one in word.meanings if one in meanings), default=0.0)
    return found


def denials_in(words: Sequence[Word]) -> int:
    """Return how often the words say no; "not only" and "no longer than" do not."""
    count = 0
    for at, word in enumerate(words):
        following = words[at + 1].text if at + 1 < len(words) else ""
        if word.text in NEGATIONS and following not in ("only", "later", "more", "earlier", "higher", "lower", "longer", "fewer", "less", "sooner"):
            count += 1
        elif word.text in ("no", "not") and following in ("longer", "more") and (at + 2 >= len(words) or words[at + 2].text != "than"):
            count += 1
        elif word.text in DENIALS:
            count += 1
    return count


def denies_otherwise(alignment: Alignment, context: Context) -> float:
    """Return 1 where one of claim and statement denies and the other does not; 0.5 where the statement does both."""
    unit = alignment.best(context)
    if unit is None:
        return 0.0
    own = denials_in(alignment.words) % 2
    near = denials_in(words_of(clause_near(alignment, unit))) % 2
    if own == near:
        return 0.0
    whole = denials_in(unit.words) % 2
    return 1.0 if whole != own else 0.5


def opposes(alignment: Alignment, context: Context) -> float:
    """Return how much of the claim stands in the statement as its opposite."""
    unit = alignment.best(context)
    if unit is None:
        return 0.0
    texts = {word.stem for word in unit.words}
    found = 0.0
    for word in alignment.words:
        if word.stem not in texts and not opposites_of(word.stem).isdisjoint(texts):
            found += 1.0
    return min(found, 2.0)


def generalises(alignment: Alignment, context: Context) -> float:
    """Return how many words of generality the claim has that the nearest statements have not."""
    near = {word.text for number, _ in alignment.tops[:2] for word in context.units[number].words}
    own = {word.text for word in alignment.words if word.text in UNIVERSALS}
    loose = own - near
    return float(len(loose))


def drops_condition(alignment: Alignment, context: Context) -> float:
    """Return the share of the statement's conditions of which the claim says nothing."""
    unit = alignment.best(context)
    if unit is None:
        return 0.0
    own = {word.stem for word, _ in alignment.content}
    own_meanings = {meaning for word, _ in alignment.content for meaning in word.meanings}
    has_own = any(word.text in CONDITIONS for word in alignment.words)
    dropped = 0
    for at, word in enumerate(unit.words):
        if word.text not in CONDITIONS:
            continue
        told = [other for other in unit.words[at + 1 : at + 6] if other.weight >= 1]
        if told and not any(other.stem in own or not other.meanings.isdisjoint(own_meanings) for other in told):
            dropped += 1
    return float(dropped) * (0.5 if has_own else 1.0)


def obliges_otherwise(alignment: Alignment, context: Context) -> float:
    """Return 1 where the claim says must and the statement may, or the other way round."""
    unit = alignment.best(context)
    if unit is None:
        return 0.0
    near = {word.text for word in unit.words}
    own = {word.text for word in alignment.words}
    own_duty, near_duty = bool(own & _DUTY), bool(near & _DUTY)
    own_leave, near_leave = bool(own & PERMISSIONS), bool(near & PERMISSIONS)
    return float((own_duty and near_leave and not near_duty) or (own_leave and near_duty and not near_leave))


_DUTY = DUTIES - {"has", "have", "need", "needs"}


def rate_differs(alignment: Alignment, context: Context) -> float:
    """Return 1 where the claim says "a week" and the statement "a day"; 0.5 where the statement says none."""
    unit = alignment.best(context)
    own = rates_in(alignment.claim.text)
    if unit is None or not own:
        return 0.0
    near = rates_in(" ".join((unit.statement.text, *unit.statement.heads[-2:])))
    if own & near:
        return 0.0
    return 1.0 if near else 0.5


def rates_in(text: str) -> frozenset[str]:
    """Return the spans of time and the things that something is counted by: per day, a month, yearly."""
    found: set[str] = set()
    for match in _RATE.finditer(tidy(text)):
        if match["per"]:
            found.add(match["per"].lower())
        else:
            word = match["ly"].lower()
            found.add(_LY.get(word, word.removesuffix("ly")))
    return frozenset(found)


def tells_silence(words: Sequence[Word]) -> int:
    """Return where the thing begins of which the claim says that the documents say nothing; 0 where it says no such thing."""
    for at, word in enumerate(words):
        if word.text not in SILENCES:
            continue
        before = [one.text for one in words[max(0, at - 6) : at]]
        if ("not" in before or "nothing" in before or "no" in before or "nowhere" in before) and any(
            text in SILENT_SUBJECTS or text in ("documents", "information") for text in before
        ):
            return at + 1
    return 0
