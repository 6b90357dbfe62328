"""The detector of personal data, with what it learned."""

from __future__ import annotations

from importlib.resources import files

from penstock_gateway.domain.guardrails.pii.detector import Detector
from penstock_gateway.domain.guardrails.pii.likeness import weights_from
from penstock_gateway.domain.guardrails.pii.named import LearnedNames


def detector() -> Detector:
    """Return the detector; the weights are read anew by each call.

    Raises:
        UnusableWeights: if the package's weights are damaged.
    """
    return Detector(
        LearnedNames(weights_from((files("penstock_gateway.adapters.guardrails") / "pii_weights.bin").read_bytes()))
    )
