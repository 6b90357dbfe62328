"""The loop that runs plans: attempts, one after another, made one clean answer."""

from __future__ import annotations

from penstock_common.telemetry.steps import Steps
from penstock_inference.domain.batches import Batches
from penstock_inference.domain.generation import Generation, GenerationParts


class AttemptLoop:
    """Runs plans: each answer is batches of events that keep the contract's order, or one error.

    Nothing reaches the caller before the first content, so that failing over
    stays invisible.
    """

    def __init__(self, parts: GenerationParts) -> None:
        self._parts = parts

    def batches(self, generation: Generation, steps: Steps) -> Batches:
        """Return the batches of one answer; ``steps`` takes one step per attempt."""
        return Batches(generation, self._parts, steps)
