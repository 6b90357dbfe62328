"""How long a place usually takes, and whether it has begun to take much longer.

Latencies are compared within classes of size: a longer prompt takes longer, and so does a longer answer where it comes in
one piece. A shift to another class says nothing about health.
"""

from __future__ import annotations

import math

from penstock_inference.domain.health.rules import HealthRules

_SAMPLES_WANTED = 20
"""What is usual is not known before."""
_SAMPLES_TOLD = 5
"""What is told of it before that would be chance."""
_MEAN_WEIGHT = 1 / 16
_DEVIATION_WEIGHT = 1 / 8
_DEVIATIONS = 4
"""As a retransmission time-out is reckoned (RFC 6298, section 2), with a slower mean."""
_VERDICT_WEIGHT = 1 / 8
"""Six slow ones in a row make the share of slow ones more than half."""
SLOW_SHARE = 0.5
_PEAK_DECAY_SECONDS = 10.0
"""Finagle's peak EWMA: a rise counts at once, and is forgotten within this ("Beyond Round Robin", 2016)."""
WHOLE_CLASSES = 1 << 8
OUTPUT_BITS = 4


class _Usual:
    """Mean and mean deviation of one class, and the ``limit`` above which it is slow; infinite while little is known."""

    __slots__ = ("deviation", "limit", "mean", "samples")

    def __init__(self) -> None:
        self.mean = 0.0
        self.deviation = 0.0
        self.samples = 0
        self.limit = math.inf


def size_class(input_tokens: int, output_tokens: int, *, whole: bool) -> int:
    """Return the class of a latency: sizes that lie within a factor of four; the answer's only where it came ``whole``."""
    size = input_tokens.bit_length() >> 1
    return WHOLE_CLASSES + (size << OUTPUT_BITS) + (output_tokens.bit_length() >> 1) if whole else size


class Latency:
    """The latencies of one model at one place: what is usual, whether it is slow, and its peak EWMA."""

    __slots__ = ("_classes", "_least", "_ratio", "fine_at", "peak", "peak_at", "slow_share")

    def __init__(self, rules: HealthRules) -> None:
        self._ratio = rules.slow_ratio
        self._least = rules.slow_seconds
        self._classes: dict[int, _Usual] = {}
        self.slow_share = 0.0
        """The share of late answers that took too long, each weighing an eighth of those before it."""
        self.fine_at = 0.0
        """When the last came that did not."""
        self.peak = -1.0
        """Peak EWMA in seconds; below 0 while nothing is known."""
        self.peak_at = 0.0

    def observe(self, now: float, seconds: float, size: int) -> None:
        """Note how long the first content took of an answer of this class, which came ``now``, or a long answer ago."""
        if seconds >= self.peak:
            self.peak = seconds
        elif now > self.peak_at:
            kept = 2.0 ** ((self.peak_at - now) / _PEAK_DECAY_SECONDS)
            self.peak = self.peak * kept + seconds * (1 - kept)
        self.peak_at = max(self.peak_at, now)
        try:
            usual = self._classes[size]
        except KeyError:
            usual = self._classes[size] = _Usual()
        if usual.samples >= _SAMPLES_WANTED:
            is_slow = seconds > usual.limit
            self.slow_share += _VERDICT_WEIGHT * (is_slow - self.slow_share)
            if is_slow:
                if self.slow_share > SLOW_SHARE:
                    # It is known to be slow. Did those that were under way make that usual, probes would find it well.
                    return
                # What is slow shall become usual in the end, not at once.
                seconds = usual.limit
            elif now > self.fine_at:
                self.fine_at = now
            mean_weight, deviation_weight = _MEAN_WEIGHT, _DEVIATION_WEIGHT
        else:
            mean_weight = deviation_weight = 1 / (usual.samples + 1)
        # Here rather than in functions: every answer comes by.
        usual.samples += 1
        error = seconds - usual.mean
        usual.mean += mean_weight * error
        usual.deviation += deviation_weight * ((error if error > 0 else -error) - usual.deviation)
        if usual.samples >= _SAMPLES_WANTED:
            limit, spread = usual.mean * self._ratio, usual.mean + _DEVIATIONS * usual.deviation
            limit = max(limit, spread)
            usual.limit = max(limit, self._least)

    def slow_after(self, size: int, *, whole: bool) -> float:
        """Return the seconds after which a first content is late; infinite where nothing is known of the class.

        How long a whole answer will be is not known before: the latest class of its input counts.
        """
        if not whole:
            usual = self._classes.get(size)
            return math.inf if usual is None else usual.limit
        known = [usual.limit for key, usual in self._classes.items() if key >> OUTPUT_BITS == size >> OUTPUT_BITS]
        return max((limit for limit in known if limit < math.inf), default=math.inf)

    def is_probe_slow(self, seconds: float) -> bool:
        """Return whether a probe, which is short, took longer than what is usual for the shortest that is known."""
        return seconds > min((usual.limit for usual in self._classes.values()), default=math.inf)

    def decayed_peak(self, now: float) -> float:
        """Return the peak EWMA, less the longer nothing was heard: who was slow is tried again."""
        return self.peak * 2.0 ** ((self.peak_at - now) / _PEAK_DECAY_SECONDS)

    def usual_first_token(self) -> float | None:
        """Return the usual seconds to the first token of streamed answers, of each size as often as it came; None where few did."""
        streamed = [usual for size, usual in self._classes.items() if size < WHOLE_CLASSES]
        samples = sum(usual.samples for usual in streamed)
        if samples < _SAMPLES_TOLD:
            return None
        return sum(usual.mean * usual.samples for usual in streamed) / samples

    def forget(self) -> None:
        """Learn what is usual anew."""
        self._classes.clear()
        self.slow_share = 0.0
