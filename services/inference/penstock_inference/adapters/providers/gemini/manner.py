"""What the configuration says of every request to an upstream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Manner:
    """The part of it that a request is made by."""

    safety: Mapping[str, str] = field(default_factory=dict[str, str])
    """Thresholds by category."""
    service_tiers: bool = False
    """One of its models has prices for tiers of service."""
    passthrough: bool = False
    """Takes top-level fields that we do not know."""
