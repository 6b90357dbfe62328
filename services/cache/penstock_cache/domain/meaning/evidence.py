"""What an entry's near misses have taught: the score from which its answer is served, with a bound on the errors.

By the method of vCache (Schroeder et al., "vCache: Verified Semantic Prompt Caching", ICLR 2026): each entry has a
sigmoid of its own, P(right | score) = 1 / (1 + exp(-slope (score - middle))), and is served where a lower confidence
bound of it is high enough. There the bound comes from the asymptotic variance of the likelihood's maximum, which is no
use with few observations or with none of one kind; here from the posterior over a grid of slopes and middles, under a
flat prior. And there a doubtful request is served by chance; here not at all, so that the bound holds for the hits alone
and the same request gets the same answer.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

NEVER = 1.01
"""A threshold that no score reaches."""
_MOST_OBSERVATIONS = 48
_STEPS = 1000
_MIDDLES = tuple(-0.4 + 0.04 * step for step in range(41))
_SLOPES = (6.0, 12.0, 24.0, 48.0)
_SEARCH_STEPS = 9


class Observation(NamedTuple):
    """A wording that scored so, and whether its answer was the same."""

    score: float
    is_same: bool


class Evidence(NamedTuple):
    """All observations counted, the latest kept, and the highest score of a wording whose answer differed."""

    same: int = 0
    different: int = 0
    worst: float = 0.0
    latest: tuple[Observation, ...] = ()

    def with_one(self, score: float, *, is_same: bool) -> Evidence:
        """Return the evidence with one more observation."""
        score = _rounded(score)
        return Evidence(
            self.same + is_same,
            self.different + (not is_same),
            self.worst if is_same else max(self.worst, score),
            (*self.latest, Observation(score, is_same))[-_MOST_OBSERVATIONS:],
        )

    def to_text(self) -> str:
        """Return it as a short text."""
        seen = [f"{round(each.score * _STEPS)}{'+' if each.is_same else '-'}" for each in self.latest]
        return " ".join([f"{self.same} {self.different} {round(self.worst * _STEPS)}", *seen])

    @classmethod
    def from_text(cls, text: str) -> Evidence:
        """Return what ``to_text`` wrote; an empty text is no evidence.

        Raises:
            ValueError: if it is another's.
        """
        if not text:
            return NO_EVIDENCE
        same, different, worst, *seen = text.split()
        if any(each[-1] not in "+-" for each in seen):
            raise ValueError("an observation without its outcome")
        latest = tuple(Observation(int(each[:-1]) / _STEPS, each[-1] == "+") for each in seen)
        return cls(int(same), int(different), int(worst) / _STEPS, latest)


NO_EVIDENCE = Evidence()


@lru_cache(maxsize=4096)
def threshold_of(evidence: Evidence, cold: float, max_error: float) -> float:
    """Return the score from which an entry is served: at most ``max_error`` of its hits are wrong, by what is known.

    Without evidence that is ``cold``. A wording that was as near, and had another answer, is never below it.
    """
    if not evidence.latest:
        return cold
    least_right = 1.0 - max_error
    weights = _posterior(evidence.latest)
    # What was wrong at some score may be wrong at any lower one.
    low, high = evidence.worst, 1.0
    if _bound(high, weights) < least_right:
        learned = NEVER
    else:
        for _ in range(_SEARCH_STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if _bound(middle, weights) >= least_right else (middle, high)
        learned = high
    return min(learned, _raised(cold, evidence))


def right_bound(evidence: Evidence, score: float) -> float:
    """Return how probably, at least, an answer is right for what scores so."""
    return _bound(score, _posterior(evidence.latest))


def _raised(cold: float, evidence: Evidence) -> float:
    """Return what the guard's own threshold becomes where it was wrong, or nearly."""
    if evidence.worst < cold - (1.0 - cold):
        return cold
    above = _rounded(evidence.worst + (1.0 - evidence.worst) / 2)
    return max(cold, above) if above > evidence.worst else NEVER


def _posterior(observations: tuple[Observation, ...]) -> tuple[float, ...]:
    logs = [0.0] * (len(_MIDDLES) * len(_SLOPES))
    for observation in observations:
        column = _log_likelihoods(round(observation.score * _STEPS), observation.is_same)
        logs = [total + each for total, each in zip(logs, column, strict=True)]
    highest = max(logs)
    raw = [math.exp(each - highest) for each in logs]
    total = sum(raw)
    return tuple(each / total for each in raw)


def _bound(score: float, weights: tuple[float, ...]) -> float:
    """Return the best of (1 - e) times what the probability exceeds with confidence 1 - e, as vCache has it."""
    best = below = 0.0
    for probability, weight in sorted(zip(_probabilities(score), weights, strict=True)):
        best = max(best, (1.0 - below) * probability)
        below += weight
    return best


def _probabilities(score: float) -> list[float]:
    return [1.0 / (1.0 + math.exp(-slope * (score - middle))) for middle in _MIDDLES for slope in _SLOPES]


@lru_cache(maxsize=2 * (_STEPS + 1))
def _log_likelihoods(score_steps: int, is_same: bool) -> tuple[float, ...]:
    chances = _probabilities(score_steps / _STEPS)
    return tuple(math.log(max(chance if is_same else 1.0 - chance, 1e-12)) for chance in chances)


def _rounded(score: float) -> float:
    return round(min(max(score, 0.0), 1.0) * _STEPS) / _STEPS
