"""How many requests an upstream takes at once, learned from how it answers.

Two rules. ``Aimd`` for providers, who say when it is too much: a refusal or a silence takes a tenth, success while the limit is
in use adds (Chiu and Jain 1989). ``Gradient2`` for own GPUs, which say nothing and become slow: the limit follows the ratio of
the usual time to the first token to that of now (Netflix's concurrency-limits, Gradient2Limit). Pure.
"""

from __future__ import annotations

from typing import Protocol

LEAST = 2.0
MOST = 1000.0
INITIAL = 100.0
BACKOFF_RATIO = 0.9
IN_USE_RATIO = 0.5
"""A limit that is not used so far says nothing, and is left alone."""

TOLERANCE = 1.5
"""The time to the first token may be so many times the usual one before the limit falls."""
SMOOTHING = 0.2
HEADROOM = 4.0
"""Requests that may wait at the GPU, so that it never does."""
SLOWEST_GRADIENT = 0.5
USUAL_SAMPLES = 600
DRIFT_RATIO = 2.0
DRIFT = 0.95


class AdaptiveLimit(Protocol):
    """A limit; ``value`` is what it is now."""

    value: float

    def answered(self, first_token_seconds: float, in_flight: int) -> None:
        """Take in an answer that has begun, while so many were under way."""
        ...

    def refused(self) -> None:
        """Take in a refusal for too much, or a silence."""
        ...


class Aimd:
    """Additive increase, multiplicative decrease."""

    __slots__ = ("_most", "value")

    def __init__(self, initial: float = INITIAL, most: float = MOST) -> None:
        self.value = min(initial, most)
        self._most = most

    def answered(self, first_token_seconds: float, in_flight: int) -> None:
        """Take in an answer: one more for each limit's worth of them."""
        if in_flight >= self.value * IN_USE_RATIO:
            self.value = min(self._most, self.value + 1 / self.value)

    def refused(self) -> None:
        """Take in a refusal."""
        self.value = max(LEAST, self.value * BACKOFF_RATIO)


class Gradient2:
    """Follows the gradient of the time to the first token."""

    __slots__ = ("_most", "_samples", "_usual_seconds", "value")

    def __init__(self, initial: float = INITIAL, most: float = MOST) -> None:
        self.value = min(initial, most)
        self._most = most
        self._samples = 0
        self._usual_seconds = 0.0

    def answered(self, first_token_seconds: float, in_flight: int) -> None:
        """Take in an answer."""
        seconds = max(first_token_seconds, 1e-6)
        self._samples = min(self._samples + 1, USUAL_SAMPLES)
        self._usual_seconds += (seconds - self._usual_seconds) / self._samples
        if self._usual_seconds > seconds * DRIFT_RATIO:
            # It was slow for long: what is usual comes down faster than by its average.
            self._usual_seconds *= DRIFT
        if in_flight < self.value * IN_USE_RATIO:
            return
        gradient = max(SLOWEST_GRADIENT, min(1.0, TOLERANCE * self._usual_seconds / seconds))
        wanted = self.value * gradient + HEADROOM
        self.value = max(LEAST, min(self._most, self.value * (1 - SMOOTHING) + wanted * SMOOTHING))

    def refused(self) -> None:
        """Take in a refusal or a silence: as one that is slow without measure."""
        self.value = max(LEAST, self.value * BACKOFF_RATIO)
