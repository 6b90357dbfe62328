"""ExperimentService as the command asks for it."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from penstock.gateway.v1 import experiment_service_pb2 as pb
from penstock_suite.domain.experiments import (
    ComparisonRow,
    ExperimentResults,
    ExperimentRow,
    IntervalRow,
    ResultRow,
    VariantRow,
)


class ExperimentClient:
    """Implements ``Experiments``: converts, asks, converts."""

    async def _ask(self, method: str, request: Any) -> Any:
        """Return what the service answers, or raise the ``SuiteFailure`` that says why not."""
        raise NotImplementedError

    async def experiments(self) -> tuple[ExperimentRow, ...]:
        """Return all of them."""
        return tuple(map(_row, (await self._ask("ListExperiments", pb.ListExperimentsRequest())).experiments))

    async def experiment_results(self, name: str) -> ExperimentResults:
        """Return what one has found."""
        told = await self._ask("GetExperiment", pb.GetExperimentRequest(name=name))
        return ExperimentResults(
            experiment=_row(told.experiment),
            results=tuple(map(_result, told.results)),
            mismatch_probability=_known(told, "mismatch_probability"),
            has_mismatch=told.has_mismatch,
            stop_reason=told.stop_reason,
        )

    async def stop_experiment(self, name: str, reason: str) -> ExperimentRow:
        """Return one whose control everybody has."""
        return _row((await self._ask("StopExperiment", pb.StopExperimentRequest(name=name, reason=reason))).experiment)

    async def start_experiment(self, name: str) -> ExperimentRow:
        """Return one that goes on."""
        return _row((await self._ask("StartExperiment", pb.StartExperimentRequest(name=name))).experiment)

    async def promote_variant(self, name: str, variant: str) -> ExperimentRow:
        """Return one of which everybody has a variant."""
        request = pb.PromoteVariantRequest(name=name, variant=variant)
        return _row((await self._ask("PromoteVariant", request)).experiment)


def _row(message: pb.Experiment) -> ExperimentRow:
    state = pb.Experiment.State.Name(message.state).removeprefix("STATE_").lower()
    return ExperimentRow(
        name=message.name,
        models=tuple(message.models),
        prompt=message.prompt,
        unit=message.unit,
        variants=tuple(
            VariantRow(name=one.name, share=one.share, model=one.model, prompt=one.prompt, units=one.units)
            for one in message.variants
        ),
        is_shadow=message.is_shadow,
        is_adaptive=message.is_adaptive,
        state=state,
        is_running=message.is_running,
        promoted_variant=message.promoted_variant,
        reason=message.reason,
        changed_at=message.changed_at.ToDatetime(UTC) if message.HasField("changed_at") else None,
        minimum_samples=message.minimum_samples,
    )


def _result(message: pb.ExperimentResult) -> ResultRow:
    verdict = pb.ExperimentResult.Verdict.Name(message.verdict).removeprefix("VERDICT_").lower()
    comparisons = tuple(map(_comparison, message.comparisons))
    return ResultRow(variant=message.variant, verdict=verdict, words=message.words, comparisons=comparisons)


def _comparison(message: pb.MetricComparison) -> ComparisonRow:
    return ComparisonRow(
        metric=message.metric,
        more_is_better=message.more_is_better,
        control_count=message.control_count,
        variant_count=message.variant_count,
        control_mean=message.control_mean,
        variant_mean=message.variant_mean,
        difference=_interval(message, "difference"),
        relative=_interval(message, "relative"),
        guardrail=_known(message, "guardrail"),
        is_harmful=message.is_harmful,
    )


def _interval(message: pb.MetricComparison, field: str) -> IntervalRow | None:
    interval = _known(message, field)
    return None if interval is None else IntervalRow(interval.estimate, interval.low, interval.high)


def _known(message: Any, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None
