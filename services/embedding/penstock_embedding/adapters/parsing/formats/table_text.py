"""CSV and TSV: one table."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from penstock_embedding.adapters.parsing.formats.source import Source
from penstock_embedding.adapters.parsing.formats.tables import table_text
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.parsed import DocumentRefused

_CELL_CHARACTERS = 131_072
_MARKS = ",;\t|"
_LOOKED_AT = 20_000


def read(source: Source, draft: Draft) -> None:
    """Write it into the draft."""
    csv.field_size_limit(_CELL_CHARACTERS)
    text = source.text
    rows: list[list[str]] = []
    for row in _rows(text, _mark(text[:_LOOKED_AT])):
        draft.place = f"row {len(rows) + 1}"
        if len(row) > draft.limits.columns:
            raise DocumentRefused("too_large", f"It has more than {draft.limits.columns} columns.", draft.place)
        if len(rows) == draft.limits.rows:
            raise DocumentRefused("too_large", f"It has more than {draft.limits.rows} rows. Split it.", draft.place)
        rows.append(row)
    draft.add("table", table_text(rows))


def _mark(sample: str) -> str:
    """Return what stands between cells: the mark that each of the first lines has, and most often."""
    lines = [line for line in sample.split("\n") if line.strip()][:20]
    return max(_MARKS, key=lambda mark: (min((line.count(mark) for line in lines), default=0), sample.count(mark)))


def _rows(text: str, mark: str) -> Iterator[list[str]]:
    rows = csv.reader(text.split("\n"), delimiter=mark)
    try:
        yield from (row for row in rows if row)
    except csv.Error as error:
        if "field limit" in str(error):
            raise DocumentRefused(
                "too_large", f"A cell has more than {_CELL_CHARACTERS} characters.", f"line {rows.line_num}"
            ) from None
        raise DocumentRefused("broken", f"It is no table: {error}.", f"line {rows.line_num}") from None
