"""What was found of each attack, as data and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from hostile.attacks import HELD, Attack
from hostile.job import Asked

MOST_P99_MS = 1000.0
MOST_MIB = 400.0
"""Of all processes of the stack together."""
_MIB = 1024 * 1024
_MOST_FAULTS = 5


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One attack, or one of the quiet times around them."""

    name: str
    sent: int
    seen: dict[str, int]
    """What the attackers saw, and how often."""
    unexpected: dict[str, int]
    """Of that, what they must not see."""
    honest: int
    """Requests of honest callers."""
    failed: int
    faults: tuple[str, ...]
    """The first few words of what failed."""
    p50_ms: float
    p99_ms: float
    most_ms: float
    mib: float
    """Resident memory of all processes together, at the most."""
    proportional_mib: float
    """The same, shared pages by each one's share."""
    mib_by_process: dict[str, float]
    redis_keys: int
    """Names that Redis has more than before."""
    load_average: float


def latencies_ms(asked: Sequence[Asked]) -> tuple[float, float, float]:
    """Return median, 99th percentile and most."""
    ordered = sorted((one.ended - one.began) * 1e3 for one in asked)
    if not ordered:
        return 0.0, 0.0, 0.0
    last = len(ordered) - 1
    return tuple(round(ordered[rank], 1) for rank in (len(ordered) // 2, -(-last * 99 // 100), last))  # type: ignore[return-value]


def unexpected(attack: Attack | None, seen: dict[str, int]) -> dict[str, int]:
    """Return what the attackers should not have seen; that nothing was seen counts as well."""
    if attack is None:
        return {}
    found = {word: count for word, count in seen.items() if word not in attack.sees and word != HELD}
    return found if seen else {"nothing": 1}


def first_faults(asked: Sequence[Asked]) -> tuple[str, ...]:
    """Return what failed, each fault once."""
    return tuple(fault for fault, _ in Counter(one.fault for one in asked if one.fault).most_common(_MOST_FAULTS))


def mib(size_bytes: float) -> float:
    """Return mebibytes."""
    return round(size_bytes / _MIB, 1)


_COLUMNS = ("attack", "attackers saw", "honest", "failed", "p50 ms", "p99 ms", "MiB", "PSS", "MiB by process")


def cells(row: Row) -> list[str]:
    """Return a line of the table."""
    seen = ", ".join(f"{count} {word}" for word, count in sorted(row.seen.items()))
    processes = ", ".join(f"{name} {size:.0f}" for name, size in row.mib_by_process.items())
    return [
        row.name, seen, str(row.honest), str(row.failed), f"{row.p50_ms:.0f}", f"{row.p99_ms:.0f}",
        f"{row.mib:.0f}", f"{row.proportional_mib:.0f}", processes,
    ]  # fmt: skip


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a table in Markdown."""
    yield f"| {' | '.join(_COLUMNS)} |"
    yield "|---" * len(_COLUMNS) + "|"
    for row in rows:
        yield f"| {' | '.join(cells(row))} |"


def misses(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what is not as it must be; time is judged here and in no test."""
    for row in rows:
        if row.failed:
            yield f"{row.name}: {row.failed} of {row.honest} honest requests failed: {'; '.join(row.faults)}"
        if row.unexpected:
            yield f"{row.name}: the attackers saw {row.unexpected}"
        if row.p99_ms >= MOST_P99_MS:
            yield f"{row.name}: p99 of the honest is {row.p99_ms:.0f} ms"
        if row.mib >= MOST_MIB:
            yield f"{row.name}: {row.mib:.0f} MiB"
