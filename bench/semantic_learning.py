"""What learning from near misses brings: traffic that repeats, rewords and changes, by the cache's own rule.

A simulation of the rule alone: no model, no store. Each question has wordings of the same answer and changed ones, all
with scores of a guard that is no better than the study's: of reworded pairs it is sure of ``SURE_SAME``, of changed
ones of ``SURE_CHANGED``, and what it is unsure of overlaps. Usage: python bench/semantic_learning.py [REQUESTS] [SEED].
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass, field

from penstock_cache.domain.meaning.decision import Seen, decide
from penstock_cache.domain.meaning.evidence import NO_EVIDENCE, Evidence

REQUESTS = 20_000
QUESTIONS = 400
WORDINGS = 12
COLD, STRICT, MAX_ERROR = 0.97, 0.99, 0.01
SURE_SAME, SURE_CHANGED = 0.45, 0.004
_SHARES = {"repeated": 0.35, "reworded": 0.45, "changed": 0.20}
_WINDOWS = 5


@dataclass(slots=True)
class Outcome:
    """What came of some requests."""

    requests: int = 0
    served: int = 0
    false: int = 0

    def as_json(self) -> dict[str, float]:
        """Return the counts and shares."""
        return {
            "requests": self.requests,
            "served_ratio": round(self.served / max(self.requests, 1), 4),
            "false_of_hits_ratio": round(self.false / max(self.served, 1), 4),
        }


@dataclass(slots=True)
class _Entry:
    evidence: Evidence = NO_EVIDENCE
    known: set[int] = field(default_factory=set[int])


def simulate(
    requests: int, seed: int, *, learns: bool = True, judge_errs: float = 0.0, max_error: float = MAX_ERROR
) -> list[Outcome]:
    """Return the outcome of each fifth of the traffic; ``judge_errs`` is how often two answers are compared wrongly."""
    draw = random.Random(seed)
    entries: dict[int, _Entry] = {}
    outcomes: list[Outcome] = []
    weights = [1.0 / (rank + 1) for rank in range(QUESTIONS)]
    questions = draw.choices(range(QUESTIONS), weights, k=requests)
    for at, question in enumerate(questions):
        if at * _WINDOWS % requests < _WINDOWS:
            outcomes.append(Outcome())
        outcomes[-1].requests += 1
        _one(entries, question, draw, outcomes[-1], learns, judge_errs, max_error)
    return outcomes


def _one(
    entries: dict[int, _Entry],
    question: int,
    draw: random.Random,
    outcome: Outcome,
    learns: bool,
    judge_errs: float,
    max_error: float,
) -> None:
    entry = entries.get(question)
    if entry is None:
        entries[question] = _Entry()
        return
    kind = draw.choices(list(_SHARES), list(_SHARES.values()))[0]
    wording = 0 if kind == "repeated" else draw.randrange(1, WORDINGS) + (WORDINGS if kind == "changed" else 0)
    is_right = kind != "changed"
    if wording == 0 or wording in entry.known:
        outcome.served += 1
        outcome.false += not is_right
        return
    score = _score(is_right, draw)
    evidence = entry.evidence if learns else NO_EVIDENCE
    decision = decide(score, Seen(evidence, is_shared=True), COLD, STRICT, max_error)
    if decision.is_served:
        outcome.served += 1
        outcome.false += not is_right
    elif learns:
        is_same = is_right != (draw.random() < judge_errs)
        entry.evidence = entry.evidence.with_one(score, is_same=is_same)
        if is_same:
            entry.known.add(wording)


def _score(is_right: bool, draw: random.Random) -> float:
    if draw.random() < (SURE_SAME if is_right else SURE_CHANGED):
        return draw.uniform(COLD, 1.0)
    return min(draw.betavariate(6, 2) if is_right else draw.betavariate(3, 4), COLD - 0.001)


def main() -> None:
    """Print one line of JSON with, and one without learning."""
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for learns in (False, True):
        outcomes = simulate(requests, seed, learns=learns)
        total = Outcome(
            sum(each.requests for each in outcomes),
            sum(each.served for each in outcomes),
            sum(each.false for each in outcomes),
        )
        fifths = [each.as_json() for each in outcomes]
        print(json.dumps({"learns": learns, **total.as_json(), "fifths": fifths}))


if __name__ == "__main__":
    main()
