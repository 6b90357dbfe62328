"""Which passages a claim may rest on where several state one thing: those that hold now, unless it speaks of another."""

from __future__ import annotations

import re

from penstock_gateway.domain.guardrails.grounding.claims import Claim
from penstock_gateway.domain.guardrails.grounding.context import Context
from penstock_gateway.domain.guardrails.grounding.text import tidy, words_of
from penstock_gateway.domain.guardrails.grounding.vocabulary import CURRENT, FORMER

_CHANGE = re.compile(
    r"\b(?:from\b.{1,60}\bto|instead of|rather than|compared|than (?:before|in|under)|no longer|anymore|any more|went (?:up|down)"
    r"|(?:has|have|was|were) (?:raised|lowered|increased|reduced|changed|replaced|extended|shortened|cut|doubled|halved)|rose|fell|grew|dropped"
    r"|unlike|both|unchanged|as before|still|postponed|since then|difference)\b",
    re.IGNORECASE,
)


def allowed_for(claim: Claim, context: Context) -> frozenset[int]:
    """Return the numbers of the passages that may support the claim."""
    every = frozenset(range(len(context.passages)))
    if not context.passages[1:]:
        return every
    stale = frozenset(at for at, is_stale in enumerate(context.stale) if is_stale)
    if stale and _PAST.search(claim.text):
        return stale
    if _CHANGE.search(tidy(claim.text)):
        return every
    own = _named(claim.text, context)
    if own:
        return own
    words = {word.text for word in words_of(tidy(claim.text))}
    is_now = not words.isdisjoint(CURRENT)
    if _CHANGE.search(tidy(claim.sentence)) and not is_now:
        return every
    of_sentence = _named(claim.sentence, context)
    if of_sentence:
        return of_sentence
    return _holding(claim, context, stale, every)


def _holding(claim: Claim, context: Context, stale: frozenset[int], every: frozenset[int]) -> frozenset[int]:
    words = {word.text for word in words_of(tidy(claim.sentence))}
    is_now = not words.isdisjoint(CURRENT)
    if stale:
        return stale if words & FORMER and not is_now else every - stale
    if is_now and len(set(context.years)) > 1:
        latest = max(context.years)
        return frozenset(at for at, year in enumerate(context.years) if year == latest)
    return every


_PAST = re.compile(
    r"\b(?:used to|formerly|previously|in the past|earlier (?:rules?|version|edition)|(?:old|former|previous|replaced|superseded|withdrawn) \w+)\b",
    re.IGNORECASE,
)


def _named(text: str, context: Context) -> frozenset[int]:
    """Return the passages that the text calls by what only their heads have: a version, a year, a name, a month."""
    words = {
        word.text for word in words_of(tidy(text)) if word.text[0].isdigit() or word.weight > 0 or word.text == "may"
    }
    months = {"may"} if re.search(r"\bMay\b", text) else set[str]()
    found: set[int] = set()
    for at, labels in enumerate(context.labels):
        told = {label for label in labels if label.isdigit() or _is_version(label) or label in _ORDERED} | (
            labels & months
        )
        if told & words:
            found.add(at)
    return frozenset(found)


def _is_version(label: str) -> bool:
    return any(sign.isdigit() for sign in label)


_ORDERED = frozenset(
    [
        "january",
        "february",
        "march",
        "april",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "spring",
        "summer",
        "autumn",
        "winter",
    ]
)
