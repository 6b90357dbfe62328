"""ExperimentService: convert, ask, convert."""

from __future__ import annotations

import math
from typing import Any

from penstock.gateway.v1 import experiment_service_pb2 as pb
from penstock_common.rpc.method import Handler
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.experiments.confidence import Interval
from penstock_gateway.domain.experiments.judgement import Comparison, VariantJudgement, Verdict
from penstock_gateway.domain.experiments.results import ExperimentAdministration, ExperimentReport, ExperimentSummary
from penstock_gateway.domain.experiments.running import State
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf
from penstock_gateway.surfaces.grpc.methods import handlers_of

_STATES: dict[State, Any] = {state: pb.Experiment.State.Value(f"STATE_{state.name}") for state in State}
_VERDICTS: dict[Verdict, Any] = {
    verdict: pb.ExperimentResult.Verdict.Value(f"VERDICT_{verdict.name}") for verdict in Verdict
}


class ExperimentServicer:
    """Serves what there is of experiments; calls come authorised or not at all."""

    def __init__(self, experiments: ExperimentAdministration, actor_of: ActorOf) -> None:
        self._experiments = experiments
        self._actor = actor_of

    def handlers(self) -> list[Handler]:
        """Return what this serves."""
        return handlers_of(pb.DESCRIPTOR.services_by_name["ExperimentService"], self)

    async def ListExperiments(self, request: pb.ListExperimentsRequest, call: ServerCall) -> pb.ListExperimentsResponse:
        """Return all of them."""
        return pb.ListExperimentsResponse(experiments=map(_message, await self._experiments.list()))

    async def GetExperiment(self, request: pb.GetExperimentRequest, call: ServerCall) -> pb.GetExperimentResponse:
        """Return what one has found."""
        return _report(await self._experiments.report(request.name))

    async def StopExperiment(self, request: pb.StopExperimentRequest, call: ServerCall) -> pb.StopExperimentResponse:
        """Return one whose control everybody has."""
        stopped = await self._experiments.stop(self._actor(call), request.name, request.reason)
        return pb.StopExperimentResponse(experiment=_message(stopped))

    async def StartExperiment(self, request: pb.StartExperimentRequest, call: ServerCall) -> pb.StartExperimentResponse:
        """Return one that goes on."""
        started = await self._experiments.start(self._actor(call), request.name)
        return pb.StartExperimentResponse(experiment=_message(started))

    async def PromoteVariant(self, request: pb.PromoteVariantRequest, call: ServerCall) -> pb.PromoteVariantResponse:
        """Return one of which everybody has a variant."""
        promoted = await self._experiments.promote(self._actor(call), request.name, request.variant)
        return pb.PromoteVariantResponse(experiment=_message(promoted))


def _message(summary: ExperimentSummary) -> pb.Experiment:
    experiment, standing = summary.experiment, summary.standing
    varied = [("", ""), *[(variant.model, variant.prompt) for variant in experiment.variants]]
    message = pb.Experiment(
        name=experiment.name,
        models=sorted(experiment.models),
        unit=experiment.unit.value,
        is_shadow=experiment.shadow,
        is_adaptive=experiment.adaptive is not None,
        state=_STATES[standing.state],
        is_running=summary.is_running,
        promoted_variant=standing.promoted,
        reason=standing.reason,
        minimum_samples=experiment.minimum_samples,
        prompt=experiment.prompt,
    )
    for name, share, (model, prompt) in zip(experiment.names, experiment.shares, varied, strict=True):
        message.variants.add(name=name, share=share, model=model, prompt=prompt)
    for field, moment in (
        ("changed_at", standing.changed_at),
        ("starts_at", experiment.starts_at),
        ("ends_at", experiment.ends_at),
    ):
        if moment is not None:
            getattr(message, field).FromDatetime(moment)
    return message


def _report(report: ExperimentReport) -> pb.GetExperimentResponse:
    judgement = report.judgement
    message = pb.GetExperimentResponse(
        experiment=_message(report.summary),
        results=map(_result, judgement.variants),
        mismatch_probability=judgement.mismatch_probability,
        has_mismatch=judgement.has_mismatch,
        stop_reason=judgement.stop_reason,
    )
    for variant in message.experiment.variants:
        variant.units = report.units.get(variant.name, 0)
    return message


def _result(judged: VariantJudgement) -> pb.ExperimentResult:
    return pb.ExperimentResult(
        variant=judged.name,
        verdict=_VERDICTS[judged.verdict],
        words=judged.words,
        comparisons=map(_comparison, judged.comparisons),
    )


def _comparison(comparison: Comparison) -> pb.MetricComparison:
    measure = comparison.measure
    return pb.MetricComparison(
        metric=measure.metric.value,
        more_is_better=measure.more_is_better,
        control_count=int(comparison.control.requests),
        variant_count=int(comparison.variant.requests),
        control_mean=comparison.control.mean,
        variant_mean=comparison.variant.mean,
        difference=_interval(comparison.difference),
        relative=None if comparison.relative is None else _interval(comparison.relative),
        guardrail=measure.guardrail,
        is_harmful=comparison.is_harmful,
    )


def _interval(interval: Interval) -> pb.ConfidenceInterval | None:
    # JSON has no word for what is infinite.
    return pb.ConfidenceInterval(**interval._asdict()) if math.isfinite(interval.high) else None
