"""How many retries an upstream is spared: an outage must not multiply what it is asked."""

from __future__ import annotations

from penstock_inference.domain.health.rules import HealthRules


class RetryBudget:
    """Allows few retries at once, and none while most requests fail. Fail-over elsewhere spends nothing of it.

    At once: ``max(retries_in_flight, retry_ratio * in flight)``, as Envoy's ``retry_budget``. Tokens: one is lost by each
    failure and ``retry_token_ratio`` of one gained by each answer; at half of them retries end (gRFC A6, "Throttling").
    """

    __slots__ = ("_least", "_ratio", "_token_ratio", "full", "in_flight", "refused", "retries", "spent", "tokens")

    def __init__(self, rules: HealthRules) -> None:
        self._least = rules.retries_in_flight
        self._ratio = rules.retry_ratio
        self._token_ratio = rules.retry_token_ratio
        self.full = self.tokens = rules.retry_tokens
        self.in_flight = 0
        """Attempts, of whatever kind, that have no end yet."""
        self.retries = 0
        """Retries that were taken and have not ended."""
        self.spent = 0
        self.refused = 0

    @property
    def is_ample(self) -> bool:
        """Whether so few requests fail that more may be asked than need be."""
        return self.tokens > self.full / 2

    def take(self) -> bool:
        """Return whether a retry may be made; if so it counts until ``give_back``."""
        if self.tokens <= self.full / 2 or self.retries >= max(self._least, self._ratio * self.in_flight):
            self.refused += 1
            return False
        self.retries += 1
        self.spent += 1
        return True

    def give_back(self) -> None:
        """Note that a retry has ended, or was not made after all."""
        self.retries -= 1

    def failed(self) -> None:
        """Note a failure."""
        self.tokens = max(0.0, self.tokens - 1)

    def answered(self) -> None:
        """Note an answer; needed only while tokens are missing."""
        self.tokens = min(self.full, self.tokens + self._token_ratio)
