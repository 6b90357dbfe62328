"""The detector of personal data, with what it learned."""

from __future__ import annotations

from penstock_gateway.domain.guardrails.pii.detector import Detector


def detector() -> Detector:
    """Return the detector."""
    return Detector()
