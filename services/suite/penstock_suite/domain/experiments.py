"""Experiments as people see them, and what may be done to them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec


class VariantRow(msgspec.Struct, frozen=True, kw_only=True):
    """A variant: its share, from 0 to 1, what it has (an empty model or prompt: the caller's own), and the units counted."""

    name: str
    share: float
    model: str
    prompt: str
    units: int


class ExperimentRow(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment, on ``models`` or on a ``prompt``; ``state`` is running, stopped or promoted, whatever its times say."""

    name: str
    models: tuple[str, ...]
    prompt: str
    unit: str
    variants: tuple[VariantRow, ...]
    is_shadow: bool
    is_adaptive: bool
    state: str
    is_running: bool
    promoted_variant: str
    reason: str
    changed_at: datetime | None
    minimum_samples: int


class IntervalRow(msgspec.Struct, frozen=True):
    """An estimate and the interval that holds the truth at all looks together."""

    estimate: float
    low: float
    high: float


class ComparisonRow(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of a variant beside the control's; intervals are None while nothing is known of the spread.

    ``relative`` is the difference as a part of the control's mean.
    """

    metric: str
    more_is_better: bool
    control_count: int
    variant_count: int
    control_mean: float
    variant_mean: float
    difference: IntervalRow | None
    relative: IntervalRow | None
    guardrail: float | None
    is_harmful: bool


class ResultRow(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said of a variant, the deciding metric first."""

    variant: str
    verdict: str
    words: str
    comparisons: tuple[ComparisonRow, ...]


class ExperimentResults(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment has found so far; with ``has_mismatch`` none of it can be believed."""

    experiment: ExperimentRow
    results: tuple[ResultRow, ...]
    mismatch_probability: float | None
    has_mismatch: bool
    stop_reason: str


class Experiments(Protocol):
    """Reports on experiments, ends, begins and promotes."""

    async def experiments(self) -> tuple[ExperimentRow, ...]:
        """Return all of the configuration, in its order."""
        ...

    async def experiment_results(self, name: str) -> ExperimentResults:
        """Return what one has found."""
        ...

    async def stop_experiment(self, name: str, reason: str) -> ExperimentRow:
        """Return one whose control everybody has."""
        ...

    async def start_experiment(self, name: str) -> ExperimentRow:
        """Return one that goes on."""
        ...

    async def promote_variant(self, name: str, variant: str) -> ExperimentRow:
        """Return one of which everybody has a variant."""
        ...
