"""What was done for one call, and for whose work its caller pays."""

from __future__ import annotations

from collections.abc import Mapping

from penstock_common.llm.types import UnitPrices, Usage, cost_nano_usd
from penstock_common.telemetry.steps import Steps


class Account:
    """Tokens by the upstream that answered them, tokens that were sent and not answered yet, and the attempts made.

    ``attempts`` is the most that one part of the call took: 1 where everybody answered at once.
    """

    __slots__ = ("answered", "attempts", "steps", "unanswered")

    def __init__(self, steps: Steps | None = None) -> None:
        """Begin with nothing; attempts at upstreams become steps of ``steps``."""
        self.steps = Steps() if steps is None else steps
        self.answered: dict[str, int] = {}
        self.unanswered: dict[str, int] = {}
        self.attempts = 0

    def note_sent(self, upstream: str, tokens: int) -> None:
        """Take in that ``upstream`` has been sent so much."""
        self.unanswered[upstream] = self.unanswered.get(upstream, 0) + tokens

    def note_failed(self, upstream: str, tokens: int) -> None:
        """Take in that it did not answer what it was sent: whoever answers instead is paid."""
        self.unanswered[upstream] = max(0, self.unanswered.get(upstream, 0) - tokens)

    def note_answered(self, upstream: str, tokens: int) -> None:
        """Take in that it answered, and what it counted."""
        self.answered[upstream] = self.answered.get(upstream, 0) + tokens

    def note_attempts(self, attempts: int) -> None:
        """Take in how many attempts a part took."""
        self.attempts = max(self.attempts, attempts)

    @property
    def owed(self) -> dict[str, int]:
        """Tokens by upstream that a caller owes who left: those answered, and those that somebody works on."""
        owed = dict(self.answered)
        for upstream, tokens in self.unanswered.items():
            if tokens:
                owed[upstream] = owed.get(upstream, 0) + tokens
        return owed


def most_of(tokens: Mapping[str, int], otherwise: str) -> str:
    """Return the upstream with the most tokens, the first of equals; ``otherwise`` where there is none."""
    return max(tokens, key=lambda upstream: tokens[upstream]) if tokens else otherwise


def cost_of(tokens: Mapping[str, int], prices: Mapping[str, UnitPrices]) -> int:
    """Return the nano-dollars that the tokens cost, each at the price of its upstream."""
    return sum(
        cost_nano_usd(Usage(input_tokens=count), prices.get(upstream, UnitPrices()))
        for upstream, count in tokens.items()
    )
