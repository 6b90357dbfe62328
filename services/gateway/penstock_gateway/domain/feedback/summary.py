"""What many people made of many answers, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

# Two-sided, 95 %.
_Z = 1.959963984540054


class Dimension(StrEnum):
    """What a line of a summary may be about."""

    MODEL = "model"
    UPSTREAM = "upstream"
    TASK = "task"
    PROMPT = "prompt"
    DAY = "day"


class Share(NamedTuple):
    """A figure between 0 and 1 with its bounds of 95 %."""

    value: float
    low: float
    high: float


def share(total: float, count: int) -> Share | None:
    """Return the mean of ``count`` values between 0 and 1 with the interval of E. B. Wilson; None of nothing.

    Where values are not 0 or 1 alone they vary less than such, and the interval is wider than it need be.
    """
    if not count:
        return None
    value, square = min(1.0, max(0.0, total / count)), _Z * _Z
    middle = value + square / (2 * count)
    half = _Z * math.sqrt(value * (1 - value) / count + square / (4 * count * count))
    whole = 1 + square / count
    return Share(value, max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole))


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What was said of the answers of a group, which is empty in what was not asked by."""

    model: str = ""
    upstream: str = ""
    upstream_model: str = ""
    task: str = ""
    prompt: str = ""
    day: str = ""
    judgements: int = 0
    thumbs_up: int = 0
    thumbs_down: int = 0
    scored: int = 0
    """Those that have a value."""
    total: float = 0.0
    """Of the values."""
    corrections: int = 0
    reasons: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def up_ratio(self) -> Share | None:
        """The share of thumbs that are up."""
        return share(self.thumbs_up, self.thumbs_up + self.thumbs_down)

    @property
    def mean_score(self) -> Share | None:
        """The mean of the values."""
        return share(self.total, self.scored)
