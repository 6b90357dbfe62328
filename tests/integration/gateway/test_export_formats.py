"""Rows in files: the same rows in each form, money exact, and nothing that a spreadsheet would compute. On both engines."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pyarrow import parquet

from penstock_common.llm.types import Usage
from penstock_gateway.adapters.exported_rows import Format
from penstock_gateway.adapters.sql.ledger_rows import ledger_table
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.app.exports import ExportError, Exports, Span, export
from penstock_gateway.domain.life.settlement import LedgerRow
from penstock_gateway.settings import StorageSettings

NOW = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)
FORMULAS = ["=1+1", "+1", "-1", "@sum", "\ttab", "'quoted", 'plain, "ä"\nline']


@pytest.fixture
async def exported(database, database_url, tmp_path):
    rows = [
        LedgerRow(
            generation_id=f"g{number}", request_id="r", created_at=NOW, tenant="acme", key_id="k", surface="openai",
            requested_model="fast", outcome="ok", feature=text, user=text, tags={"=a": text}, cost_nano_usd=2**53 + 1 + number,
            usage=Usage(input_tokens=number),
        )
        for number, text in enumerate(FORMULAS)
    ]  # fmt: skip
    async with ledger_table(database) as table:
        await table.write(rows)

    async def write(name, **span):
        path = tmp_path / name
        done = await export(
            StorageSettings(sql=database_url), Exports.LEDGER, Span(**span), path, lambda table, rows: None
        )
        return path, done.rows

    return write


async def test_csv_has_texts_that_nothing_computes_and_money_to_the_nano_dollar(exported):
    path, count = await exported("a.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count == len(FORMULAS)
    assert [row["feature"] for row in rows] == [f"'{text}" for text in FORMULAS[:-1]] + FORMULAS[-1:]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for row in rows for cell in row.values())
    assert (rows[0]["cost_nano_usd"], rows[0]["cost_usd"]) == ("9007199254740993", "9007199.254740993")
    assert rows[0]["created_at"] == "2026-11-01T12:00:00.123456+00:00"
    assert list(rows[0])[: len(ledger.c) - 1] == [column.name for column in ledger.c if column.name != "exported_at"]
    assert path.read_bytes().startswith(b"generation_id,")


async def test_parquet_has_whole_numbers_times_and_decimals(exported):
    path, count = await exported("a.parquet")
    table = parquet.read_table(path)
    rows = table.to_pylist()
    assert len(rows) == count == len(FORMULAS)
    assert [row["feature"] for row in rows] == FORMULAS
    assert (rows[0]["cost_nano_usd"], rows[0]["cost_usd"]) == (2**53 + 1, Decimal("9007199.254740993"))
    assert (rows[0]["created_at"], rows[0]["tags"]) == (NOW, '{"=a":"=1+1"}')
    assert {str(table.schema.field(name).type) for name in ("cost_nano_usd", "input_tokens")} == {"int64"}


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl", "a.txt"])
async def test_rows_count_as_exported_in_every_form(exported, name):
    assert (await exported(name, new_only=True))[1] == len(FORMULAS)
    assert (await exported(f"b{name}", new_only=True))[1] == 0


async def test_without_pyarrow_a_sentence_says_what_to_install(exported, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "penstock_gateway.adapters.exported_parquet", raising=False)
    with pytest.raises(ExportError, match="pip install pyarrow"):
        await exported("a.parquet")
    assert list(tmp_path.glob("*.parquet")) == []
    assert (await exported("a.csv", new_only=True))[1] == len(FORMULAS)


def test_form_is_what_the_name_ends_with(tmp_path):
    assert [Format.of(tmp_path / name) for name in ("a.CSV", "a.parquet", "a.jsonl", "a")] == [
        Format.CSV, Format.PARQUET, Format.JSONL, Format.JSONL,
    ]  # fmt: skip
