"""What a process around the stack is told, and what it says."""

from __future__ import annotations

import msgspec


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stack listens, and how to come in."""

    http: str
    """``host:port``."""
    grpc: str
    ca: str = ""
    """The file of the authority that proves both; empty where they speak plain."""


class AttackJob(msgspec.Struct, frozen=True, kw_only=True):
    """An attack to carry out."""

    target: Target
    weapon: str
    keys: tuple[str, ...]
    """Of the attackers, in turn; none for a stranger."""
    model: str
    at_once: int
    seconds: float


class HonestJob(msgspec.Struct, frozen=True, kw_only=True):
    """How an honest caller asks, until it is ended."""

    target: Target
    key: str
    model: str
    way: str
    """whole, stream or grpc."""
    pause_seconds: float
    patience_seconds: float


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """One request of an honest caller; times on the machine's monotonic clock."""

    began: float
    ended: float
    fault: str
    """Empty where the answer was right."""
