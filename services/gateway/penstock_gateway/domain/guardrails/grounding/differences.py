"""Where a claim says something else than what it was laid beside: denial, opposites, generality, conditions, rates, silence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from penstock_gateway.domain.guardrails.grounding.alignment import Alignment, head_match
from penstock_gateway.domain.guardrails.grounding.context import Context, Indexed, clauses_of
from penstock_gateway.domain.guardrails.grounding.quantities import is_same
from penstock_gateway.domain.guardrails.grounding.text import Word, tidy, words_of
from penstock_gateway.domain.guardrails.grounding.vocabulary import (
    CONDITIONS,
    DENIALS,
    DUTIES,
    PERMISSIONS,
    SILENCES,
    SILENT_SUBJECTS,
    UNIVERSALS,
    opposites_of,
    stem_of,
)

_CLAUSE = re.compile(r"[,;:|()]\s|\s(?:but|yet|and|whereas|while|unless|because)\s|\.\s|--")
_RATE = re.compile(
    r"\b(?:a|an|per|each|every|/)\s*(?P<per>second|minute|hour|day|night|week|month|quarter|year)s?\b"
    r"|(?:€|%|\$|£|\b(?:eur|usd|gbp|euros?|dollars?|pounds?|cents?|percent|\d+))\s*(?:a|an|per|each|every|/)\s*(?P<of>[a-z]+)"
    r"|\b(?P<ly>hourly|daily|nightly|weekly|monthly|quarterly|yearly|annual|annually)\b",
    re.IGNORECASE,
)
_LY = {"daily": "day", "nightly": "night", "annual": "year", "annually": "year"}


def clause_near(alignment: Alignment, unit: Indexed) -> str:
    """Return the clause of a statement that shares the most with the claim; the statement, where none stands out."""
    text = unit.statement.text
    pieces = [piece for piece in _CLAUSE.split(text) if piece.strip()]
    if not pieces[1:]:
        return text
    wanted = {word.stem: weight for word, weight in alignment.content}
    meanings = {meaning: weight for word, weight in alignment.content for meaning in word.meanings}
    best = max(pieces, key=lambda piece: _overlap(words_of(piece), wanted, meanings))
    label = (
        pieces[0]
        if best is not pieces[0] and len(pieces[0].split()) <= _LABEL_WORDS and text.startswith(pieces[0])
        else ""
    )
    return f"{label} : {best}" if label and text[len(label) : len(label) + 1] in ":|" else best


def _overlap(words: Iterable[Word], wanted: dict[str, float], meanings: dict[int, float]) -> float:
    found = 0.0
    for word in {word.stem: word for word in words}.values():
        if word.stem in wanted:
            found += wanted[word.stem]
        else:
            found += 0.8 * max((meanings[one] for one in word.meanings if one in meanings), default=0.0)
    return found


def sides(alignment: Alignment, context: Context) -> tuple[float, float]:
    """Return how much of the claim a statement says that denies as it does, and how much one that denies where it does not.

    Both are the most of the nearest statements, word by word and clause by clause.
    """
    own = {
        stem: clause.denials for clause in clauses_of(alignment.words, alignment.claim.text) for stem in clause.stems
    }
    whole = sum(weight for word, weight in alignment.content if word.text not in DENIALS) or 1.0
    agreed = denied = 0.0
    ranked = sorted(alignment.scores, key=lambda number: -alignment.scores[number])[:_COMPARED]
    for number in ranked:
        unit = context.units[number]
        same = other = 0.0
        for word, weight in alignment.content:
            if word.text in DENIALS:
                continue
            near = [clause.denials for clause in unit.clauses if word.stem in clause.stems] or [
                clause.denials for clause in unit.clauses if not word.meanings.isdisjoint(clause.meanings)
            ]
            if not near:
                same += 0.85 * weight * head_match(word, unit)
            else:
                is_same = own.get(word.stem, 0) in near
                same += weight * is_same
                other += weight * (not is_same)
        agreed, denied = max(agreed, same / whole), max(denied, other / whole)
    return agreed, denied


_COMPARED = 4
_LABEL_WORDS = 5


def opposes(alignment: Alignment, context: Context) -> float:
    """Return how much of the claim stands in the nearest clauses as its opposite."""
    unit = alignment.best(context)
    if unit is None:
        return 0.0
    whole = {word.stem for word in unit.words}
    near = {word.stem for word in words_of(clause_near(alignment, unit))}
    found = 0.0
    for word in alignment.words:
        if word.stem not in whole:
            others = opposites_of(word.stem)
            found += 1.0 if not others.isdisjoint(near) else 0.8 * (not others.isdisjoint(whole))
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
    """Return 1 where the claim says "a week" and the statement of the number "a day"; 0.5 where the nearest one says none."""
    own = rates_in(alignment.claim.text)
    unit = alignment.best(context)
    if unit is None or not own:
        return 0.0
    numbers = {number for one in alignment.quantities if one.dimension for number in context.stating(one)}
    stating = [
        context.units[number]
        for number in sorted(numbers)
        if context.units[number].statement.passage in alignment.allowed
    ]
    told = [rates_in(other.statement.text) for other in (stating or [unit])]
    if any(own & rates for rates in told) or own & rates_in(" ".join(unit.statement.heads[-2:])):
        return 0.0
    return 1.0 if any(told) else 0.5


def rates_in(text: str) -> frozenset[str]:
    """Return the spans of time and the things that something is counted by: per day, a month, yearly, a piece."""
    found: set[str] = set()
    for match in _RATE.finditer(tidy(text)):
        per = match["per"] or match["of"]
        if per:
            found.add(stem_of(per.lower()))
        else:
            word = match["ly"].lower()
            found.add(stem_of(_LY.get(word, word.removesuffix("ly"))))
    return frozenset(found)


def tells_former(alignment: Alignment, context: Context) -> float:
    """Return 1 where the nearest statement tells of what held before, and the claim does not."""
    unit = alignment.best(context)
    if unit is None:
        return 0.0
    near = {word.text for word in unit.words}
    own = {word.text for word in words_of(tidy(alignment.claim.sentence))}
    if not near & _BEFORE or own & _BEFORE or own & {"was", "were", "had", "did", "went", "rose", "fell"}:
        return 0.0
    return 1.0


_BEFORE = frozenset(
    [
        "older",
        "former",
        "formerly",
        "previous",
        "previously",
        "earlier",
        "past",
        "once",
        "prior",
        "replaces",
        "replaced",
        "gave",
        "had",
        "knew",
        "edition",
        "version",
        "predecessor",
    ]
)


def swaps_value(alignment: Alignment, context: Context) -> float:
    """Return 1 where the claim names the key of an entry, and nothing of its value but something else."""
    unit = alignment.best(context)
    parts = re.split(r"[|:=]", unit.statement.text.strip("| "), maxsplit=1) if unit is not None else []
    if unit is None or not parts[1:] or len(parts[0]) > _KEY_LENGTH:
        return 0.0
    key = {word.stem for word in words_of(parts[0]) if word.weight}
    value = [word for word in words_of(parts[1]) if word.weight >= 1]
    own = {word.stem for word, _ in alignment.content}
    meanings = {meaning for word, _ in alignment.content for meaning in word.meanings}
    if not value or not key & own or any(word.stem in own or not word.meanings.isdisjoint(meanings) for word in value):
        return 0.0
    if any(is_same(one, other) for one in alignment.quantities for other in unit.quantities):
        return 0.0
    strange = [
        word
        for (word, _), near, head in zip(alignment.content, alignment.in_best, alignment.in_heads, strict=True)
        if word.weight >= 1 and not near and not head
    ]
    return min(len(strange) / 2, 1.0)


_KEY_LENGTH = 60


def subject_stands(alignment: Alignment, context: Context) -> float:
    """Return how surely the first thing that the claim names is what the statement is about."""
    unit = alignment.best(context)
    for at, (word, _) in enumerate(alignment.content):
        if word.weight >= 1 and unit is not None:
            return max(alignment.in_best[at], 0.9 * alignment.in_heads[at], 0.4 * alignment.anywhere[at])
    return 0.5


def tells_silence(words: Sequence[Word]) -> int:
    """Return where the thing begins of which the claim says that nothing is said; 0 where it says no such thing."""
    for at, word in enumerate(words):
        if word.text not in SILENCES or at == 0:
            continue
        before = [one.text for one in words[max(0, at - 4) : at]]
        following = words[at + 1].text if at + 1 < len(words) else ""
        if following == "nothing":
            return at + 2
        is_denied = "not" in before[-2:] or "nowhere" in before or "nothing" in before
        if is_denied and (
            not SILENT_SUBJECTS.isdisjoint(one.text for one in words[:at])
            or following in ("whether", "if", "how", "why", "who", "which")
        ):
            return at + 1
    return 0
