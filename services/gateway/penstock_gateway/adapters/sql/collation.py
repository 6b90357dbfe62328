"""The order of texts, alike in every database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

# Texts are ordered by their bytes, as Python does and whatever language the database speaks: in a list that is merged
# from two places, or goes on behind a text, who disagrees about the order loses items. SQLite's usual order is this one.
_BY_BYTES = {"postgresql": "C", "sqlite": "BINARY"}


def by_bytes(column: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """Return the column as it is compared by its bytes in a database of this dialect."""
    return column.collate(_BY_BYTES[dialect])
