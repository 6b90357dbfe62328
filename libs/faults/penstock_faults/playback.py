"""Which step of a script a request meets: a script that runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from penstock_faults.script import Script, Step

_NORMAL = Step()


class Playback:
    """Runs one script; ``now`` is a clock in seconds."""

    def __init__(self, script: Script, now: Callable[[], float] = time.monotonic) -> None:
        self.script = script
        self.requests = 0
        """How many have met a step."""
        self._now = now
        self._index = 0
        self._met = 0
        self._since = 0.0

    def next_step(self) -> Step:
        """Return the step for the request that has just come."""
        self.requests += 1
        while self._index < len(self.script.steps):
            step = self.script.steps[self._index]
            if not self._is_over(step):
                if self._met == 0:
                    self._since = self._now()
                self._met += 1
                return step
            self._index += 1
            self._met = 0
        return _NORMAL

    def is_slow(self, step: Step) -> bool:
        """Return whether the request that came last is one of those that wait longer."""
        return step.pace.slow_every > 0 and self.requests % step.pace.slow_every == 0

    def _is_over(self, step: Step) -> bool:
        if step.times is not None and self._met >= step.times:
            return True
        return step.seconds is not None and self._met > 0 and self._now() - self._since >= step.seconds


Choose = Callable[[str], Playback]
"""Which playback a model's requests meet, by the name of the model."""


def always(playback: Playback) -> Choose:
    """Return the choice of one for all models."""
    return lambda _model: playback
