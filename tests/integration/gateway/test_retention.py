"""Old rows go in batches and only when they may; what was exported is in a file first. On both engines."""

from __future__ import annotations

import asyncio
import json
import stat
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_gateway.adapters.sql import history as histories
from penstock_gateway.adapters.sql.history import Span, SqlHistory
from penstock_gateway.adapters.sql.ledger_rows import ledger_table
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.tables import audit_log, ledger
from penstock_gateway.app.exports import ExportError, Exports, export
from penstock_gateway.app.parts import cutting, retention_of
from penstock_gateway.domain import retention
from penstock_gateway.domain.administration.registry import AuditEntry
from penstock_gateway.domain.life.settlement import LedgerRow
from penstock_gateway.domain.retention import Kept, Retention, RetentionRule
from penstock_gateway.settings import Settings, StorageSettings

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
RULE = RetentionRule(every=timedelta(hours=1))


def row(number, age_days=0.0, **fields):
    return LedgerRow(
        **{
            "generation_id": f"g{number:04}",
            "request_id": f"r{number}",
            "created_at": NOW - timedelta(days=age_days),
            "tenant": "acme",
            "key_id": "k",
            "surface": "openai",
            "requested_model": "fast",
            "outcome": "ok",
            "cost_nano_usd": 2**40,
            "tags": {"ä": "\U0001f600"},
            **fields,
        }
    )


async def write(database, rows):
    async with ledger_table(database) as table:
        await table.write(rows)


async def left(database, table=ledger, column="generation_id"):
    async with database.connect() as connection:
        return list((await connection.execute(sa.select(table.c[column]).order_by(table.c[column]))).scalars())


class Ended(Exception):
    """The time of a test is over."""


async def cut_once(kept, rule=RULE, now=NOW):
    """Look once for old rows; return how long was slept between batches, and after all."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        if seconds == rule.every.total_seconds():
            raise Ended

    with pytest.raises(Ended):
        await Retention(kept, rule, lambda: now, sleep).run()
    return slept


def export_of(url, what, path, **span):
    return export(StorageSettings(sql=url), what, Span(**span), path, lambda table, rows: None)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_only_old_and_exported_rows_are_cut(database, database_url, tmp_path):
    await write(database, [row(number, age_days=number) for number in range(10)])
    history = SqlHistory.of_ledger(database)
    await cut_once([Kept(history, 5 * DAY)])
    assert len(await left(database)) == 10
    await export_of(database_url, Exports.LEDGER, tmp_path / "a.jsonl", until=NOW - 7.5 * DAY)
    await cut_once([Kept(history, 5 * DAY)])
    assert await left(database) == [f"g{number:04}" for number in range(8)]
    await cut_once([Kept(history, 5 * DAY)], RetentionRule(every=timedelta(hours=1), export_first=False))
    assert await left(database) == [f"g{number:04}" for number in range(6)]


async def test_rows_go_in_batches_with_a_pause_between(database, monkeypatch):
    monkeypatch.setattr(retention, "BATCH_ROWS", 3)
    await write(database, [row(number, age_days=9) for number in range(7)])
    rule = RetentionRule(every=timedelta(hours=2), export_first=False)
    with capture_logs() as logs:
        slept = await cut_once([Kept(SqlHistory.of_ledger(database), DAY)], rule)
    assert slept == [0.1, 0.1, 7200]
    assert [(entry["event"], entry["history"], entry["rows"]) for entry in logs] == [("retention_cut", "ledger", 7)]
    assert await left(database) == []


async def test_processes_that_cut_at_once_take_each_row_once(database):
    await write(database, [row(number, age_days=9) for number in range(60)])
    cuts = await asyncio.gather(
        *(SqlHistory.of_ledger(database).cut(NOW, 20, exported_only=False) for _ in range(4)), return_exceptions=False
    )
    assert sum(cuts) + len(await left(database)) == 60


async def test_writing_goes_on_while_rows_are_cut(database):
    await write(database, [row(number, age_days=9) for number in range(1000)])
    cut = cut_once([Kept(SqlHistory.of_ledger(database), DAY)], RetentionRule(every=DAY, export_first=False))
    await asyncio.gather(cut, *(write(database, [row(2000 + number)]) for number in range(20)))
    assert await left(database) == [f"g{2000 + number:04}" for number in range(20)]


async def test_audit_log_is_cut_alike(database, database_url, tmp_path):
    texts = dict.fromkeys(("actor_user_id", "actor_tenant", "target", "request_id"), "")
    async with SqlRegistry(database).begin() as records:
        for days in (800, 400, 1):
            await records.note(
                AuditEntry(
                    occurred_at=NOW - timedelta(days=days), actor_key_id="k", action="key.create", tenant="acme",
                    client_address="192.0.2.1", outcome="ok", details={"label": "ci"}, **texts,
                )
            )  # fmt: skip
    done = await export_of(database_url, Exports.AUDIT_LOG, tmp_path / "audit.jsonl", until=NOW - 500 * DAY)
    assert done.rows == 1
    (line,) = lines(tmp_path / "audit.jsonl")
    assert (line["client_address"], line["details"]) == ("192.0.2.1", {"label": "ci"})
    await cut_once([Kept(SqlHistory.of_audit_log(database), 365 * DAY)])
    assert len(await left(database, audit_log, "id")) == 2
    async with SqlRegistry(database).begin() as records:
        assert [entry.occurred_at for entry in await records.entries(None, None, 9)] == [NOW - DAY, NOW - 400 * DAY]


async def test_export_holds_every_row_once_in_order_and_exactly(database, database_url, tmp_path, monkeypatch):
    monkeypatch.setattr(histories, "READ_ROWS", 3)
    # Several of one moment, so that a page ends within them.
    await write(database, [row(number, age_days=number // 4) for number in range(20)])
    path = tmp_path / "ledger.jsonl"
    done = await export_of(database_url, Exports.LEDGER, path)
    found = lines(path)
    assert done.rows == len(found) == 20
    assert sorted(line["generation_id"] for line in found) == await left(database)
    assert [line["created_at"] for line in found] == sorted(line["created_at"] for line in found)
    assert found[-1]["created_at"] == "2026-06-01T00:00:00Z"
    assert (found[0]["cost_nano_usd"], found[0]["tags"], "exported_at" in found[0]) == (
        2**40,
        {"ä": "\U0001f600"},
        False,
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_rows_that_are_written_late_are_in_the_next_export(database, database_url, tmp_path):
    """The database was away: their time lies before what was exported already."""
    await write(database, [row(1, age_days=2), row(2, age_days=1)])
    assert (await export_of(database_url, Exports.LEDGER, tmp_path / "1.jsonl", new_only=True)).rows == 2
    await write(database, [row(3, age_days=1.5)])
    await cut_once([Kept(SqlHistory.of_ledger(database), DAY / 2)])
    assert await left(database) == ["g0003"]
    assert (await export_of(database_url, Exports.LEDGER, tmp_path / "2.jsonl", new_only=True)).rows == 1
    assert [line["generation_id"] for line in lines(tmp_path / "2.jsonl")] == ["g0003"]
    assert (await export_of(database_url, Exports.LEDGER, tmp_path / "3.jsonl", new_only=True)).rows == 0
    assert (tmp_path / "3.jsonl").read_bytes() == b""


async def test_export_that_fails_lets_no_row_go(database, database_url, tmp_path):
    await write(database, [row(1, age_days=9)])
    taken = tmp_path / "taken.jsonl"
    taken.write_text("what is nowhere else")
    with pytest.raises(ExportError, match="is there already"):
        await export_of(database_url, Exports.LEDGER, taken)
    with pytest.raises(ExportError, match="name another place"):
        await export_of(database_url, Exports.LEDGER, tmp_path / "nowhere" / "a.jsonl")
    with pytest.raises(ExportError, match="Synthetic"):

        def fail(table, rows):
            raise OSError("Synthetic: the disk is full")

        await export(StorageSettings(sql=database_url), Exports.LEDGER, Span(), tmp_path / "b.jsonl", fail)
    assert taken.read_text() == "what is nowhere else"
    assert [path.name for path in tmp_path.iterdir() if "jsonl" in path.name] == ["taken.jsonl"]
    await cut_once([Kept(SqlHistory.of_ledger(database), DAY)])
    assert await left(database) == ["g0001"]


async def test_database_that_is_away_is_asked_again(engine):
    # No schema: the tables are missing.
    with capture_logs() as logs:
        await cut_once([Kept(SqlHistory.of_ledger(engine), DAY)])
    assert [entry["event"] for entry in logs] == ["retention_failed"]


def settings(**section):
    return Configuration({"retention": section}).settings(Settings)


def test_everything_is_kept_by_default(engine):
    assert retention_of(settings(), engine) is None


async def test_settings_cut_in_a_running_gateway(database):
    old = datetime.now(UTC) - timedelta(days=3)
    await write(database, [row(1, created_at=old), row(2, created_at=datetime.now(UTC))])
    async with cutting(retention_of(settings(ledger="2d", export_first=False), database)):
        async with asyncio.timeout(30):
            while len(await left(database)) > 1:
                await asyncio.sleep(0.01)
    assert await left(database) == ["g0002"]


@pytest.mark.parametrize(
    "section", [{"ledger": "23h"}, {"audit": "0s"}, {"ledger": 400}, {"every": "0s"}, {"ledgers": "1d"}]
)
def test_retention_that_cannot_be_is_refused(section):
    with pytest.raises(ConfigurationError, match="retention"):
        settings(**section)
