"""The guard's one entrance: rules first, then what was learned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from penstock_cache.domain.guard.comparison import Comparison, compare
from penstock_cache.domain.guard.features import features_of
from penstock_cache.domain.guard.learned import probability
from penstock_cache.domain.guard.rules import Objection, objections, replaced
from penstock_cache.domain.guard.text import MAX_CHARACTERS, MAX_WORDS, tidy
from penstock_cache.domain.guard.verdict import Reason, Verdict

# An entry without evidence is served from this score on; docs/cache-guard.md has what it was measured to do.
COLD_THRESHOLD = 0.77
# Below this share of common words the texts are no two wordings of one question, as far as words say.
UNLIKE_RATIO = 0.25
# What a rule forbids scores no more than this.
VETOED_SCORE = 0.5
# Nor does a pair without a common word: nothing like it was learned from.
STRANGE_SCORE = 0.5


class Candidate(NamedTuple):
    """A stored text, and the cosine of its vector and the asked text's."""

    stored: str
    similarity: float


class Guard:
    """Judges pairs; the same pair gets the same verdict, on any machine.

    Rules and arithmetic alone: no model is run, so a verdict takes about a millisecond and waits for nothing.
    """

    def judge(self, stored: str, asked: str, similarity: float) -> Verdict:
        """Return the verdict on an answer to ``stored`` for ``asked``; ``similarity`` is the cosine of their vectors."""
        return _begun(stored, asked, similarity) or _compared(stored, asked, similarity)

    async def judge_many(self, asked: str, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Return a verdict for each candidate, in their order."""
        return [self.judge(each.stored, asked, each.similarity) for each in candidates]


def _begun(stored: str, asked: str, similarity: float) -> Verdict | None:
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


def _compared(stored: str, asked: str, similarity: float) -> Verdict:
    whole, core = compare(tidy(stored), tidy(asked))
    if max(len(whole.stored.words), len(whole.asked.words)) > MAX_WORDS:
        return Verdict(0.0, is_vetoed=True, reason="scope", detail=f"more than {MAX_WORDS} words are not compared")
    found = objections(whole, core)
    score = probability(features_of(whole, core, found, similarity))
    if found:
        return Verdict(min(score, VETOED_SCORE), is_vetoed=True, reason=found[0].reason, detail=found[0].detail)
    if not core.stored.stems & core.asked.stems:
        score = min(score, STRANGE_SCORE)
    if score >= COLD_THRESHOLD:
        return Verdict(score, is_vetoed=False, reason="same", detail="")
    doubt = _doubt(core)
    return Verdict(score, is_vetoed=False, reason=doubt.reason, detail=doubt.detail)


def _doubt(core: Comparison) -> Objection:
    """Return what speaks against the pair where no rule forbids it."""
    swaps = replaced(core)
    if swaps:
        return Objection("entity", " → ".join(swaps[0]))
    reason: Reason = "unlike" if core.overlap < UNLIKE_RATIO else "unsure"
    lonely = [" ".join(word.shown for word in words[:4]) or "–" for words in (core.only_stored, core.only_asked)]
    return Objection(reason, "" if lonely == ["–", "–"] else " → ".join(lonely))
