"""What a load would cost, with ranges: days that were are drawn again and again, as if they came in another mix."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import msgspec

from penstock_suite.domain.estimate.costs import Cpu, Sizes, UnitCosts
from penstock_suite.domain.estimate.observed import Day, Observed

SEED = 20_261_101
DRAWS = 500
LEAST_REQUESTS = 1000
WIDENED = 0.3
"""What a range is at least where there is too little to tell, to either side."""
_HOURS_OF_A_MONTH = 730.0
_NANO = 1e9
_LOW, _HIGH = 0.1, 0.9
_SECONDS_OF_A_DAY = 86_400.0


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be served: so many requests a day, for so many days."""

    requests_per_day: float
    days: float = 30.0

    @property
    def requests(self) -> float:
        """All of them."""
        return self.requests_per_day * self.days


class Figure(msgspec.Struct, frozen=True):
    """A figure, and between what it is in eight of ten draws."""

    value: float
    p10: float
    p90: float


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an estimate: how much of what, and its dollars."""

    name: str
    amount: Figure
    unit: str
    usd: Figure


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a load would cost in its ``days``. ``sample`` is the number of requests, and ``sample_days`` of days, that it is of."""

    load: Load
    sample: int
    sample_days: int
    hit_rate: float
    items: tuple[Item, ...]
    total_usd: Figure
    per_million_usd: Figure
    model_per_million_usd: Figure
    warnings: tuple[str, ...]
    is_assumed: bool
    seed: int = SEED
    draws: int = DRAWS


class Machines(msgspec.Struct, frozen=True, kw_only=True):
    """What machines cost and take."""

    costs: UnitCosts = UnitCosts()
    sizes: Sizes = Sizes()
    cpu: Cpu = Cpu()


class _Line(msgspec.Struct, frozen=True):
    name: str
    amount: float
    unit: str
    usd: float


def estimate(observed: Observed, load: Load, machines: Machines) -> Estimate:
    """Return what the load would cost, were its requests like those observed.

    Raises:
        ValueError: if none was observed.
    """
    total = observed.total
    if not total.requests:
        raise ValueError("the ledger has no request of that time: say another with --from, or what to --assume")
    lines = _lines(total, observed.peak, load, machines)
    drawn = [_lines(day, observed.peak, load, machines) for day in draws_of(observed.days)]
    warnings = _warnings(observed, total)
    least = WIDENED if _is_thin(observed, total) else 0.0
    items = tuple(
        Item(
            name=line.name,
            amount=_figure(line.amount, [draw[at].amount for draw in drawn], least if line.unit != "a month" else 0.0),
            unit=line.unit,
            usd=_figure(line.usd, [draw[at].usd for draw in drawn], least if line.unit != "a month" else 0.0),
        )
        for at, line in enumerate(lines)
    )
    totals = [sum(line.usd for line in draw) for draw in drawn]
    whole = _figure(sum(line.usd for line in lines), totals, least)
    return Estimate(
        load=load,
        sample=round(total.requests),
        sample_days=len(observed.days),
        hit_rate=total.hits / total.requests,
        items=items,
        total_usd=whole,
        per_million_usd=_per_million(whole, load),
        model_per_million_usd=_per_million(items[0].usd, load),
        warnings=warnings,
        is_assumed=observed.is_assumed,
    )


def _lines(day: Day, peak: float, load: Load, machines: Machines) -> list[_Line]:
    costs, sizes, cpu = machines.costs, machines.sizes, machines.cpu
    hours, months = load.days * 24, load.days * 24 / _HOURS_OF_A_MONTH
    per_second = load.requests_per_day / _SECONDS_OF_A_DAY * peak
    hit_share, own = day.hits / day.requests, day.own_seconds / day.requests
    cpu_seconds = hit_share * sum(cpu.hit.values()) + (1 - hit_share) * sum(cpu.miss.values())
    vcpus = _whole(per_second * cpu_seconds / sizes.cpu_utilisation)
    gpus = _whole(per_second * own / sizes.gpu_streams / sizes.gpu_utilisation)
    gigabytes = load.requests * sizes.row_bytes / 1e9
    return [
        _Line("models", load.requests, "requests", day.cost / day.requests * load.requests / _NANO),
        _Line("vCPUs", vcpus, "vCPUs", vcpus * hours * costs.vcpu_hour),
        _Line("GPUs", gpus, "GPUs", gpus * hours * costs.gpu_hour),
        _Line("Redis", 1, "a month", months * costs.redis_month),
        _Line("database", gigabytes, "GB more", gigabytes * costs.storage_gb_month),
        _Line("operations", 1, "a month", months * costs.operations_month),
    ]


def _whole(machines: float) -> float:
    # What is a whole number but for the last bit of a float is one.
    return float(math.ceil(round(machines, 9)))


def draws_of(days: Sequence[Day]) -> list[Day]:
    """Return the sums of days drawn with replacement; those without a request say nothing."""
    if len(days) < 2:  # noqa: PLR2004 - of one there is one mix
        return list(days)
    draw = random.Random(SEED)  # noqa: S311 - a sample, and no secret
    names = Day.__struct_fields__
    columns = [[getattr(day, name) for day in days] for name in names]
    places = range(len(days))
    found: list[Day] = []
    for _ in range(DRAWS):
        chosen = draw.choices(places, k=len(days))
        day = Day(**{name: sum(column[at] for at in chosen) for name, column in zip(names, columns, strict=True)})
        if day.requests:
            found.append(day)
    return found


def _figure(value: float, drawn: Sequence[float], least: float) -> Figure:
    ordered = sorted(drawn)
    last = len(ordered) - 1
    low, high = ordered[round(_LOW * last)], ordered[round(_HIGH * last)]
    return Figure(value, min(low, value * (1 - least)), max(high, value * (1 + least)))


def _per_million(figure: Figure, load: Load) -> Figure:
    million = 1e6 / load.requests if load.requests else 0.0
    return Figure(figure.value * million, figure.p10 * million, figure.p90 * million)


def _is_thin(observed: Observed, total: Day) -> bool:
    return not observed.is_assumed and (total.requests < LEAST_REQUESTS or observed.length_days < 1)


def _warnings(observed: Observed, total: Day) -> tuple[str, ...]:
    told: list[str] = []
    if _is_thin(observed, total):
        told.append(
            f"{total.requests:,.0f} requests of {observed.length_days:.1f} days are too few to tell: "
            f"ranges are {WIDENED:.0%} wide at least, to either side"
        )
    if not observed.is_assumed and len(observed.days) == 1:
        told.append("one day says nothing of how days differ")
    if total.unpriced:
        told.append(f"{total.unpriced:,.0f} requests have no price, and count as 0")
    return tuple(told)
