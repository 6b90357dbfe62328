"""Confidence sequences: intervals that hold at every look at once, so that looking often is no fault.

They are the asymptotic confidence sequences of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas ("Time-uniform central
limit theory and asymptotic confidence sequences", 2021): a normal mixture's boundary, with the variance as estimated.
Requests of one unit go together, so variances are those of units (the linearised ratio of two sums), and the time that
passes is counted in units.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Sums(NamedTuple):
    """What is known of one metric in one variant.

    Of each unit, ``n`` is how many requests of it have the metric and ``y`` the sum of their values; here are the
    units, and over them the sums of n, n², y, y² and ny. Sums of two sets of units add up.
    """

    units: int = 0
    requests: float = 0.0
    request_squares: float = 0.0
    total: float = 0.0
    total_squares: float = 0.0
    products: float = 0.0

    @property
    def mean(self) -> float:
        """The mean of all requests; 0 where there are none."""
        return self.total / self.requests if self.requests else 0.0

    @property
    def variance_of_mean(self) -> float:
        """The variance of ``mean``, whose requests come in units; infinite of fewer than two."""
        if self.units <= 1 or not self.requests:
            return math.inf
        mean = self.mean
        # Sum over units of (y - mean * n) squared.
        squares = self.total_squares - 2 * mean * self.products + mean * mean * self.request_squares
        return max(0.0, squares) / self.requests**2 * self.units / (self.units - 1)

    def floored(self) -> float:
        """Return the variance of a ratio's mean, not below what a single other outcome would have made it.

        Where nothing has failed yet, nothing has varied; that is no proof that nothing ever will.
        """
        if not self.units:
            return math.inf
        ratio = 1 / (self.units + 2)
        return max(self.variance_of_mean, ratio * (1 - ratio) / self.units)


class Interval(NamedTuple):
    """An estimate and the interval that holds the truth at all looks together, but with the error's probability."""

    estimate: float
    low: float
    high: float

    def over(self, divisor: float) -> Interval:
        """Return it as parts of ``divisor``, which is positive."""
        return Interval(self.estimate / divisor, self.low / divisor, self.high / divisor)

    def turned(self) -> Interval:
        """Return it with its signs turned."""
        return Interval(-self.estimate, -self.high, -self.low)


def radius(units: int, error_probability: float, planned_units: int) -> float:
    """Return how many standard errors the interval reaches to each side, after ``units``; infinite before the first.

    It is least, for what it promises, about ``planned_units``.
    """
    if units <= 0:
        return math.inf
    twice_log = -2 * math.log(error_probability)
    passed = units * (twice_log + math.log(twice_log) + 1) / planned_units
    return math.sqrt((passed + 1) / passed * (twice_log + math.log(passed + 1)))


class Promise(NamedTuple):
    """With which probability an interval may miss at any look, and where it is narrowest for that."""

    error_probability: float
    planned_units: int


def difference(control: Sums, variant: Sums, promise: Promise, *, is_ratio: bool = False) -> Interval:
    """Return the difference of means, the variant's less the control's."""
    estimate = variant.mean - control.mean
    variance = _variance(control, is_ratio) + _variance(variant, is_ratio)
    return _around(estimate, variance, radius(control.units + variant.units, *promise))


def adaptive_difference(control: Sums, variant: Sums, promise: Promise, *, is_ratio: bool = False) -> Interval:
    """Return the difference where shares have followed the figures: each mean's own sequence, and their worst case."""
    half = Promise(promise.error_probability / 2, promise.planned_units)
    ours, theirs = mean_of(variant, half, is_ratio=is_ratio), mean_of(control, half, is_ratio=is_ratio)
    return Interval(ours.estimate - theirs.estimate, ours.low - theirs.high, ours.high - theirs.low)


def mean_of(sums: Sums, promise: Promise, *, is_ratio: bool = False) -> Interval:
    """Return a variant's mean."""
    return _around(sums.mean, _variance(sums, is_ratio), radius(sums.units, *promise))


def _variance(sums: Sums, is_ratio: bool) -> float:
    return sums.floored() if is_ratio else sums.variance_of_mean


def _around(estimate: float, variance: float, errors: float) -> Interval:
    # What has not varied at all is certain, as far as it goes; nothing is known before there are two.
    reach = 0.0 if not variance else math.sqrt(variance) * errors
    return Interval(estimate, estimate - reach, estimate + reach)
