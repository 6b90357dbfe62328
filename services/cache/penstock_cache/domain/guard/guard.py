"""The guard's one entrance: rules first, then what was learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from penstock_cache.domain.guard.verdict import Verdict

# An entry without evidence is served from this score on.
COLD_THRESHOLD = 0.97


class Candidate(NamedTuple):
    """A stored text, and the cosine of its vector and the asked text's."""

    stored: str
    similarity: float


class Verifier(Protocol):
    """A trained model of pairs, which the guard asks only where no rule has spoken."""

    async def probabilities(self, pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
        """Return for each pair (stored, asked) how probably the stored text's answer is right for the asked one."""
        ...


class Guard:
    """Judges pairs; the same pair gets the same verdict. Without a verifier, rules and arithmetic are all it has."""

    def __init__(self, verifier: Verifier | None = None) -> None:
        self._verifier = verifier

    def judge(self, stored: str, asked: str, similarity: float) -> Verdict:
        """Return the verdict of rules and arithmetic alone: synchronous, pure, no verifier."""
        if stored.split() == asked.split():
            return Verdict(1.0, is_vetoed=False, reason="same", detail="")
        return Verdict(max(0.0, min(similarity, 1.0)) * 0.5, is_vetoed=False, reason="unsure", detail="")

    async def judge_many(self, asked: str, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Return a verdict for each candidate, in their order, with the verifier's opinion where there is one."""
        return [self.judge(candidate.stored, asked, candidate.similarity) for candidate in candidates]
