"""What speaks against a place: its failures of late, and how many different callers saw them."""

from __future__ import annotations

from collections import deque
from enum import Enum

from penstock_inference.domain.health.rules import WITNESSES, HealthRules

_BUCKETS = 10
_MOST_WITNESSES = 64
"""More are not needed to know that there are two."""


class Verdict(Enum):
    """What the failures amount to."""

    WELL = "well"
    DOUBTFUL = "doubtful"
    """Enough failures, of one tenant's requests alone, while others ask too: a probe shall say whose fault it is."""
    FAILING = "failing"


class Evidence:
    """Counts answers and failures within a sliding window, a tenth of it at a time, and failures in a row."""

    __slots__ = (
        "_bucket_seconds",
        "_failures",
        "_past",
        "_rules",
        "_witnesses",
        "answers",
        "bucket_ends",
        "in_a_row",
    )

    def __init__(self, rules: HealthRules) -> None:
        self._rules = rules
        self._bucket_seconds = rules.window_seconds / _BUCKETS
        self.bucket_ends = 0.0
        self._past: deque[tuple[float, int, int]] = deque()
        self.answers = 0
        """Those of the bucket that is filled now; ``bucket_ends`` says until when."""
        self._failures = 0
        self._witnesses: deque[tuple[float, str, str]] = deque(maxlen=_MOST_WITNESSES)
        self.in_a_row = 0

    def answered(self, now: float) -> None:
        """Note an answer."""
        self.in_a_row = 0
        if now >= self.bucket_ends:
            self.begin_bucket(now)
        self.answers += 1

    def failed(self, now: float, request: str, tenant: str) -> None:
        """Note a failure, and whose request it was."""
        self.in_a_row += 1
        if now >= self.bucket_ends:
            self.begin_bucket(now)
        self._failures += 1
        self._witnesses.append((now, request, tenant))

    def has_answers(self, now: float) -> bool:
        """Return whether there was an answer within the window."""
        if now >= self.bucket_ends:
            self.begin_bucket(now)
        return bool(self.answers or any(answered for _, answered, _ in self._past))

    def verdict(self, now: float, other_tenant_asks: bool) -> Verdict:
        """Return what the failures amount to; ``other_tenant_asks``: more than one tenant had requests of late."""
        rules = self._rules
        if now >= self.bucket_ends:
            self.begin_bucket(now)
        failures = self._failures + sum(failed for _, _, failed in self._past)
        asked = failures + self.answers + sum(answered for _, answered, _ in self._past)
        in_a_row = self.in_a_row >= rules.failures_in_a_row
        if not in_a_row and not (asked >= rules.failure_requests and failures >= rules.failure_ratio * asked):
            return Verdict.WELL
        recent = [seen for seen in self._witnesses if seen[0] > now - rules.window_seconds]
        if in_a_row:
            recent = list(self._witnesses)[-self.in_a_row :]
        requests = {request for _, request, _ in recent}
        tenants = {tenant for _, _, tenant in recent}
        if len(requests) < WITNESSES:
            return Verdict.DOUBTFUL
        return Verdict.FAILING if len(tenants) >= WITNESSES or not other_tenant_asks else Verdict.DOUBTFUL

    def forget(self) -> None:
        """Begin anew."""
        self.in_a_row = self.answers = self._failures = 0
        self._past.clear()
        self._witnesses.clear()

    def begin_bucket(self, now: float) -> None:
        """Begin the next bucket, and drop those that have left the window."""
        if self.answers or self._failures:
            self._past.append((self.bucket_ends, self.answers, self._failures))
        self.answers = self._failures = 0
        self.bucket_ends = now + self._bucket_seconds
        while self._past and self._past[0][0] <= now - self._rules.window_seconds:
            self._past.popleft()
