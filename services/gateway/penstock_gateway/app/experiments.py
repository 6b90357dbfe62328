"""What is open of experiments while a gateway runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.background import running
from penstock_common.service import Commit
from penstock_gateway.adapters.sql.experiments import SqlFigures, SqlStandings
from penstock_gateway.adapters.sql.feedback.scores import scores
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.domain.experiments.keeping import Keeper
from penstock_gateway.domain.experiments.results import ExperimentAdministration
from penstock_gateway.domain.experiments.running import Experiments
from penstock_gateway.domain.life.settlement import Ledger
from penstock_gateway.domain.life.shadows import Shadows, shadowing
from penstock_gateway.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentParts:
    """The experiments of the revision that runs, and who looks at them."""

    experiments: Experiments
    shadows: Shadows
    administration: ExperimentAdministration
    standings: SqlStandings

    async def prepare(self, changed: Settings) -> Commit:
        """Make other experiments ready; what was done to them is known before a request takes part."""
        configured = changed.experiments_configured()
        standings = await self.standings.standings() if configured else {}

        def commit() -> None:
            self.experiments.take_over(configured, standings)

        return commit


@asynccontextmanager
async def open_experiments(
    settings: Settings, engine: AsyncEngine, ledger: Ledger
) -> AsyncGenerator[ExperimentParts, None]:
    """Yield the parts, when what was done to the experiments is known.

    Raises:
        ServiceUnavailable: if the database does not say it.
    """
    own, experiments = settings.experimenting, Experiments(settings.experiments_configured())
    standings, figures = SqlStandings(engine), SqlFigures(engine, scores())
    keeper = Keeper(experiments, standings, figures, own.every)
    await keeper.renew()
    async with running(keeper.run()), shadowing(ledger, own.shadows_at_once, own.shadow_timeout) as shadows:
        yield ExperimentParts(
            experiments=experiments,
            shadows=shadows,
            administration=ExperimentAdministration(experiments, standings, figures, SqlRegistry(engine)),
            standings=standings,
        )
