"""The guard's one entrance: rules first, then what was learned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from penstock_cache.domain.guard.comparison import Comparison, compare
from penstock_cache.domain.guard.features import features_of
from penstock_cache.domain.guard.learned import probability
from penstock_cache.domain.guard.rules import Objection, objections, replaced
from penstock_cache.domain.guard.text import MAX_CHARACTERS, tidy
from penstock_cache.domain.guard.verdict import Reason, Verdict

# An entry without evidence is served from this score on; docs/cache-guard.md has what it was measured to do.
COLD_THRESHOLD = 0.9
# Below this share of common words the texts are no two wordings of one question, as far as words say.
UNLIKE_RATIO = 0.25


class Candidate(NamedTuple):
    """A stored text, and the cosine of its vector and the asked text's."""

    stored: str
    similarity: float


class Verifier(Protocol):
    """A trained model of pairs, which the guard asks only where no rule has spoken."""

    async def probabilities(self, pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
        """Return for each pair (stored, asked) how probably the stored text's answer is right for the asked one."""
        ...


class _Opinion(NamedTuple):
    """What rules and arithmetic say of a pair, before anything learned has."""

    features: list[float]
    objection: Objection | None
    doubt: Objection


class Guard:
    """Judges pairs; the same pair gets the same verdict. Without a verifier, rules and arithmetic are all it has."""

    def __init__(self, verifier: Verifier | None = None) -> None:
        self._verifier = verifier

    def judge(self, stored: str, asked: str, similarity: float) -> Verdict:
        """Return the verdict of rules and arithmetic alone: synchronous, pure, no verifier."""
        return self._begin(stored, asked, similarity) or _conclude(_opinion(stored, asked, similarity), None)

    async def judge_many(self, asked: str, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Return a verdict for each candidate, in their order, with the verifier's opinion where there is one."""
        verdicts = [self._begin(each.stored, asked, each.similarity) for each in candidates]
        opinions = {
            at: _opinion(each.stored, asked, each.similarity)
            for at, (each, verdict) in enumerate(zip(candidates, verdicts, strict=True))
            if verdict is None
        }
        open_ = [at for at, opinion in opinions.items() if opinion.objection is None]
        learned: dict[int, float] = {}
        if self._verifier is not None and open_:
            found = await self._verifier.probabilities([(candidates[at].stored, asked) for at in open_])
            learned = dict(zip(open_, found, strict=True))
        return [verdict or _conclude(opinions[at], learned.get(at)) for at, verdict in enumerate(verdicts)]

    @staticmethod
    def _begin(stored: str, asked: str, similarity: float) -> Verdict | None:
        """Return the verdict on what needs no comparison: equal texts, empty ones and those that are too long."""
        if stored.split() == asked.split() and not stored.isspace() and stored:
            return Verdict(1.0, is_vetoed=False, reason="same", detail="")
        if not stored.strip() or not asked.strip():
            return Verdict(0.0, is_vetoed=True, reason="unlike", detail="one text is empty")
        longest = max(len(stored), len(asked))
        if longest > MAX_CHARACTERS:
            return Verdict(
                0.0, is_vetoed=True, reason="scope", detail=f"{longest} characters, {MAX_CHARACTERS} are compared"
            )
        if not math.isfinite(similarity):
            return Verdict(0.0, is_vetoed=True, reason="unlike", detail="the similarity is not a number")
        return None


def _opinion(stored: str, asked: str, similarity: float) -> _Opinion:
    whole, core = compare(tidy(stored), tidy(asked))
    found = objections(whole, core)
    return _Opinion(features_of(whole, core, found, similarity), found[0] if found else None, _doubt(core))


def _doubt(core: Comparison) -> Objection:
    """Return what speaks against the pair where no rule forbids it."""
    swaps = replaced(core)
    if swaps:
        return Objection("entity", " → ".join(swaps[0]))
    reason: Reason = "unlike" if core.overlap < UNLIKE_RATIO else "unsure"
    lonely = [" ".join(word.shown for word in words[:4]) or "–" for words in (core.only_stored, core.only_asked)]
    return Objection(reason, "" if lonely == ["–", "–"] else " → ".join(lonely))


def _conclude(opinion: _Opinion, learned: float | None) -> Verdict:
    score = probability(opinion.features, learned)
    if opinion.objection is not None:
        return Verdict(
            min(score, 0.5), is_vetoed=True, reason=opinion.objection.reason, detail=opinion.objection.detail
        )
    if score >= COLD_THRESHOLD:
        return Verdict(score, is_vetoed=False, reason="same", detail="")
    return Verdict(score, is_vetoed=False, reason=opinion.doubt.reason, detail=opinion.doubt.detail)
