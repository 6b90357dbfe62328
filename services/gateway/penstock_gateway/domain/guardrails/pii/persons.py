"""Persons, by what was learned of names and of the words around them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from penstock_gateway.domain.guardrails.pii.features import Around, around, features_of, may_be_a_name
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.likeness import Weights
from penstock_gateway.domain.guardrails.pii.tokens import Token, class_of, tokens_of
from penstock_gateway.domain.guardrails.pii.wording import NOT_BEHIND_A_PERSON, PARTICLES

_MAX_PARTS = 6


def persons(text: str, known: Sequence[Finding], weights: Weights) -> list[Finding]:
    """Return the persons of a text in a script with capitals, in order."""
    all_ = around(text, tokens_of(text, known), known, weights)
    least = weights.threshold if known else weights.threshold_alone
    odds = _odds(all_, least)
    found: list[Finding] = []
    place = 0
    while place < len(odds):
        if odds[place] <= least:
            place += 1
            continue
        last = _last_part(all_, odds, place, least)
        while place < last and class_of(all_.tokens[place].lower) == "title":
            place += 1
        if not _is_a_company(all_, last):
            score = 1 / (1 + math.exp(-max(odds[place : last + 1])))
            found.append(Finding(Kind.PERSON, all_.tokens[place].start, all_.tokens[last].end, round(score, 3)))
        place = last + 1
    return found


def _odds(all_: Around, least: float) -> list[float]:
    """Return the log-odds of each word, in order: each is judged with what the ones before it were taken for."""
    found: list[float] = []
    tagged = "o"
    for place in range(len(all_.tokens)):
        odds = -math.inf
        if may_be_a_name(all_, place):
            odds = all_.weights.context_score(features_of(all_, place, tagged))
        found.append(odds)
        tagged = "N" if odds > least else "o"
    return found


def _last_part(all_: Around, odds: list[float], first: int, least: float) -> int:
    last = first
    while last + 1 < len(odds) and last - first < _MAX_PARTS:
        step = 1
        if all_.tokens[last + 1].lower in PARTICLES and last + 2 < len(odds) and odds[last + 1] <= least:
            step = 2
        behind = last + step
        if behind >= len(odds) or odds[behind] <= least or not _adjoin(all_, last, behind):
            break
        last = behind
    return last


def _adjoin(all_: Around, last: int, behind: int) -> bool:
    for place in range(last, behind):
        one, other = all_.tokens[place], all_.tokens[place + 1]
        gap = all_.text[one.end : other.start]
        if gap not in {" ", "  ", "-"} and not (gap == ". " and _is_initial(one)):
            return False
    return True


def _is_initial(token: Token) -> bool:
    return len(token.text) <= 2 and token.text[0].isupper()


def _is_a_company(all_: Around, last: int) -> bool:
    """Return whether what follows says that the name is a company's or a place's."""
    behind = last + 1
    if behind >= len(all_.tokens):
        return False
    gap = all_.text[all_.tokens[last].end : all_.tokens[behind].start]
    token = all_.tokens[behind]
    if gap.strip(" ") == "&" and token.shape != "x" and class_of(token.lower) != "title":
        return token.lower in NOT_BEHIND_A_PERSON
    return gap == " " and token.lower in NOT_BEHIND_A_PERSON and token.shape != "x"
