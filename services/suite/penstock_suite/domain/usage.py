"""What was used: what is asked of the ledger, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

NANO = 1_000_000_000
STEPS = ("minute", "hour", "day", "week", "month")
NOBODY = "(none)"
"""How a group is called that has no name: what is attributed to nobody."""


class UsageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A report: of which time, by what, and of which tenant; ``where`` by the contract's field."""

    by: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    zone: str = "UTC"
    tenant: str = ""
    where: Mapping[str, tuple[str, ...]] = {}
    tags: Mapping[str, str] = {}


class UsageSums(msgspec.Struct, frozen=True, kw_only=True):
    """What entries of the ledger add up to, as the contract names it."""

    requests: int = 0
    errors: int = 0
    cancelled: int = 0
    cache_hits: int = 0
    degraded: int = 0
    unpriced: int = 0
    estimated: int = 0
    attempts: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    saved_tokens: int = 0
    compressed_tokens: int = 0
    cost_nano_usd: int = 0
    saved_nano_usd: int = 0
    duration_ms: float = 0.0

    def __add__(self, other: UsageSums) -> UsageSums:
        """Return both together."""
        return UsageSums(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class UsageLine(msgspec.Struct, frozen=True, kw_only=True):
    """A group's sums; ``start`` and ``end`` of its turn of the calendar, None where none was asked for."""

    groups: dict[str, str]
    start: datetime | None = None
    end: datetime | None = None
    sums: UsageSums


class UsageLines(Protocol):
    """Reads the ledger. What it refuses is a ``SuiteFailure``; what cannot be meant, ``Misconfigured``."""

    async def usage(self, wanted: UsageRequest) -> list[UsageLine]:
        """Return every line of a report, by time and then by name."""
        ...


def total_of(lines: Sequence[UsageLine]) -> UsageSums:
    """Return all lines together."""
    total = UsageSums()
    for line in lines:
        total += line.sums
    return total


def usd(nano_usd: int, decimals: int = 4) -> str:
    """Return an amount for people, rounded."""
    return f"{nano_usd / NANO:,.{decimals}f}"


def exact_usd(nano_usd: int) -> str:
    """Return an amount with all of its nine decimals, of which none is a float's."""
    whole, part = divmod(abs(nano_usd), NANO)
    return f"{'-' if nano_usd < 0 else ''}{whole}.{part:09}"


def names_of(line: UsageLine, by: Sequence[str]) -> list[str]:
    """Return what a line is about, without its time."""
    return [line.groups.get(word, "") or NOBODY for word in by if word not in STEPS]
