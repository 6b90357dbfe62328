"""What the figures of an experiment say, and whether it must end for somebody's good.

All wrong calls of an experiment together have at most its error's probability, however often it is looked at: four
fifths of it are the deciding metric's, over all variants, the rest the guardrails'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from penstock_gateway.domain.experiments.confidence import Interval, Promise, Sums, adaptive_difference, difference
from penstock_gateway.domain.experiments.definition import CONTROL, Experiment, Measure, Metric
from penstock_gateway.domain.experiments.sample_ratio import MISMATCH_PROBABILITY, mismatch_probability

_DECIDING_PART = 0.8

Figures = Mapping[Metric, Sums]
"""Of one variant."""


class Verdict(StrEnum):
    """What can be said of a variant."""

    TOO_FEW = "too_few"
    UNDECIDED = "undecided"
    BETTER = "better"
    WORSE = "worse"
    AS_GOOD = "as_good"
    HARMS = "harms"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of a variant beside the control's. ``relative`` is None where the control's mean is 0."""

    measure: Measure
    control: Sums
    variant: Sums
    difference: Interval
    relative: Interval | None
    is_harmful: bool = False


class VariantJudgement(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one variant, and in words."""

    name: str
    verdict: Verdict
    words: str
    comparisons: tuple[Comparison, ...]


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of an experiment.

    ``mismatch_probability`` is that of the shares being what was set; None where they follow the figures, or where
    nobody was counted by them. ``stop_reason`` is empty where it may go on.
    """

    variants: tuple[VariantJudgement, ...]
    mismatch_probability: float | None = None
    stop_reason: str = ""

    @property
    def has_mismatch(self) -> bool:
        """Whether something else than chance decides who is counted, so that nothing else here can be believed."""
        return self.mismatch_probability is not None and self.mismatch_probability < MISMATCH_PROBABILITY


def judge(experiment: Experiment, seen: Mapping[str, Figures], units: Mapping[str, int]) -> Judgement:
    """Return what the figures say; ``seen`` has each variant's, ``units`` how many of each there are, by name."""
    control = seen.get(CONTROL, {})
    judged: list[VariantJudgement] = []
    for variant in experiment.variants:
        figures = seen.get(variant.name, {})
        comparisons = tuple(_compare(experiment, measure, control, figures) for measure in experiment.measures)
        fewest = min(units.get(CONTROL, 0), units.get(variant.name, 0))
        verdict = _verdict(experiment, comparisons, fewest)
        words = _words(experiment, variant.name, verdict, comparisons)
        judged.append(VariantJudgement(name=variant.name, verdict=verdict, words=words, comparisons=comparisons))
    harmful = [one.words for one in judged if one.verdict is Verdict.HARMS]
    return Judgement(
        variants=tuple(judged), mismatch_probability=_mismatch(experiment, units), stop_reason=" ".join(harmful)
    )


def _mismatch(experiment: Experiment, units: Mapping[str, int]) -> float | None:
    if experiment.adaptive is not None or experiment.shadow:
        return None
    return mismatch_probability([units.get(name, 0) for name in experiment.names], experiment.shares)


def _promise(experiment: Experiment, measure: Measure) -> Promise:
    guardrails = sum(one.guardrail is not None for one in experiment.measures)
    is_deciding = measure is experiment.measures[0]
    whole = experiment.error_probability / len(experiment.variants)
    if is_deciding:
        return Promise(whole * _DECIDING_PART if guardrails else whole, experiment.planned_samples)
    return Promise(whole * (1 - _DECIDING_PART) / max(guardrails, 1), experiment.planned_samples)


def _compare(experiment: Experiment, measure: Measure, control: Figures, variant: Figures) -> Comparison:
    ours, theirs, metric = variant.get(measure.metric, Sums()), control.get(measure.metric, Sums()), measure.metric
    compared = difference if experiment.adaptive is None else adaptive_difference
    found = compared(theirs, ours, _promise(experiment, measure), is_ratio=metric.is_ratio)
    is_harmful = False
    if measure.guardrail is not None and min(ours.units, theirs.units) >= experiment.minimum_samples:
        worse = found.turned() if measure.more_is_better else found
        is_harmful = worse.low > measure.guardrail * (1.0 if metric.is_ratio else abs(theirs.mean))
    return Comparison(
        measure=measure,
        control=theirs,
        variant=ours,
        difference=found,
        relative=found.over(theirs.mean) if theirs.mean > 0 else None,
        is_harmful=is_harmful,
    )


def _verdict(experiment: Experiment, comparisons: Sequence[Comparison], fewest: int) -> Verdict:
    deciding = comparisons[0]
    if any(one.is_harmful for one in comparisons):
        return Verdict.HARMS
    if min(fewest, deciding.control.units, deciding.variant.units) < experiment.minimum_samples:
        return Verdict.TOO_FEW
    gain = deciding.difference if deciding.measure.more_is_better else deciding.difference.turned()
    if gain.low > 0:
        return Verdict.BETTER
    if gain.high < 0:
        return Verdict.WORSE
    near = experiment.near * abs(deciding.control.mean)
    return Verdict.AS_GOOD if -near <= gain.low and gain.high <= near else Verdict.UNDECIDED


def _words(experiment: Experiment, name: str, verdict: Verdict, comparisons: Sequence[Comparison]) -> str:
    deciding = comparisons[0]
    told = described(deciding)
    if verdict is Verdict.HARMS:
        harms = "; ".join(described(one) for one in comparisons if one.is_harmful)
        return f"'{name}' does harm beyond its guardrail: {harms}."
    if verdict is Verdict.TOO_FEW:
        fewest = min(deciding.control.units, deciding.variant.units)
        return f"Too few to say: {fewest} of {experiment.minimum_samples} in the smaller of '{name}' and control."
    if verdict is Verdict.UNDECIDED:
        return f"'{name}' cannot be told from control yet: {told}."
    if verdict is Verdict.AS_GOOD:
        return f"'{name}' is as good as control: {told}."
    return f"'{name}' is {verdict.value} than control: {told}."


def described(comparison: Comparison) -> str:
    """Return a difference in words, such as ``cost -4.2 % (between -6.1 % and -2.3 %)``."""
    found, unit = comparison.difference, ""
    if comparison.measure.metric.is_ratio:
        found, unit = Interval(*[100 * value for value in found]), " points"
    elif comparison.relative is not None:
        found, unit = Interval(*[100 * value for value in comparison.relative]), " %"
    name = comparison.measure.metric.value.replace("_", " ")
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return f"{name} {found.estimate:+.2f}{unit}, nothing is known of its spread"
    return f"{name} {found.estimate:+.2f}{unit} (between {found.low:+.2f} and {found.high:+.2f})"
