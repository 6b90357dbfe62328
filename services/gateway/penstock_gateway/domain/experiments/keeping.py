"""Experiments over time: what was done to them is known in every process, and one that does harm ends by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

import msgspec
import structlog

from penstock_common.errors import PenstockError
from penstock_gateway.domain.experiments.confidence import Sums
from penstock_gateway.domain.experiments.definition import Experiment
from penstock_gateway.domain.experiments.judgement import Figures, Judgement, Verdict, judge
from penstock_gateway.domain.experiments.running import Experiments, Standing, State
from penstock_gateway.domain.experiments.thompson import adapted_shares

_log = structlog.get_logger(__name__)


class Readings(NamedTuple):
    """What the ledger says of an experiment's phase: each variant's figures, and its units, by name."""

    figures: Mapping[str, Figures]
    units: Mapping[str, int]


class FigureSource(Protocol):
    """The ledger, as experiments read it."""

    async def read(self, name: str, phase: str) -> Readings:
        """Return what it says of a phase.

        Raises:
            ServiceUnavailable: if it does not answer.
        """
        ...


class StandingStore(Protocol):
    """Keeps what was done to experiments."""

    async def standings(self) -> Mapping[str, Standing]:
        """Return what was done, by experiment; what nothing was done to is left out.

        Raises:
            ServiceUnavailable: if the store does not answer.
        """
        ...

    async def claim_look(self, name: str, now: datetime, before: datetime) -> bool:
        """Return whether this process is to look at the figures: nobody has since ``before``, and now it has."""
        ...

    async def end_by_itself(self, name: str, standing: Standing) -> bool:
        """Stop a running one, with an audit entry; return False if it was not running any more."""
        ...

    async def adapt(self, name: str, shares: tuple[float, ...]) -> None:
        """Keep the shares that follow the figures."""
        ...


class Keeper:
    """Looks at experiments again and again, in every process; figures are looked at by one of them each time."""

    def __init__(
        self,
        experiments: Experiments,
        store: StandingStore,
        figures: FigureSource,
        every: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._experiments = experiments
        self._store = store
        self._figures = figures
        self._every = every
        self._now = now

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look after each interval, until cancelled; never fail."""
        while True:
            await sleep(self._every.total_seconds())
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever the store says, requests go on by what is known
                unexpected = None if isinstance(error, PenstockError) else error
                _log.error("experiments_not_read", reason=str(error), exc_info=unexpected)

    async def look(self) -> None:
        """Take in what was done, and end what does harm."""
        if not self._experiments.configured:
            return
        await self.renew()
        ended = [await self._look_at(experiment) for experiment in self._experiments.under_way().values()]
        if any(ended):
            await self.renew()

    async def renew(self) -> None:
        """Take in what was done."""
        if self._experiments.configured:
            self._experiments.note(await self._store.standings())

    async def _look_at(self, experiment: Experiment) -> bool:
        """Return whether something was done to an experiment: it was ended, or its shares are others."""
        now, name = self._now(), experiment.name
        if self._experiments.standing_of(name).state is not State.RUNNING:
            return False
        if not await self._store.claim_look(name, now, now - self._every * 0.9):
            return False
        readings = await self._figures.read(name, experiment.phase)
        judgement = judge(experiment, readings.figures, readings.units)
        if judgement.stop_reason:
            stopped = Standing(state=State.STOPPED, reason=judgement.stop_reason, changed_at=now)
            _log.warning("experiment_stopped", experiment=name, reason=judgement.stop_reason)
            return await self._store.end_by_itself(name, stopped)
        return await self._adapt(experiment, readings, judgement)

    async def _adapt(self, experiment: Experiment, readings: Readings, judgement: Judgement) -> bool:
        """Let the shares follow the figures where that is asked for and nothing is decided."""
        bounds, deciding = experiment.adaptive, experiment.measures[0]
        verdicts = {one.verdict for one in judgement.variants}
        if bounds is None or not verdicts & {Verdict.UNDECIDED, Verdict.AS_GOOD}:
            return False
        arms = [readings.figures.get(name, {}).get(deciding.metric, Sums()) for name in experiment.names]
        # By the figures alone: whoever looks finds the same.
        draws = random.Random(repr(arms))  # noqa: S311 - nobody gains by guessing it
        shares = adapted_shares(arms, bounds, draws, more_is_better=deciding.more_is_better)
        await self._store.adapt(experiment.name, tuple(shares))
        return True


def as_reported(experiments: Experiments, experiment: Experiment) -> Experiment:
    """Return an experiment with the shares that it has just now."""
    shares = experiments.standing_of(experiment.name).shares
    if experiment.adaptive is None or len(shares) != len(experiment.variants) + 1:
        return experiment
    variants = [
        msgspec.structs.replace(one, share=share) for one, share in zip(experiment.variants, shares[1:], strict=True)
    ]
    return msgspec.structs.replace(experiment, variants=tuple(variants))
