"""Which passages a claim may rest on where several state one thing: those that hold now, unless it speaks of another."""

from __future__ import annotations

import re

from penstock_gateway.domain.guardrails.grounding.claims import Claim
from penstock_gateway.domain.guardrails.grounding.context import Context
from penstock_gateway.domain.guardrails.grounding.text import tidy, words_of
from penstock_gateway.domain.guardrails.grounding.vocabulary import CURRENT, FORMER

_CHANGE = re.compile(
    r"\b(?:from\b.{1,60}\bto|used to|instead of|rather than|compared|than (?:before|in|under)|no longer|anymore|any more|went (?:up|down)"
    r"|(?:has|have|was|were) (?:raised|lowered|increased|reduced|changed|replaced|extended|shortened|cut|doubled|halved)|rose|fell|grew|dropped"
    r"|unlike|both|unchanged|as before|still|postponed|since then|difference)\b",
    re.IGNORECASE,
)


def allowed_for(claim: Claim, context: Context) -> frozenset[int]:
    """Return the numbers of the passages that may support the claim."""
    every = frozenset(range(len(context.passages)))
    if len(every) < 2:
        return every
    own = _named(claim.text, context)
    if own:
        return own
    if _CHANGE.search(tidy(claim.sentence)):
        return every
    of_sentence = _named(claim.sentence, context)
    if of_sentence and claim.sentence != claim.text:
        return of_sentence
    if any(context.stale):
        stale = frozenset(at for at, is_stale in enumerate(context.stale) if is_stale)
        words = {word.text for word in words_of(tidy(claim.sentence))}
        if words & FORMER and not words & CURRENT:
            return stale
        return every - stale
    return every


def _named(text: str, context: Context) -> frozenset[int]:
    """Return the passages that the text calls by what only their heads have: a version, a year, a name, a month."""
    words = {word.text for word in words_of(tidy(text)) if word.text[0].isdigit() or word.weight > 0 or word.text == "may"}
    months = {"may"} if re.search(r"\bMay\b", text) else set[str]()
    found: set[int] = set()
    for at, labels in enumerate(context.labels):
        told = {label for label in labels if label.isdigit() or _is_version(label) or label in _ORDERED} | (labels & months)
        if told & words:
            found.add(at)
    return frozenset(found) if len(found) < len(context.passages) else frozenset(found)


def _is_version(label: str) -> bool:
    return any(sign.isdigit() for sign in label)


_ORDERED = frozenset("january february march april june july august september october november december spring summer autumn winter".split())
