"""What an operator sees of experiments, and does to them; each deed leaves its entry in the audit log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from penstock_common.errors import InvalidRequest, ResourceNotFound
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.experiments.definition import CONTROL, Experiment
from penstock_gateway.domain.experiments.judgement import Figures, Judgement, judge
from penstock_gateway.domain.experiments.keeping import FigureSource, as_reported
from penstock_gateway.domain.experiments.running import AS_CONFIGURED, Experiments, Standing, State

_KIND = "experiment"
_MAX_REASON = 256


class StandingBook(Protocol):
    """Where what is done to experiments is kept."""

    async def standings(self) -> Mapping[str, Standing]:
        """Return what was done, by experiment."""
        ...

    async def change(self, name: str, standing: Standing) -> None:
        """Keep what was done, in the place of what was done before."""
        ...


class ExperimentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment, with the shares that it has just now, and how it is. ``is_running``: requests take part now."""

    experiment: Experiment
    standing: Standing
    is_running: bool


class ExperimentReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment has found so far."""

    summary: ExperimentSummary
    units: Mapping[str, int]
    figures: Mapping[str, Figures]
    judgement: Judgement


class ExperimentAdministration:
    """Lists experiments, reports on them, and ends, begins and promotes."""

    def __init__(
        self,
        experiments: Experiments,
        book: StandingBook,
        figures: FigureSource,
        registry: Registry,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._experiments = experiments
        self._book = book
        self._figures = figures
        self._audit = AuditLog(registry, now)
        self._now = now

    async def list(self) -> list[ExperimentSummary]:
        """Return all that are configured, in the configuration's order."""
        await self._renew()
        return [self._summary(one) for one in self._experiments.configured]

    async def report(self, name: str) -> ExperimentReport:
        """Return what an experiment has found.

        Raises:
            ResourceNotFound: if the configuration has none of this name.
        """
        experiment = self._find(name)
        await self._renew()
        summary = self._summary(experiment)
        readings = await self._figures.read(name, experiment.phase)
        judgement = judge(summary.experiment, readings.figures, readings.units)
        return ExperimentReport(summary=summary, units=readings.units, figures=readings.figures, judgement=judgement)

    async def stop(self, actor: Actor, name: str, reason: str) -> ExperimentSummary:
        """Let everybody have the control; a running stack knows within ``experimenting.every``."""
        return await self._change(actor, name, "stop", Standing(state=State.STOPPED, reason=reason[:_MAX_REASON]))

    async def start(self, actor: Actor, name: str) -> ExperimentSummary:
        """Let it go on that was stopped or promoted; what was counted before goes on counting."""
        return await self._change(actor, name, "start", AS_CONFIGURED)

    async def promote(self, actor: Actor, name: str, variant: str) -> ExperimentSummary:
        """Let everybody have a variant, who may use what it changes to, and count nobody.

        Raises:
            InvalidRequest: if the experiment has no such variant.
        """
        return await self._change(actor, name, "promote", Standing(state=State.PROMOTED, promoted=variant))

    async def _change(self, actor: Actor, name: str, deed: str, standing: Standing) -> ExperimentSummary:
        details = {"variant": standing.promoted, "reason": standing.reason}
        async with self._audit.changing(Deed(actor, f"experiment.{deed}", "", name, details)):
            experiment = self._find(name)
            if standing.state is State.PROMOTED:
                _check_promotable(experiment, standing.promoted)
            await self._book.change(name, msgspec.structs.replace(standing, changed_at=self._now()))
        await self._renew()
        return self._summary(experiment)

    async def _renew(self) -> None:
        self._experiments.note(await self._book.standings())

    def _find(self, name: str) -> Experiment:
        found = [one for one in self._experiments.configured if one.name == name]
        if not found:
            raise ResourceNotFound(f"The configuration has no experiment '{name[:64]}'.", kind=_KIND, name=name[:64])
        return found[0]

    def _summary(self, experiment: Experiment) -> ExperimentSummary:
        return ExperimentSummary(
            experiment=as_reported(self._experiments, experiment),
            standing=self._experiments.standing_of(experiment.name),
            is_running=experiment.name in self._experiments.under_way(),
        )


def _check_promotable(experiment: Experiment, variant: str) -> None:
    known = ", ".join(experiment.names[1:])
    if variant == CONTROL:
        raise InvalidRequest("Everybody has the control once the experiment is stopped: stop it.", field="variant")
    if variant not in experiment.names:
        what = f"has no variant '{variant[:64]}'; it has {known}" if variant else f"has the variants {known}: name one"
        raise InvalidRequest(f"The experiment '{experiment.name}' {what}.", field="variant")
    if experiment.shadow:
        raise InvalidRequest("A shadow is shown to nobody; compare it without 'shadow' first.", field="variant")
