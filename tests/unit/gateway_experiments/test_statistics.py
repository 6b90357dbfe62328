"""What figures say of a difference: intervals that hold at every look, and verdicts made of them."""

from __future__ import annotations

import math
import random

import pytest

from penstock_gateway.domain.experiments.confidence import (
    Promise,
    Sums,
    adaptive_difference,
    difference,
    mean_of,
    radius,
)
from penstock_gateway.domain.experiments.definition import AdaptiveShares, Experiment, Measure, Metric, Variant
from penstock_gateway.domain.experiments.judgement import Judgement, Verdict, judge
from penstock_gateway.domain.experiments.sample_ratio import mismatch_probability
from penstock_gateway.domain.experiments.thompson import adapted_shares, bounded

_PROMISE = Promise(0.05, 10_000)


def _sums(units: list[tuple[int, float]]) -> Sums:
    return Sums(
        len(units),
        sum(n for n, _ in units),
        sum(n * n for n, _ in units),
        sum(y for _, y in units),
        sum(y * y for _, y in units),
        sum(n * y for n, y in units),
    )


def _plain(units: int, mean: float, deviation: float) -> Sums:
    squares = units * (mean * mean + deviation * deviation)
    return Sums(units, units, units, units * mean, squares, units * mean)


def _experiment(**changes: object) -> Experiment:
    parts: dict[str, object] = {
        "name": "cheaper",
        "models": frozenset({"fast"}),
        "variants": (Variant(name="candidate", share=0.5, model="other"),),
        "measures": (
            Measure(metric=Metric.COST, more_is_better=False),
            Measure(metric=Metric.ERROR_RATE, more_is_better=False, guardrail=0.02),
        ),
    }
    return Experiment(**(parts | changes))  # type: ignore[arg-type]


def _judged(control: Sums, variant: Sums, failures: tuple[Sums, Sums] | None = None, **changes: object) -> Judgement:
    told = failures or (_plain(control.units, 0.01, 0.1), _plain(variant.units, 0.01, 0.1))
    seen = {
        "control": {Metric.COST: control, Metric.ERROR_RATE: told[0]},
        "candidate": {Metric.COST: variant, Metric.ERROR_RATE: told[1]},
    }
    return judge(_experiment(**changes), seen, {"control": control.units, "candidate": variant.units})


def test_of_units_with_one_request_each_it_is_the_plain_variance() -> None:
    values = [1.0, 2.0, 4.0, 9.0]
    sums = _sums([(1, value) for value in values])
    spread = sum((value - 4.0) ** 2 for value in values) / 3
    assert sums.mean == 4.0
    assert sums.variance_of_mean == pytest.approx(spread / 4)


def test_requests_of_one_unit_are_no_evidence_of_their_own() -> None:
    """A hundred equal requests of each of two users say as much as one of each."""
    once, often = _sums([(1, 1.0), (1, 3.0)]), _sums([(100, 100.0), (100, 300.0)])
    assert often.variance_of_mean == pytest.approx(once.variance_of_mean)


def test_nothing_is_known_of_fewer_than_two_units() -> None:
    assert _sums([(5, 2.0)]).variance_of_mean == math.inf
    assert difference(Sums(), Sums(), _PROMISE).high == math.inf
    assert math.isinf(radius(0, 0.05, 100))


def test_the_interval_is_narrowest_for_what_it_promises_where_it_was_planned_to_be() -> None:
    def at(planned: int) -> float:
        return radius(10_000, 0.05, planned)

    assert at(10_000) == pytest.approx(3.03, abs=0.02)
    assert at(10_000) < min(at(1_000), at(100_000))


def test_no_failure_so_far_is_no_proof_that_there_never_is_one() -> None:
    none = _plain(300, 0.0, 0.0)
    found = mean_of(none, _PROMISE, is_ratio=True)
    assert found.high > 0.01


def test_the_first_of_the_measures_decides() -> None:
    assert _judged(_plain(5000, 10.0, 5.0), _plain(5000, 9.0, 5.0)).variants[0].verdict is Verdict.BETTER
    assert _judged(_plain(5000, 10.0, 5.0), _plain(5000, 11.0, 5.0)).variants[0].verdict is Verdict.WORSE
    assert _judged(_plain(5000, 10.0, 5.0), _plain(5000, 10.1, 5.0)).variants[0].verdict is Verdict.UNDECIDED
    assert _judged(_plain(500_000, 10.0, 5.0), _plain(500_000, 10.0, 5.0)).variants[0].verdict is Verdict.AS_GOOD


def test_what_is_better_may_be_more() -> None:
    measures = (Measure(metric=Metric.COST, more_is_better=True),)
    found = _judged(_plain(5000, 10.0, 5.0), _plain(5000, 11.0, 5.0), measures=measures)
    assert found.variants[0].verdict is Verdict.BETTER


def test_nothing_is_called_below_the_minimum() -> None:
    found = _judged(_plain(199, 10.0, 0.1), _plain(5000, 1.0, 0.1)).variants[0]
    assert found.verdict is Verdict.TOO_FEW
    assert "199 of 200" in found.words


def test_harm_beyond_the_guardrail_stops_it_whatever_it_gains() -> None:
    failing = (_plain(5000, 0.01, 0.1), _plain(5000, 0.06, 0.24))
    found = _judged(_plain(5000, 10.0, 5.0), _plain(5000, 5.0, 5.0), failing)
    assert found.variants[0].verdict is Verdict.HARMS
    assert "error rate" in found.stop_reason


def test_harm_within_the_guardrail_does_not_stop_it() -> None:
    failing = (_plain(5000, 0.01, 0.1), _plain(5000, 0.03, 0.17))
    assert not _judged(_plain(5000, 10.0, 5.0), _plain(5000, 9.0, 5.0), failing).stop_reason


def test_shares_that_are_not_what_was_set_are_told() -> None:
    assert not _judged(_plain(5000, 1.0, 1.0), _plain(5100, 1.0, 1.0)).has_mismatch
    assert _judged(_plain(5000, 1.0, 1.0), _plain(5600, 1.0, 1.0)).has_mismatch


def test_a_variant_that_nobody_should_have_is_a_mismatch() -> None:
    assert mismatch_probability([10, 1], [1.0, 0.0]) == 0.0


def test_equal_shares_are_called_unequal_hardly_ever_however_often_one_looks() -> None:
    draws, false = random.Random(3), 0
    for _ in range(100):
        counts = [0, 0]
        for number in range(1, 2001):
            counts[draws.random() < 0.2] += 1
            if number % 40 == 0 and mismatch_probability(counts, [0.8, 0.2]) < 0.05:
                false += 1
                break
    assert false <= 5


def _looked_at(draws: random.Random, factor: float, users: int) -> Verdict:
    """Return what an A/B over latencies comes to that is judged after every forty users of each half."""
    experiment = _experiment(measures=(Measure(metric=Metric.LATENCY, more_is_better=False),))
    halves: list[list[float]] = [[0.0, 0.0], [0.0, 0.0]]
    for number in range(1, users + 1):
        for half, by in zip(halves, (1.0, factor), strict=True):
            value = draws.lognormvariate(0.0, 0.4724) * by
            half[0] += value
            half[1] += value * value
        if number % 40 == 0 and number >= experiment.minimum_samples:
            control, variant = (Sums(number, number, number, half[0], half[1], half[0]) for half in halves)
            seen = {"control": {Metric.LATENCY: control}, "candidate": {Metric.LATENCY: variant}}
            verdict = judge(experiment, seen, {"control": number, "candidate": number}).variants[0].verdict
            if verdict in (Verdict.BETTER, Verdict.WORSE):
                return verdict
    return Verdict.UNDECIDED


def test_a_planted_difference_of_five_percent_is_called_rightly_and_nothing_falsely() -> None:
    """The short form of ``make bench-experiments``."""
    draws = random.Random(1)
    planted = [_looked_at(draws, 1.05, 5000) for _ in range(40)]
    null = [_looked_at(draws, 1.0, 2000) for _ in range(100)]
    assert planted.count(Verdict.WORSE) >= 36
    assert Verdict.BETTER not in planted
    assert len(null) - null.count(Verdict.UNDECIDED) <= 5


def test_where_shares_follow_the_figures_intervals_are_wider() -> None:
    control, variant = _plain(1000, 1.0, 1.0), _plain(1000, 1.1, 1.0)
    plain, adaptive = difference(control, variant, _PROMISE), adaptive_difference(control, variant, _PROMISE)
    assert adaptive.low < plain.low < plain.high < adaptive.high


def test_more_get_what_is_likely_to_be_the_best_inside_bounds() -> None:
    bounds = AdaptiveShares(0.1, 0.7)
    arms = [_plain(500, 1.0, 1.0), _plain(500, 0.8, 1.0), _plain(500, 1.2, 1.0)]
    shares = adapted_shares(arms, bounds, random.Random(1), more_is_better=False)
    assert shares == pytest.approx([0.15, 0.7, 0.15], abs=0.05)
    assert sum(shares) == pytest.approx(1)
    near = adapted_shares([_plain(500, 1.0, 1.0)] * 2, bounds, random.Random(1), more_is_better=False)
    assert near == pytest.approx([0.5, 0.5], abs=0.05)


def test_shares_are_equal_while_nothing_is_known() -> None:
    assert adapted_shares([Sums(), Sums()], AdaptiveShares(0.1, 0.9), random.Random(1), more_is_better=False) == [
        0.5,
        0.5,
    ]


def test_bounds_hold() -> None:
    assert bounded([1.0, 0.0, 0.0], AdaptiveShares(0.2, 0.6)) == pytest.approx([0.6, 0.2, 0.2])


def test_other_shares_are_another_phase_and_a_later_end_is_not() -> None:
    grown = (Variant(name="candidate", share=0.6, model="other"),)
    assert _experiment().phase != _experiment(variants=grown).phase
    assert _experiment().phase == _experiment(minimum_samples=7).phase
    bounds = AdaptiveShares(0.1, 0.9)
    assert _experiment(adaptive=bounds).phase == _experiment(adaptive=bounds, variants=grown).phase
