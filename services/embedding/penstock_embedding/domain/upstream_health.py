"""Whether an upstream is asked: out after failures in a row, left alone when it asks for time, tried by one at a time.

Pure: time and chance are handed in. Times are seconds on the clock of ``time.monotonic``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FAILURES_IN_A_ROW = 5
"""Of as many calls: one call's repetitions count once, so that a text that breaks a server ejects it for nobody else."""
PROBES_IN_A_ROW = 3
PROBE_SECONDS = 10.0
RARE_PROBE_SECONDS = 30.0
RARE_AFTER_SECONDS = 600.0
"""From then on probes are rare."""
_PROBE_SPREAD = 0.2
UNTOLD_COOL_DOWN_SECONDS = 1.0
LONGEST_UNTOLD_SECONDS = 60.0
LONGEST_COOL_DOWN_SECONDS = 3600.0
"""A longer time that an upstream asks for is taken for this."""

_LEAST_RETRIES = 3
_RETRY_SHARE = 0.1
_BUCKET_TOKENS = 10.0
_TOKENS_PER_SUCCESS = 0.1
"""The retry throttle of gRFC A6: a failure takes a token, a success gives a tenth, below half nothing is repeated."""


@dataclass(slots=True)
class RetryBudget:
    """Bounds how often an upstream is asked again for what it failed at, so that an outage never multiplies its load."""

    in_flight: int = 0
    _retries: int = 0
    _tokens: float = _BUCKET_TOKENS

    @property
    def has_room(self) -> bool:
        """Whether one more repetition may be made now."""
        return self._tokens > _BUCKET_TOKENS / 2 and self._retries < max(_LEAST_RETRIES, _RETRY_SHARE * self.in_flight)

    def begin(self, *, is_retry: bool) -> None:
        """Take in that an attempt begins."""
        self.in_flight += 1
        self._retries += is_retry

    def end(self, *, is_retry: bool) -> None:
        """Take in that it has ended."""
        self.in_flight -= 1
        self._retries -= is_retry

    def succeeded(self) -> None:
        """Give a part of a token."""
        self._tokens = min(_BUCKET_TOKENS, self._tokens + _TOKENS_PER_SUCCESS)

    def failed(self) -> None:
        """Take a token."""
        self._tokens = max(0.0, self._tokens - 1)


@dataclass(eq=False, slots=True)
class UpstreamHealth:
    """What is known of one upstream; ``out_since`` is None while it is in."""

    budget: RetryBudget = field(default_factory=RetryBudget)
    out_since: float | None = None
    cooling_until: float = 0.0
    is_probed: bool = False
    _failures: int = 0
    _last_failed: object = None
    _refusals: int = 0
    _good_probes: int = 0
    _next_probe: float = 0.0

    def is_in(self, now: float) -> bool:
        """Return whether everybody may ask it."""
        return self.out_since is None and now >= self.cooling_until

    def wants_probe(self, now: float) -> bool:
        """Return whether it is out, and time for the next caller to try it."""
        return self.may_be_probed(now) and now >= self._next_probe

    def may_be_probed(self, now: float) -> bool:
        """Return whether it is out, and nobody tries it now."""
        return self.out_since is not None and not self.is_probed and now >= self.cooling_until

    def is_left_alone(self, now: float) -> bool:
        """Return whether it has been failing, or has asked for time that is not over."""
        return not self.is_in(now)

    def begin_probe(self, now: float, chance: float) -> None:
        """Take in that a call tries it; should that call be left, the next one is not to wait in its place at once."""
        self.is_probed = True
        self._put_probe_off(now, chance)

    def succeeded(self, now: float) -> bool:
        """Take in a proper answer; return whether that brought it back in."""
        self.budget.succeeded()
        self._failures = self._refusals = 0
        self._last_failed = None
        if self.out_since is None:
            return False
        self._good_probes += 1
        self._next_probe = now
        if self._good_probes < PROBES_IN_A_ROW:
            return False
        self.out_since = None
        return True

    def failed(self, now: float, chance: float, call: object) -> bool:
        """Take in a failure of ``call``; return whether it is to be put out, if the others permit it."""
        self.budget.failed()
        if self._last_failed is not call:
            self._failures += 1
            self._last_failed = call
        if self.out_since is not None:
            self._good_probes = 0
            self._put_probe_off(now, chance)
            return False
        return self._failures >= FAILURES_IN_A_ROW

    def put_out(self, now: float, chance: float) -> None:
        """Ask it no more, but by one call from time to time."""
        self.out_since = now
        self._good_probes = 0
        self._last_failed = None
        self._put_probe_off(now, chance)

    def told_to_wait(self, now: float, chance: float, seconds: float | None) -> None:
        """Leave it alone for as long as it asked; where it did not say, for a time that doubles. Never shorter than known."""
        if seconds is None:
            untold = min(LONGEST_UNTOLD_SECONDS, UNTOLD_COOL_DOWN_SECONDS * 2**self._refusals)
            # Equal jitter: "Exponential Backoff And Jitter", AWS 2015.
            seconds = untold / 2 + chance * untold / 2
            self._refusals = min(self._refusals + 1, 16)
        self.cooling_until = max(self.cooling_until, now + min(seconds, LONGEST_COOL_DOWN_SECONDS))

    def _put_probe_off(self, now: float, chance: float) -> None:
        since = now if self.out_since is None else self.out_since
        seconds = RARE_PROBE_SECONDS if now - since >= RARE_AFTER_SECONDS else PROBE_SECONDS
        self._next_probe = now + seconds * (1 - _PROBE_SPREAD + 2 * _PROBE_SPREAD * chance)
