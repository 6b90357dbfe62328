"""Rows as a Parquet file, written with pyarrow: whole numbers, times in UTC, and dollars as decimals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import pyarrow as pa
from pyarrow import parquet
from sqlalchemy import JSON, Boolean, Column, DateTime, Float, Integer

from penstock_gateway.adapters.exported_values import NANO, dollar_names, json_text, money_names, utc

_ROWS_OF_A_GROUP = 20_000
_DOLLARS = pa.decimal128(28, 9)


class ParquetRows:
    """Implements ``RowFile``."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column[Any]]) -> None:
        fields = [pa.field(column.name, _type_of(column)) for column in columns]
        fields += [pa.field(name, _DOLLARS) for name in dollar_names(columns)]
        self._schema = pa.schema(fields)
        self._texts = {column.name for column in columns if isinstance(column.type, JSON)}
        self._money = money_names(columns)
        self._waiting: list[dict[str, Any]] = []
        self._writer = parquet.ParquetWriter(file, self._schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what waits; an end without which the file is none."""
        if error is None:
            self._flush()
        self._writer.close()

    def write(self, rows: Sequence[Mapping[Any, Any]]) -> None:
        """Write the next rows, many at a time."""
        self._waiting += map(self._values, rows)
        if len(self._waiting) >= _ROWS_OF_A_GROUP:
            self._flush()

    @staticmethod
    def keys(path: Path, name: str, size: int) -> Iterator[list[Any]]:
        """Yield what a file has in a column."""
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(size, columns=[name]):
                yield batch.column(0).to_pylist()

    def _values(self, row: Mapping[Any, Any]) -> dict[str, Any]:
        values = {name: json_text(value) if name in self._texts else utc(value) for name, value in row.items()}
        return values | {name.replace("_nano_usd", "_usd"): Decimal(row[name]) / NANO for name in self._money}

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=self._schema))
        self._waiting = []


def _type_of(column: Column[Any]) -> Any:
    kinds = ((Boolean, pa.bool_()), (Integer, pa.int64()), (Float, pa.float64()))
    if isinstance(column.type, DateTime):
        return pa.timestamp("us", tz="UTC")
    return next((kind for sql, kind in kinds if isinstance(column.type, sql)), pa.string())
