"""What the tier of meaning counts since the process started."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class MeaningCounts:
    """Plain numbers; labels are from closed sets."""

    hits: int = 0
    alias_hits: int = 0
    not_compared: Counter[str] = field(default_factory=Counter[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    stored: int = 0
    aliases: int = 0
    not_stored: Counter[str] = field(default_factory=Counter[str])
    evidence: Counter[str] = field(default_factory=Counter[str])
    judged_hits: int = 0
    false_hits: int = 0
    saved_tokens: int = 0
    saved_nano_usd: int = 0
    evicted: int = 0
    unreadable: int = 0
    entries: int | None = None
