"""The numbers by which health is judged; each is a setting, or says where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

PROBE_SPREAD_RATIO = 0.2
"""Probes come this much sooner or later than their interval says, so that replicas do not come together."""
LONG_OUTAGE_SECONDS = 600.0
"""From here on an outage is long, and probes are rarer."""
GOOD_PROBES = 3
"""So many in a row, and who was out is back."""
WITNESSES = 2
"""Failures of fewer requests, or of fewer tenants where others ask too, may be the request's own."""
UNTOLD_COOL_DOWN_SECONDS = 1.0
LONGEST_UNTOLD_COOL_DOWN_SECONDS = 60.0
"""A 429 that says nothing cools for 1 s * 2^n, up to this."""


class State(Enum):
    """What an upstream's place is good for, in the operator's words."""

    OK = "ok"
    SLOW = "slow"
    """Answers, much later than it usually does: asked after those that do not."""
    COOLING = "cooling"
    """Its quota is used up until a time that it told, or that we guess."""
    EJECTED = "ejected"
    PROBING = "probing"
    """Ejected, and a probe is open, or some have succeeded."""
    BY_HAND = "by hand"
    """Ejected by the operator; no probe brings it back."""


@dataclass(frozen=True, slots=True)
class HealthRules:
    """When somebody is put out, and how they come back. Times are seconds.

    ``failures_in_a_row``, or ``failure_ratio`` of at least ``failure_requests`` within ``window_seconds``, eject.
    """

    failures_in_a_row: int = 5
    failure_ratio: float = 0.5
    failure_requests: int = 20
    window_seconds: float = 30.0
    probe_seconds: float = 10.0
    # With the spread less than 27 s: with the two that follow at once, a second until replicas and routers have heard, and
    # what probes take, back in use within 30 s of recovery.
    long_outage_probe_seconds: float = 22.0
    rejected_key_probe_seconds: float = 300.0
    probe_timeout_seconds: float = 10.0
    longest_cool_down_seconds: float = 3600.0
    slow_ratio: float = 3.0
    slow_seconds: float = 0.2
    slow_forgotten_seconds: float = 600.0
    retries_in_flight: int = 3
    retry_ratio: float = 0.1
    retry_tokens: float = 10.0
    retry_token_ratio: float = 0.1
