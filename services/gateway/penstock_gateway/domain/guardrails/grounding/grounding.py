"""Whether an answer is grounded in what was retrieved: a verdict for each claim with its evidence, one for all, and a score."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from penstock_gateway.domain.guardrails.grounding.alignment import Alignment, align
from penstock_gateway.domain.guardrails.grounding.claims import Claim, claims_of
from penstock_gateway.domain.guardrails.grounding.context import Context
from penstock_gateway.domain.guardrails.grounding.differences import rate_differs, sides, tells_silence
from penstock_gateway.domain.guardrails.grounding.features import NAMES, Standing, features_of, standings_of
from penstock_gateway.domain.guardrails.grounding.learned import answer_probabilities, log_odds, probability
from penstock_gateway.domain.guardrails.grounding.passages import Passage, passages_of
from penstock_gateway.domain.guardrails.grounding.versions import allowed_for

VERSION = 1
"""Of the rules and the weights together; a verdict can be told from one of other rules by it."""

MAX_CONTEXT_CHARACTERS = 200_000
"""Of a context, what lies beyond is not read."""

MAX_ANSWER_CHARACTERS = 20_000
"""Of an answer, what lies beyond is not judged."""

_HOLDS = 0.5
_SILENT_ODDS = 2.0
_TOPIC_COVERED = 0.8
_DENIED = 0.45
_BEST, _NUMBERS, _ALL_NEAR, _DERIVED = map(NAMES.index, ("best", "numbers", "numbers_all_near", "numbers_derived"))


class Support(Enum):
    """What the passages say of a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_FOUND = "not_found"


class Label(Enum):
    """What the claims of an answer make of it."""

    GROUNDED = "grounded"
    PARTLY = "partly"
    UNGROUNDED = "ungrounded"


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """The statement that comes nearest to a claim: the number of its passage, and its span in the context (characters)."""

    passage: int
    start: int
    end: int
    text: str


class ClaimVerdict(msgspec.Struct, frozen=True):
    """A claim, its span in the answer, what the passages say of it, how likely they support it, and why not."""

    start: int
    end: int
    text: str
    support: Support
    probability: float
    evidence: Evidence | None
    reasons: tuple[str, ...]


class Grounding(msgspec.Struct, frozen=True):
    """What was found: the likeliest label with all three probabilities, and the claims in order.

    ``score``: the mean probability that a claim is supported, from 0 to 1; 1 for an answer that claims nothing.
    """

    label: Label
    score: float
    probabilities: dict[str, float]
    claims: tuple[ClaimVerdict, ...]


class Judged(msgspec.Struct, gc=False):
    """A claim as it was compared, for what is learned of it."""

    claim: Claim
    alignment: Alignment
    features: list[float]
    standings: list[Standing]


def ground(answer: str, context: str | Sequence[Passage]) -> Grounding:
    """Return how far the answer's claims are supported by the context: its text as it stands in a prompt, or its passages."""
    read = context_of(context)
    judged = judged_claims(answer, read)
    if not judged:
        return Grounding(Label.GROUNDED, 1.0, {"grounded": 1.0, "partly": 0.0, "ungrounded": 0.0}, ())
    odds = [odds_of(one, read) for one in judged]
    shares = answer_probabilities(odds, is_mixed=is_mixed(judged))
    labels = list(Label)
    return Grounding(
        labels[shares.index(max(shares))],
        sum(map(probability, odds)) / len(odds),
        {label.value: share for label, share in zip(labels, shares, strict=True)},
        tuple(_verdict(one, each, read) for one, each in zip(judged, odds, strict=True)),
    )


def context_of(context: str | Sequence[Passage]) -> Context:
    """Return a context indexed, so that several answers may be laid beside it."""
    return Context(passages_of(context[:MAX_CONTEXT_CHARACTERS]) if isinstance(context, str) else context)


def judged_claims(answer: str, context: Context) -> list[Judged]:
    """Return the answer's claims, each laid beside what comes nearest."""
    found: list[Judged] = []
    every = frozenset(range(len(context.passages)))
    for claim in claims_of(answer[:MAX_ANSWER_CHARACTERS]):
        allowed = allowed_for(claim, context)
        alignment = align(claim, context, allowed)
        elsewhere = 0.0
        if allowed != every:
            other = align(claim, context, every - allowed)
            elsewhere = max(0.0, _best_score(other) - _best_score(alignment))
        before = found[-1].alignment if found and found[-1].claim.sentence == claim.sentence else None
        standings = standings_of(alignment, context)
        found.append(Judged(claim, alignment, features_of(alignment, context, elsewhere, before), standings))
    return found


def _best_score(alignment: Alignment) -> float:
    return alignment.tops[0][1] if alignment.tops else 0.0


def odds_of(judged: Judged, context: Context) -> float:
    """Return the log odds that a claim is supported; that nothing is said of a thing holds where no statement has it."""
    silent = silent_odds(judged.alignment, context)
    return log_odds(judged.features) if silent is None else silent


def silent_odds(alignment: Alignment, context: Context) -> float | None:
    """Return the log odds of a claim that nothing is said of something; None for any other."""
    silence = tells_silence(alignment.words)
    if not silence:
        return None
    topic = {word.stem: word for word in alignment.words[silence:] if word.weight >= 1}
    if not topic:
        return 0.0
    counts = [0.0] * len(context.units)
    for word in topic.values():
        for number, share in context.where(word).items():
            counts[number] += share
    return -_SILENT_ODDS if max(counts, default=0.0) >= _TOPIC_COVERED * len(topic) else _SILENT_ODDS


def is_mixed(judged: Sequence[Judged]) -> bool:
    """Return whether any claim has numbers of which some do not stand where they should."""
    return any(
        one.features[_NUMBERS] >= 1 and not one.features[_ALL_NEAR] and not one.features[_DERIVED] for one in judged
    )


def _verdict(judged: Judged, odds: float, context: Context) -> ClaimVerdict:
    claim, share = judged.claim, probability(odds)
    best = judged.alignment.best(context)
    evidence = None
    if best is not None:
        statement = best.statement
        evidence = Evidence(statement.passage, statement.start, statement.end, statement.text)
    reasons: tuple[str, ...] = ()
    support = Support.SUPPORTED
    if share < _HOLDS:
        contradictions = tuple(_contradictions(judged, context))
        support = Support.CONTRADICTED if contradictions else Support.NOT_FOUND
        reasons = contradictions + tuple(_gaps(judged))
    return ClaimVerdict(claim.start, claim.end, claim.text.strip(), support, round(share, 4), evidence, reasons)


def _contradictions(judged: Judged, context: Context) -> list[str]:
    found = [f"number {one.quantity.value:g} stands otherwise" for one in judged.standings if one.is_replaced]
    agreed, denied = sides(judged.alignment, context)
    if denied > agreed and denied >= _DENIED:
        found.append("one of the two denies it")
    if rate_differs(judged.alignment, context) == 1:
        found.append("counted by something else")
    if judged.features[NAMES.index("opposes")] >= 1:
        found.append("says the opposite")
    return found


def _gaps(judged: Judged) -> list[str]:
    found = [
        f"number {one.quantity.value:g} is not there"
        for one in judged.standings
        if one.how == "missing" and not one.is_replaced
    ]
    alignment = judged.alignment
    missing = [
        word.text
        for (word, _), there, head in zip(alignment.content, alignment.anywhere, alignment.in_heads, strict=True)
        if not there and not head and word.weight >= 1
    ]
    if missing:
        found.append("not found: " + ", ".join(missing))
    if judged.features[NAMES.index("general_condition")]:
        found.append("a condition was left out")
    return found
