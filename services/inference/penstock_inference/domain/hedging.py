"""When a first token is late, and how many second attempts may be made beside late ones.

"The Tail at Scale" (Dean and Barroso, 2013) hedges after the 95th percentile. What is late is learned of each model, for
prompts of one size; how many are hedged is bounded over any stretch of requests, and not in the mean alone.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from enum import Enum

import msgspec

from penstock_common.llm.estimate import estimated_input_tokens
from penstock_common.llm.types import Candidate, GenerationInput
from penstock_inference.domain.health.latency import size_class

LATE_QUANTILE = 0.95
SAMPLES_WANTED = 40
"""Nobody is late before so many first tokens are known: two of them are later than the 95th percentile."""
SAMPLES_KEPT = 200
"""What was before the last so many is forgotten."""
BURST = 10.0
"""So many hedges may be made at once: beside ``share`` of the requests of any stretch, the most that there are."""


class HedgeOutcome(Enum):
    """What came of a late first token: who had content first, or why no second attempt was made."""

    WON = "won"
    """The second attempt."""
    LOST = "lost"
    """The first."""
    FAILED = "failed"
    """The first as well, as the second failed; or neither."""
    LEFT = "left"
    """The caller did not wait."""
    IN_ONE_PIECE = "in_one_piece"
    """The answer will come so: it has no first token."""
    NO_CANDIDATE = "no_candidate"
    """Nobody else who is well could be asked."""
    NO_TIME = "no_time"
    """Less of the deadline is left than has been waited for."""
    NO_SHARE = "no_share"
    """The share of requests that may be hedged is used up."""
    NO_BUDGET = "no_budget"
    """So many requests fail that the retry budget is half spent."""
    NO_PERMIT = "no_permit"
    """The upstream's limits let nobody in at once."""


class HedgingRules(msgspec.Struct, frozen=True):
    """``share`` of the requests may be hedged, and none sooner than ``least_seconds``."""

    share: float = 0.05
    least_seconds: float = 0.3


class FirstTokens:
    """How long the last first tokens of one model took, for prompts of one size."""

    __slots__ = ("_in_order", "_recent")

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        self._in_order: list[float] = []

    @property
    def late_after(self) -> float:
        """The seconds after which a first token is late: the 95th percentile; infinite while little is known."""
        known = len(self._in_order)
        return self._in_order[math.ceil(LATE_QUANTILE * known) - 1] if known >= SAMPLES_WANTED else math.inf

    def observe(self, seconds: float) -> None:
        """Note how long a first token took."""
        self._recent.append(seconds)
        insort(self._in_order, seconds)
        if len(self._recent) > SAMPLES_KEPT:
            del self._in_order[bisect_left(self._in_order, self._recent.popleft())]

    def outlasted(self, seconds: float) -> None:
        """Note that a first token had not come after so long, and that nobody waited on.

        Where it was late already it counts as what it took at least: left out, the late ones would seem fewer than they
        are, and ever more of the others late. Where it was not, nothing is known.
        """
        if seconds >= self.late_after:
            self.observe(seconds)


class Hedging:
    """What was learned, and what is left of the share: one object, which outlives a change of the configuration."""

    def __init__(self, rules: HedgingRules | None = None) -> None:
        self.rules = rules or HedgingRules()
        self._left = BURST
        self._first_tokens: dict[tuple[Candidate, int], FirstTokens] = {}

    def first_tokens(self, candidate: Candidate, value: GenerationInput) -> FirstTokens:
        """Return what is known of a model's first tokens, for prompts as long as this one."""
        key = candidate, size_class(estimated_input_tokens(value), 0, whole=False)
        found = self._first_tokens.get(key)
        if found is None:
            found = self._first_tokens[key] = FirstTokens()
        return found

    def keep_only(self, candidates: Iterable[Candidate]) -> None:
        """Forget what was learned of all others."""
        kept = set(candidates)
        self._first_tokens = {key: known for key, known in self._first_tokens.items() if key[0] in kept}

    def delay(self, known: FirstTokens) -> float:
        """Return the seconds after which a second attempt is made; infinite where none is."""
        return max(known.late_after, self.rules.least_seconds)

    def note_request(self) -> None:
        """Note a request, of so many of which a share may be hedged."""
        self._left = min(BURST, self._left + self.rules.share)

    def take(self) -> bool:
        """Return whether one more may be hedged; then it is counted."""
        # A sum of many small shares may fall short of 1 by its last digits.
        if self._left < 1 - 1e-9:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        """Note that a hedge that was counted asked nobody."""
        self._left = min(BURST, self._left + 1)
