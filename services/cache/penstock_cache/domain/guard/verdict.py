"""What the guard says of a stored text and an asked one, and in which words."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

Reason = Literal[
    "same",  # nothing speaks against it
    "number",  # a number stands in one text only, or another one in the other
    "unit",  # another unit, which the number does not follow
    "date",  # another day, month, year, time of day or tense
    "version",  # another version of a product
    "entity",  # another name, code or acronym
    "negation",  # one text denies what the other says
    "direction",  # the same words the other way round: from A to B, from B to A
    "quantifier",  # all, some, none; always, never; at least, at most
    "comparative",  # more or less, best or worst, and other opposites
    "scope",  # one text says more, which the answer depends on
    "format",  # another form of answer: a table, a number of words, code
    "language",  # an answer in another language
    "audience",  # for somebody else
    "intent",  # another question word: why, how, when, who
    "unlike",  # the texts have too little in common
    "unsure",  # nothing forbids it, and the score is low all the same
]
REASONS: tuple[Reason, ...] = get_args(Reason)


class Verdict(NamedTuple):
    """How probably the stored answer is fully right for the asked text, and what speaks against it most.

    ``score`` is calibrated: of pairs with 0.9, about nine in ten are right.
    ``is_vetoed`` says that a rule forbids the hit, whatever was learned.
    ``reason`` is one of ``REASONS``, fit for a metric's label; ``detail`` is for people: ``30 → 45``.
    """

    score: float
    is_vetoed: bool
    reason: Reason
    detail: str
