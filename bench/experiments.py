"""How often experiments are called rightly and wrongly while somebody looks all the time, by the gateway's own judgement.

Each simulation is an experiment of two equal halves whose users come one after another; it is judged after every
``LOOK_EVERY`` users of each half or few more, from the first look that the minimum allows, and ended by the first call that it
makes. A planted difference of five percent of the control's mean must be called, by its right sign, in 90 % of the
simulations, a difference of nothing in at most 5 %. Figures are random by a fixed seed.
Usage: python bench/experiments.py [--quick] [--json].
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from penstock_gateway.domain.experiments.confidence import Sums
from penstock_gateway.domain.experiments.definition import Experiment, Measure, Metric, Variant
from penstock_gateway.domain.experiments.judgement import Verdict, judge

PLANTED = 0.05
LOOK_EVERY = 20
"""Users of each half; of those before where that is more than a hundredth of them."""
SEED = 20260701
Draw = Callable[[np.random.Generator, int, float], np.ndarray]
"""Draws so many values, whose mean is that of the control times a factor."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What a metric looks like. ``users`` are those of each half after which an experiment is given up."""

    name: str
    metric: Metric
    users: int
    told: str
    draw: Draw


def _lognormal(sigma: float, mean: float) -> Draw:
    def draw(random: np.random.Generator, size: int, factor: float) -> np.ndarray:
        return random.lognormal(math.log(mean * factor) - sigma * sigma / 2, sigma, size)

    return draw


def _bernoulli(ratio: float) -> Draw:
    return lambda random, size, factor: (random.random(size) < ratio * factor).astype(float)


WORKLOADS = (
    Workload("cost", Metric.COST, 20_000, "log-normal, standard deviation 1.0 of the mean", _lognormal(0.8326, 2e-3)),
    Workload(
        "latency", Metric.LATENCY, 6_000, "log-normal, standard deviation 0.5 of the mean", _lognormal(0.4724, 3.0)
    ),
    Workload("feedback", Metric.FEEDBACK, 6_000, "a thumb, 80 % up; the difference is 4 points", _bernoulli(0.8)),
    Workload("error rate", Metric.ERROR_RATE, 100_000, "20 % fail; the difference is 1 point", _bernoulli(0.2)),
)


def experiment_of(workload: Workload) -> Experiment:
    """Return an A/B on the workload's metric, with a guardrail beside it that nothing touches."""
    return Experiment(
        name="simulated",
        models=frozenset({"fast"}),
        variants=(Variant(name="candidate", share=0.5, model="other"),),
        measures=(Measure(metric=workload.metric, more_is_better=workload.metric.more_is_better),),
    )


def called(workload: Workload, random: np.random.Generator, factor: float) -> tuple[Verdict, int]:
    """Return what one simulated experiment comes to, and after how many users of each half."""
    control = _running(workload.draw(random, workload.users, 1.0))
    variant = _running(workload.draw(random, workload.users, factor))
    experiment = experiment_of(workload)
    users = experiment.minimum_samples
    while users <= workload.users:
        seen = {"control": {workload.metric: control(users)}, "candidate": {workload.metric: variant(users)}}
        found = judge(experiment, seen, {"control": users, "candidate": users}).variants[0].verdict
        if found in (Verdict.BETTER, Verdict.WORSE, Verdict.HARMS):
            return found, users
        users += max(LOOK_EVERY, users // 100)
    return Verdict.UNDECIDED, workload.users


def _running(values: np.ndarray) -> Callable[[int], Sums]:
    totals, squares = np.cumsum(values).tolist(), np.cumsum(values * values).tolist()
    return lambda n: Sums(n, n, n, totals[n - 1], squares[n - 1], totals[n - 1])


def called_of_revisiting(random: np.random.Generator, factor: float) -> tuple[Verdict, int]:
    """Return the same of users who each have a pace of their own and come again and again, requests in any order."""
    people, requests, workload = 2_000, 40_000, WORKLOADS[1]
    experiment, halves = experiment_of(workload), (_Half(), _Half())
    pace = np.exp(random.normal(0.0, 0.3, people))
    who, noise = random.integers(0, people, requests), random.lognormal(0.0, 0.4, requests)
    times = (pace[who] * noise * np.where(who % 2, factor, 1.0)).tolist()
    for number, (person, value) in enumerate(zip(who.tolist(), times, strict=True), start=1):
        halves[person % 2].take(person, value)
        if number % (4 * LOOK_EVERY) == 0:
            control, variant = halves[0].sums, halves[1].sums
            seen = {"control": {workload.metric: control}, "candidate": {workload.metric: variant}}
            units = {"control": control.units, "candidate": variant.units}
            found = judge(experiment, seen, units).variants[0].verdict
            if found in (Verdict.BETTER, Verdict.WORSE):
                return found, number // 2
    return Verdict.UNDECIDED, requests // 2


class _Half:
    """Users of one variant, a request at a time."""

    def __init__(self) -> None:
        self.sums = Sums()
        self._people: dict[int, tuple[int, float]] = {}

    def take(self, person: int, value: float) -> None:
        n, y = self._people.get(person, (0, 0.0))
        m, z = n + 1, y + value
        self._people[person] = m, z
        seen = self.sums
        self.sums = Sums(
            seen.units + (n == 0),
            seen.requests + 1,
            seen.request_squares + m * m - n * n,
            seen.total + value,
            seen.total_squares + z * z - y * y,
            seen.products + m * z - n * y,
        )


def measured(workload: Workload, simulations: int) -> dict[str, Any]:
    """Return how often the workload's experiments were called rightly, wrongly, and of nothing at all."""
    random = np.random.default_rng(SEED)
    right = Verdict.BETTER if workload.metric.more_is_better else Verdict.WORSE
    planted = [called(workload, random, 1 + PLANTED) for _ in range(simulations)]
    null = [called(workload, random, 1.0) for _ in range(simulations)]
    return {
        "metric": workload.name,
        "values": workload.told,
        "users_of_each_half": workload.users,
        **_told(planted, null, right),
    }


def measured_of_revisiting(simulations: int) -> dict[str, Any]:
    """Return the same of users who come again; what is planted is twice as much, as there are few of them."""
    random = np.random.default_rng(SEED)
    planted = [called_of_revisiting(random, 1 + 2 * PLANTED) for _ in range(simulations)]
    null = [called_of_revisiting(random, 1.0) for _ in range(simulations)]
    return {
        "metric": "latency, users who come again",
        "values": "1,000 users of each half at 20 requests each, standard deviation 0.3 between and 0.4 within them; 10 %",
        "users_of_each_half": 1_000,
        **_told(planted, null, Verdict.WORSE),
    }


def _told(
    planted: Sequence[tuple[Verdict, int]], null: Sequence[tuple[Verdict, int]], right: Verdict
) -> dict[str, Any]:
    simulations = len(planted)
    taken = sorted(users for verdict, users in planted if verdict is right)
    return {
        "simulations": simulations,
        "called_rightly_ratio": sum(verdict is right for verdict, _ in planted) / simulations,
        "wrong_sign_ratio": sum(verdict not in (right, Verdict.UNDECIDED) for verdict, _ in planted) / simulations,
        "null_called_ratio": sum(verdict is not Verdict.UNDECIDED for verdict, _ in null) / simulations,
        "median_samples_to_a_call": taken[len(taken) // 2] if taken else None,
    }


def main() -> int:
    """Print the figures; return 1 where one misses what experiments promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 simulations instead of 1000")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    simulations = 100 if options.quick else 1000
    found: list[dict[str, Any]] = []
    for measure in (*[partial(measured, workload) for workload in WORKLOADS], measured_of_revisiting):
        began = time.monotonic()
        found.append(measure(simulations))
        if not options.json:
            print(found[-1], f"{time.monotonic() - began:.0f} s", flush=True)
    if options.json:
        print(json.dumps(found, indent=2))
    kept = all(one["called_rightly_ratio"] >= 0.9 and one["null_called_ratio"] <= 0.05 for one in found)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
