"""What the ledger says of days that were."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Self

import msgspec

from penstock_suite.domain.usage import UsageLine

DAYS_BY = ("day", "upstream", "cache")
"""What a report must be by, of which ``days_of`` makes days."""
_HIT = "hit"
_SECONDS_OF_A_DAY = 86_400


class Day(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the requests of a day came to; tokens and attempts without those of hits. Money is in nano-dollars.

    ``own_seconds`` is how long the upstreams of one's own were busy with them, one beside another counted each.
    """

    requests: float = 0
    hits: float = 0
    errors: float = 0
    attempts: float = 0
    input_tokens: float = 0
    output_tokens: float = 0
    cost: float = 0
    saved: float = 0
    own_seconds: float = 0
    unpriced: float = 0

    def __add__(self, other: Day) -> Self:
        """Return both together."""
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """Days of a time that lasted ``length_days``, and how much more came in the busiest hour than on average."""

    since: datetime | None = None
    until: datetime | None = None
    days: tuple[Day, ...]
    length_days: float
    peak: float
    is_assumed: bool = False

    @property
    def total(self) -> Day:
        """All days together."""
        total = Day()
        for day in self.days:
            total += day
        return total

    @property
    def requests_per_day(self) -> float:
        """How many came on average."""
        return self.total.requests / self.length_days if self.length_days else 0.0


def days_of(lines: Sequence[UsageLine], own: Collection[str]) -> tuple[Day, ...]:
    """Return the days of a report; ``own`` are the upstreams for whose time somebody pays, not for their tokens."""
    days: dict[datetime | None, Day] = {}
    for line in lines:
        days[line.start] = days.get(line.start, Day()) + _of_line(line, own)
    return tuple(day for _, day in sorted(days.items(), key=lambda item: str(item[0])))


def _of_line(line: UsageLine, own: Collection[str]) -> Day:
    sums = line.sums
    is_hit = line.groups.get("cache") == _HIT
    return Day(
        requests=sums.requests,
        hits=sums.requests if is_hit else 0,
        errors=sums.errors,
        attempts=0 if is_hit else sums.attempts,
        input_tokens=0 if is_hit else sums.input_tokens,
        output_tokens=0 if is_hit else sums.output_tokens,
        cost=sums.cost_nano_usd,
        saved=sums.saved_nano_usd,
        own_seconds=0 if is_hit or line.groups.get("upstream") not in own else sums.duration_ms / 1000,
        unpriced=sums.unpriced,
    )


def peak_of(lines: Sequence[UsageLine], length_days: float, fallback: float) -> float:
    """Return how often the average the busiest hour of a report by hours had; ``fallback`` where there are under 24 hours."""
    hourly = [line.sums.requests for line in lines]
    if length_days < 1 or not any(hourly):
        return fallback
    return max(hourly) / (sum(hourly) / (length_days * 24))


def length_in_days(since: datetime, until: datetime) -> float:
    """Return how many days of 24 hours lie between two moments."""
    return (until - since).total_seconds() / _SECONDS_OF_A_DAY


def assumed(
    *,
    tokens_in: float,
    tokens_out: float,
    hit_rate: float,
    price_in: float,
    price_out: float,
    seconds: float,
    peak: float,
) -> Observed:
    """Return a day of requests that are all alike; prices in dollars for a million tokens, ``seconds`` of one's own upstream."""
    requests = 1_000_000.0
    misses = requests * (1 - hit_rate)
    cost = misses * (tokens_in * price_in + tokens_out * price_out) * 1000
    day = Day(
        requests=requests,
        hits=requests * hit_rate,
        attempts=misses,
        input_tokens=misses * tokens_in,
        output_tokens=misses * tokens_out,
        cost=cost,
        saved=0 if hit_rate == 1 else cost * hit_rate / (1 - hit_rate),
        own_seconds=misses * seconds,
    )
    return Observed(days=(day,), length_days=1.0, peak=peak, is_assumed=True)


def hours_before(since: datetime, until: datetime) -> datetime:
    """Return from when on hours are looked at for the busiest: the last two weeks are enough."""
    return max(since, until - timedelta(days=14))
