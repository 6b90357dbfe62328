"""What the ledger says of an experiment, on both engines, and who ends one that does harm."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from penstock_common.llm.types import UnitPrices
from penstock_gateway.adapters.sql.experiments import SqlFigures, SqlStandings
from penstock_gateway.adapters.sql.ledger import writing_ledger
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.tables import experiments as experiments_table
from penstock_gateway.domain.experiments.confidence import Sums
from penstock_gateway.domain.experiments.definition import AdaptiveShares, Experiment, Measure, Metric, Variant
from penstock_gateway.domain.experiments.keeping import Keeper
from penstock_gateway.domain.experiments.running import Experiments, Standing, State
from penstock_gateway.domain.life.settlement import LedgerRow, Part

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = timedelta(seconds=30)
# What is no question of SQL need not be asked of each engine.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def experiment(**changes):
    parts = {
        "name": "size",
        "models": frozenset({"fast"}),
        "variants": (Variant(name="bigger", share=0.5, model="large"),),
        "measures": (
            Measure(metric=Metric.COST, more_is_better=False),
            Measure(metric=Metric.ERROR_RATE, more_is_better=False, guardrail=0.05),
        ),
    }
    return Experiment(**parts | changes)


def row(number, variant, unit, **changes):
    parts = {
        "generation_id": f"g{number}",
        "request_id": "r",
        "created_at": NOW,
        "tenant": "demo",
        "key_id": "k",
        "surface": "openai",
        "requested_model": "fast",
        "outcome": "ok",
        "cost_nano_usd": 1_000_000,
        "duration_ms": 500.0,
        "part": Part(experiment="size", variant=variant, phase=experiment().phase, unit=unit),
    }
    return LedgerRow(**parts | changes)


async def write(database, rows):
    async with writing_ledger(database, 100_000) as ledger:
        for one in rows:
            ledger.append(one)


def sums(units):
    """Of (n, y) by unit."""
    units = [(n, y) for n, y in units if n]
    return pytest.approx(
        (
            len(units),
            sum(n for n, _ in units),
            sum(n * n for n, _ in units),
            sum(y for _, y in units),
            sum(y * y for _, y in units),
            sum(n * y for n, y in units),
        )
    )


async def test_rows_are_summed_by_unit(database):
    rows = [
        row(1, "control", "a"),
        row(2, "control", "a", cost_nano_usd=3_000_000, duration_ms=1500.0),
        row(3, "control", "b", cost_nano_usd=500_000, duration_ms=9_000_000.0),
        # What was given again cost nothing and took no time, which says nothing of the variant.
        row(4, "control", "b", cache_status="hit", cost_nano_usd=0),
        row(5, "control", "c", outcome="upstream_failed", cost_nano_usd=0),
        row(6, "control", "c", degraded="template", cost_nano_usd=0),
        # What the caller did is nobody's failure.
        row(7, "control", "c", outcome="cancelled"),
        row(8, "control", "c", unit_prices=UnitPrices(is_unknown=True), cost_nano_usd=0),
        row(9, "bigger", "d"),
        row(10, "control", "z", part=Part(experiment="size", variant="control", phase="before", unit="z")),
        row(11, "control", "z", part=Part(experiment="other", variant="control", phase=experiment().phase, unit="z")),
        row(12, "", "", part=Part()),
    ]
    await write(database, rows)
    read = await SqlFigures(database).read("size", experiment().phase)
    assert read.units == {"control": 3, "bigger": 1}
    control = read.figures["control"]
    assert control[Metric.COST] == sums([(2, 0.004), (1, 0.0005)])
    assert control[Metric.LATENCY] == sums([(2, 2.0), (1, 120.0), (1, 0.5)])
    assert control[Metric.ERROR_RATE] == sums([(2, 0), (2, 0), (3, 2)])
    assert Metric.FEEDBACK not in control
    assert read.figures["bigger"][Metric.COST] == sums([(1, 0.001)])


async def test_scores_are_joined_where_somebody_keeps_them(database):
    await write(database, [row(1, "control", "a"), row(2, "control", "a"), row(3, "bigger", "b")])
    columns = (
        sa.Column("tenant", sa.String(64)),
        sa.Column("generation_id", sa.String(64)),
        sa.Column("score", sa.Float),
    )
    scores = sa.Table("scores", sa.MetaData(), *columns)
    async with database.begin() as connection:
        await connection.run_sync(scores.create)
        await connection.execute(
            scores.insert(),
            [
                {"tenant": "demo", "generation_id": "g2", "score": 0.25},
                {"tenant": "another", "generation_id": "g3", "score": 1.0},
            ],
        )
    read = await SqlFigures(database, scores).read("size", experiment().phase)
    assert read.figures["control"][Metric.FEEDBACK] == sums([(1, 0.25)])
    assert read.figures["bigger"][Metric.FEEDBACK] == Sums()
    assert read.figures["control"][Metric.COST].requests == 2


@ON_SQLITE
async def test_the_ledger_is_read_by_the_index(database):
    query = SqlFigures(database).query.params(experiment="size", phase="p")
    text = str(query.compile(database, compile_kwargs={"literal_binds": True}))
    async with database.connect() as connection:
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")
        assert "ix_ledger_experiment" in str(plan.all())


def keeper_of(database, one, now=lambda: NOW):
    experiments = Experiments([one], now)
    return experiments, Keeper(experiments, SqlStandings(database), SqlFigures(database), EVERY, now)


async def failing(database, ratio):
    draws = random.Random(1)
    rows = [row(f"c{number}", "control", f"c{number}") for number in range(400)]
    for number in range(400):
        outcome = "upstream_failed" if draws.random() < ratio else "ok"
        rows.append(row(f"b{number}", "bigger", f"b{number}", outcome=outcome))
    await write(database, rows)


async def test_one_that_does_harm_ends_by_itself_with_an_entry_in_the_audit_log(database):
    await failing(database, 0.3)
    experiments, keeper = keeper_of(database, experiment())
    assert "fast" in experiments.by_model
    await keeper.look()
    assert not experiments.by_model
    standing = experiments.standing_of("size")
    assert standing.state is State.STOPPED
    assert "error rate" in standing.reason
    async with SqlRegistry(database).begin() as records:
        (entry,) = await records.entries(None, None, 10)
    assert (entry.action, entry.target, entry.actor_key_id) == ("experiment.stop", "size", "experiments")
    another, _ = keeper_of(database, experiment())
    another.note(await SqlStandings(database).standings())
    assert not another.by_model


@ON_SQLITE
async def test_whatever_the_store_says_who_looks_goes_on_looking(database):
    async with database.begin() as connection:
        unknown = {"name": "size", "state": "of a later version", "promoted": "", "reason": "", "shares": []}
        await connection.execute(experiments_table.insert(), [unknown])
    experiments, keeper = keeper_of(database, experiment())
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        if len(slept) > 2:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await keeper.run(sleep)
    assert "fast" in experiments.by_model


@ON_SQLITE
async def test_one_that_does_none_goes_on(database):
    await failing(database, 0.0)
    experiments, keeper = keeper_of(database, experiment())
    await keeper.look()
    assert "fast" in experiments.by_model


async def test_figures_are_looked_at_by_one_process_each_time(database):
    store = SqlStandings(database)
    claims = await asyncio.gather(*[store.claim_look("size", NOW, NOW - EVERY) for _ in range(4)])
    assert sorted(claims) == [False, False, False, True]
    assert not await store.claim_look("size", NOW + EVERY / 2, NOW - EVERY / 2)
    assert await store.claim_look("size", NOW + EVERY, NOW)


@ON_SQLITE
async def test_what_ended_by_itself_is_not_ended_twice(database):
    store, standing = SqlStandings(database), Standing(state=State.STOPPED, reason="x", changed_at=NOW)
    assert await store.claim_look("size", NOW, NOW)
    assert await store.end_by_itself("size", standing)
    assert not await store.end_by_itself("size", standing)


@ON_SQLITE
async def test_shares_follow_the_figures_where_that_is_asked_for(database):
    draws, adaptive = random.Random(2), experiment(adaptive=AdaptiveShares(0.2, 0.8))
    rows = [
        row(
            f"{variant}{number}",
            variant,
            "",
            cost_nano_usd=int(draws.lognormvariate(13.8, 0.8) * by),
            part=Part(experiment="size", variant=variant, phase=adaptive.phase, unit=f"{variant}{number}"),
        )
        for variant, by in (("control", 1.0), ("bigger", 0.93))
        for number in range(300)
    ]
    await write(database, rows)
    experiments, keeper = keeper_of(database, adaptive)
    await keeper.look()
    control, bigger = experiments.standing_of("size").shares
    assert bigger > control
    assert control >= 0.2
    assert control + bigger == pytest.approx(1)


@ON_SQLITE
async def test_its_time_begins_and_ends_it(database):
    now = [NOW]
    one = experiment(starts_at=NOW + timedelta(minutes=1), ends_at=NOW + timedelta(minutes=2))
    experiments, keeper = keeper_of(database, one, lambda: now[0])
    seen = []
    for minute in range(3):
        now[0] = NOW + timedelta(minutes=minute)
        await keeper.look()
        seen.append("fast" in experiments.by_model)
    assert seen == [False, True, False]


@ON_SQLITE
async def test_a_database_that_is_away_changes_nothing(database):
    experiments, keeper = keeper_of(database, experiment())
    await database.dispose()
    looks = []

    async def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 1:
            async with database.begin() as connection:
                await connection.execute(sa.text("DROP TABLE experiments"))
        if len(looks) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await keeper.run(sleep)
    assert "fast" in experiments.by_model
    assert looks == [30.0] * 3
