"""How many requests come each second: made up, or recorded.

A record is CSV with a header: ``second,critical,default,sheddable``, a row for each second in which somebody came.
"""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path

CLASSES = ("critical", "default", "sheddable")
"""Of the header ``x-penstock-priority``, the one that matters most first."""
SHARES = (0.2, 0.5, 0.3)
TIMES = 10
"""What a step and a spike are, beside what was before."""
Arrivals = list[tuple[int, ...]]
Shape = Callable[[float], float]


def steady(_: float) -> float:
    """Return one, always."""
    return 1.0


def step(minute: float) -> float:
    """Return one for ten minutes, ten for twenty-five, and one again."""
    return float(TIMES) if 10 <= minute < 35 else 1.0


def spike(minute: float) -> float:
    """Return ten for ninety seconds after ten minutes."""
    return float(TIMES) if 10 <= minute < 11.5 else 1.0


def diurnal(minute: float) -> float:
    """Return a day of two hours: one in the night, five at its height."""
    return 3 - 2 * math.cos(2 * math.pi * minute / 120)


def nights(minute: float) -> float:
    """Return nothing for ten minutes, one for fifteen, and nothing again."""
    return 1.0 if 10 <= minute < 25 else 0.0


def waves(minute: float) -> float:
    """Return five for five minutes of every ten, else one."""
    return 5.0 if minute % 10 >= 5 else 1.0


SHAPES: dict[str, tuple[Shape, int]] = {
    "steady": (steady, 30), "step": (step, 70), "spike": (spike, 40), "diurnal": (diurnal, 150), "nights": (nights, 50),
    "waves": (waves, 60),
}  # fmt: skip
"""By name: the shape, and how many minutes of it."""


def synthetic(shape: Shape, minutes: int, a_second: float, seed: int) -> Arrivals:
    """Return Poisson arrivals of each class, ``a_second`` of all together where the shape is one."""
    chance = random.Random(seed)
    return [
        tuple(_poisson(chance, shape(second / 60) * a_second * share) for share in SHARES)
        for second in range(minutes * 60)
    ]


def _poisson(chance: random.Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    count, left = 0, math.exp(-mean)
    product = chance.random()
    while product > left:
        count += 1
        product *= chance.random()
    return count


def write(path: Path, arrivals: Sequence[Sequence[int]]) -> None:
    """Write a record."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("second", *CLASSES))
        rows.writerows((second, *each) for second, each in enumerate(arrivals) if any(each))


def read(path: Path) -> Arrivals:
    """Return what a record says; a row that is not one is a ``ValueError`` that names its line."""
    with path.open(newline="") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) != ("second", *CLASSES):
            raise ValueError(f"{path}: the first line has to be second,{','.join(CLASSES)}")
        found: dict[int, tuple[int, ...]] = {}
        for row in rows:
            try:
                second, *counts = map(int, row)
            except ValueError as error:
                raise ValueError(f"{path}:{rows.line_num}: {error}") from None
            if len(counts) != len(CLASSES) or second < 0 or min(counts) < 0:
                raise ValueError(f"{path}:{rows.line_num}: four whole numbers from 0 on are wanted")
            found[second] = tuple(counts)
    nobody = (0,) * len(CLASSES)
    return [found.get(second, nobody) for second in range(max(found, default=-1) + 1)]
