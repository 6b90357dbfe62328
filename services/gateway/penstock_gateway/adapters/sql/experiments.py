"""What was done to experiments, and their figures out of the ledger, in SQL."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_common.errors import ServiceUnavailable
from penstock_gateway.adapters.sql.rows import audit_values, aware
from penstock_gateway.adapters.sql.tables import audit_log, experiments, ledger
from penstock_gateway.domain.administration.registry import AuditEntry
from penstock_gateway.domain.experiments.confidence import Sums
from penstock_gateway.domain.experiments.definition import LATENCY_CAP_SECONDS, Metric
from penstock_gateway.domain.experiments.keeping import Readings
from penstock_gateway.domain.experiments.running import Standing, State

BY_ITSELF = "experiments"
"""Who ends an experiment that does harm, in the audit log."""

# What a variant can be blamed for; what callers do, and what the gateway refuses, it cannot.
_FAILURES = (
    "internal_error",
    "no_healthy_upstream",
    "upstream_failed",
    "upstream_timeout",
    "service_unavailable",
    "deadline_exceeded",
)
_MAX_REASON = 1024


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection, None]:
    try:
        async with engine.begin() as connection:
            yield connection
    except (SQLAlchemyError, OSError) as error:
        raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error


class SqlStandings:
    """Implements ``keeping.StandingStore`` and ``results.StandingBook``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def standings(self) -> Mapping[str, Standing]:
        """Return what was done, by experiment."""
        async with _connected(self._engine) as connection:
            rows = (await connection.execute(select(experiments))).all()
        return {
            row.name: Standing(
                state=State(row.state),
                promoted=row.promoted,
                reason=row.reason,
                changed_at=aware(row.changed_at),
                shares=tuple(row.shares),
            )
            for row in rows
        }

    async def claim_look(self, name: str, now: datetime, before: datetime) -> bool:
        """Return whether this process is to look; of several that ask at once, one is."""
        await self._ensure(name)
        table = experiments.c
        unseen = or_(table.looked_at.is_(None), table.looked_at <= before)
        claim = update(experiments).where(table.name == name, unseen).values(looked_at=now)
        async with _connected(self._engine) as connection:
            return (await connection.execute(claim)).rowcount == 1

    async def end_by_itself(self, name: str, standing: Standing) -> bool:
        """Stop a running one, with an audit entry in the same transaction."""
        running = and_(experiments.c.name == name, experiments.c.state == State.RUNNING.value)
        assert standing.changed_at is not None, "what is ended is so since a moment"
        async with _connected(self._engine) as connection:
            change = update(experiments).where(running).values(**_values(standing))
            if (await connection.execute(change)).rowcount != 1:
                return False
            entry = AuditEntry(
                occurred_at=standing.changed_at,
                actor_key_id=BY_ITSELF,
                actor_user_id="",
                actor_tenant="",
                action="experiment.stop",
                tenant="",
                target=name,
                client_address="",
                request_id="",
                outcome="ok",
                details={"reason": standing.reason[:256]},
            )
            await connection.execute(audit_log.insert().values(**audit_values(entry)))
        return True

    async def change(self, name: str, standing: Standing) -> None:
        """Keep what was done by somebody, in the place of what was done before."""
        await self._ensure(name)
        async with _connected(self._engine) as connection:
            await connection.execute(update(experiments).where(experiments.c.name == name).values(**_values(standing)))

    async def adapt(self, name: str, shares: tuple[float, ...]) -> None:
        """Keep the shares."""
        async with _connected(self._engine) as connection:
            await connection.execute(update(experiments).where(experiments.c.name == name).values(shares=list(shares)))

    async def _ensure(self, name: str) -> None:
        """Have a row; of several processes that begin at once, one writes it."""
        async with _connected(self._engine) as connection:
            if (await connection.execute(select(experiments.c.name).where(experiments.c.name == name))).first():
                return
        try:
            async with self._engine.begin() as connection:
                await connection.execute(experiments.insert().values(name=name, shares=[], **_values(Standing())))
        except IntegrityError:
            return
        except (SQLAlchemyError, OSError) as error:
            raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error


def _values(standing: Standing) -> dict[str, Any]:
    """Return the columns, but for the shares, which are another's to write."""
    return {
        "state": standing.state.value,
        "promoted": standing.promoted,
        "reason": standing.reason[:_MAX_REASON],
        "changed_at": standing.changed_at,
    }


class SqlFigures:
    """Implements ``keeping.FigureSource``: one statement, whose answer is a row for each variant, however long the ledger is.

    ``feedback`` has the columns ``tenant``, ``generation_id`` and ``score``, from 0 to 1, once for each answer; None: there is none.
    """

    def __init__(self, engine: AsyncEngine, feedback: FromClause | None = None) -> None:
        self._engine = engine
        self._metrics = [metric for metric in Metric if feedback is not None or metric is not Metric.FEEDBACK]
        self.query = _query(self._metrics, feedback)

    async def read(self, name: str, phase: str) -> Readings:
        """Return what the ledger says of a phase."""
        async with _connected(self._engine) as connection:
            rows = (await connection.execute(self.query, {"experiment": name, "phase": phase})).mappings().all()
        figures = {
            row["variant"]: {
                metric: Sums(*[row[f"{metric}_{part}"] or 0 for part in Sums._fields]) for metric in self._metrics
            }
            for row in rows
        }
        return Readings(figures, {row["variant"]: row["units"] for row in rows})


def _query(metrics: list[Metric], feedback: FromClause | None) -> Select[Any]:
    """Return the sums over units of what each unit's rows add up to."""
    rows: FromClause = ledger
    if feedback is not None:
        told, row = feedback.c, ledger.c
        rows = ledger.outerjoin(feedback, and_(told.tenant == row.tenant, told.generation_id == row.generation_id))
    summed: list[ColumnElement[Any]] = []
    for metric in metrics:
        counts, value = _of_row(metric, feedback)
        summed.append(func.sum(case((counts, 1.0), else_=0.0)).label(f"{metric}_n"))
        summed.append(func.sum(case((counts, value), else_=0.0)).label(f"{metric}_y"))
    units = (
        select(ledger.c.variant, *summed)
        .select_from(rows)
        .where(ledger.c.experiment == bindparam("experiment"), ledger.c.experiment_phase == bindparam("phase"))
        # Says what the index is of; SQLite uses it for no other condition.
        .where(ledger.c.experiment != literal("", literal_execute=True))
        .group_by(ledger.c.variant, ledger.c.experiment_unit)
        .subquery("units")
    )
    columns: list[ColumnElement[Any]] = [units.c.variant, func.count().label("units")]
    for metric in metrics:
        n, y = units.c[f"{metric}_n"], units.c[f"{metric}_y"]
        parts = (
            func.sum(case((n > 0, 1), else_=0)),
            func.sum(n),
            func.sum(n * n),
            func.sum(y),
            func.sum(y * y),
            func.sum(n * y),
        )
        columns += [part.label(f"{metric}_{name}") for name, part in zip(Sums._fields, parts, strict=True)]
    return select(*columns).group_by(units.c.variant)


def _of_row(metric: Metric, feedback: FromClause | None) -> tuple[ColumnElement[bool], ColumnElement[Any]]:
    """Return whether a row has the metric, and its value."""
    row = ledger.c
    generated = and_(row.outcome == "ok", row.cache_status != "hit", row.degraded == "")
    failed = or_(row.outcome.in_(_FAILURES), row.degraded != "")
    if metric is Metric.COST:
        return and_(generated, row.cost_unknown.is_(False)), cast(row.cost_nano_usd, Float) * 1e-9
    if metric is Metric.LATENCY:
        seconds = row.duration_ms / 1000.0
        return generated, case((seconds > LATENCY_CAP_SECONDS, LATENCY_CAP_SECONDS), else_=seconds)
    if metric is Metric.ERROR_RATE:
        return or_(row.outcome == "ok", failed), case((failed, 1.0), else_=0.0)
    assert feedback is not None, "asked for scores that nobody keeps"
    return feedback.c.score.is_not(None), cast(feedback.c.score, Float)
