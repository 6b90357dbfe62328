"""Each column of the ledger holds what the row has for it, however the engine is written to."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest

from penstock_common.llm.types import UnitPrices, Usage
from penstock_gateway.adapters.sql import ledger_rows
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.ledger.prices import revision_of
from penstock_gateway.domain.life.settlement import LedgerRow, Part

NUMBERS = iter(range(1, 1000))


def filled(kind, **given):
    """Return a struct no two of whose fields are the same, but for flags."""
    values = {}
    for field in msgspec.structs.fields(kind):
        number = next(NUMBERS)
        forms = {int: number, float: number + 0.5, str: f"text {number}", bool: True}
        values[field.name] = given.get(field.name, forms.get(field.type, number))
    return kind(**values)


ROW = filled(
    LedgerRow,
    created_at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    usage=filled(Usage),
    unit_prices=filled(UnitPrices, is_unknown=False),
    tags={"team": "red"},
    part=filled(Part),
    time_to_first_token_ms=0.25,
)
OF_COLUMN = {
    "usage_estimated": ROW.usage.estimated,
    "input_price_nano_usd": ROW.unit_prices.input_nano_usd,
    "cached_input_price_nano_usd": ROW.unit_prices.cached_input_nano_usd,
    "output_price_nano_usd": ROW.unit_prices.output_nano_usd,
    "cache_write_price_nano_usd": ROW.unit_prices.cache_write_nano_usd,
    "cache_write_1h_price_nano_usd": ROW.unit_prices.cache_write_1h_nano_usd,
    "cost_unknown": ROW.unit_prices.is_unknown,
    "price_revision": revision_of(ROW.upstream, ROW.model, ROW.unit_prices),
    "experiment_phase": ROW.part.phase,
    "experiment_unit": ROW.part.unit,
}


def expected(column):
    if column in OF_COLUMN:
        return OF_COLUMN[column]
    return next(getattr(part, column) for part in (ROW, ROW.usage, ROW.part) if hasattr(part, column))


OF_OTHERS = {"exported_at", "kind", "corrects", "reason", "corrected_by"}


def test_every_column_is_somebodys():
    assert {column.name for column in ledger.columns} - OF_OTHERS == set(ledger_rows._WRITTEN)


@pytest.mark.parametrize(("estimated", "source"), [(True, "estimated"), (False, "reported")])
def test_source_of_usage_is_as_the_usage_has_it_where_nobody_says_more(estimated, source):
    row = msgspec.structs.replace(ROW, usage_source="", usage=filled(Usage, estimated=estimated))
    assert ledger_rows.values_of(row)["usage_source"] == source


@pytest.mark.parametrize(
    "of_nobody",
    [{"upstream": ""}, {"cache_status": "hit"}, {"unit_prices": UnitPrices(is_unknown=True)}],
    ids=["nobody answered", "a hit", "unknown"],
)
def test_row_that_is_billed_by_no_price_names_none(of_nobody):
    assert ledger_rows.values_of(msgspec.structs.replace(ROW, **of_nobody))["price_revision"] == ""


@pytest.mark.parametrize("column", [column.name for column in ledger.columns if column.name in ledger_rows._WRITTEN])
def test_both_engines_are_given_a_columns_own_value(column):
    by_postgres = ledger_rows.values_of(ROW)
    by_sqlite = dict(zip(ledger_rows._WRITTEN, ledger_rows._sqlite_form(ROW), strict=True))
    wanted = expected(column)
    assert by_postgres[column] == wanted
    in_sqlite = {"created_at": "2026-01-02 03:04:05.000006", "tags": json.dumps(ROW.tags)}
    assert by_sqlite[column] == in_sqlite.get(column, wanted)
