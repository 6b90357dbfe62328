"""Rows as files have them: JSON lines, CSV for spreadsheets, Parquet for what computes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import msgspec
from sqlalchemy import Column

from penstock_gateway.adapters.exported_file import ExportError
from penstock_gateway.adapters.exported_values import dollar_names, dollars, json_text, money_names, utc

# What spreadsheets would compute.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NO_PYARROW = (
    "Parquet is written by pyarrow, which is not installed here: 'pip install pyarrow', or name a file that ends with .csv "
    "or .jsonl"
)


class Format(StrEnum):
    """What a file of rows can be."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"

    @classmethod
    def of(cls, path: Path) -> Format:
        """Return what the file's name ends with; JSON lines where that says nothing."""
        ending = path.suffix.removeprefix(".").lower()
        return cls(ending) if ending in set(cls) else cls.JSONL


class RowFile(Protocol):
    """Writes rows to a file; a context manager that ends it."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column[Any]]) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def write(self, rows: Sequence[Mapping[Any, Any]]) -> None:
        """Write the next rows."""
        ...

    @staticmethod
    def keys(path: Path, name: str, size: int) -> Iterator[list[Any]]:
        """Yield what a file that is written has in a column, ``size`` at a time."""
        ...


def rows_in(form: Format) -> type[RowFile]:
    """Return what writes and reads the form.

    Raises:
        ExportError: if what it needs is not installed.
    """
    if form is Format.CSV:
        return _CsvFile
    if form is Format.JSONL:
        return _LineFile
    try:
        from penstock_gateway.adapters.exported_parquet import ParquetRows
    except ImportError:
        raise ExportError(_NO_PYARROW) from None
    return ParquetRows


class _Plain:
    """What has nothing to end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing is held back."""


class _LineFile(_Plain):
    """A JSON object a line: times in RFC 3339 and UTC, money and tokens as whole numbers."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column[Any]]) -> None:
        self._file = file

    def write(self, rows: Sequence[Mapping[Any, Any]]) -> None:
        for row in rows:
            values = {name: utc(value) for name, value in row.items()}
            self._file.write(msgspec.json.encode(values) + b"\n")

    @staticmethod
    def keys(path: Path, name: str, size: int) -> Iterator[list[Any]]:
        with path.open("rb") as file:
            yield from _in_batches((msgspec.json.decode(line)[name] for line in file), size)


class _CsvFile(_Plain):
    """A header and a line a row, in UTF-8: money in nano-dollars, and in dollars with nine decimals beside it."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column[Any]]) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        self._lines = csv.writer(self._text, lineterminator="\n")
        self._lines.writerow([*(column.name for column in columns), *dollar_names(columns)])
        self._money = money_names(columns)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # The file is another's to close.
        self._text.detach()

    def write(self, rows: Sequence[Mapping[Any, Any]]) -> None:
        for row in rows:
            self._lines.writerow([*map(_cell, row.values()), *(dollars(row[name]) for name in self._money)])

    @staticmethod
    def keys(path: Path, name: str, size: int) -> Iterator[list[Any]]:
        with path.open(encoding="utf-8", newline="") as file:
            yield from _in_batches((_said(row[name]) for row in csv.DictReader(file)), size)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith((*_FORMULA, "'")) else value
    if isinstance(value, datetime):
        return utc(value).isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    return json_text(value) if isinstance(value, dict | list) else value


def _said(cell: str) -> str:
    return cell.removeprefix("'")


def _in_batches(keys: Iterator[Any], size: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for key in keys:
        batch.append(key)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
