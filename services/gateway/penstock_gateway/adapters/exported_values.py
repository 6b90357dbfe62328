"""Values as files of rows have them: times in UTC, money in nano-dollars and in dollars."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Column

NANO = 1_000_000_000
"""Nano-dollars of a dollar."""

_NANO_USD = re.compile(r"(cost|saved|reserved)_nano_usd")


def utc(value: Any) -> Any:
    """Return a time with its zone; SQLite keeps none, and everything is written in UTC. Anything else stays as it is."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def money_names(columns: Sequence[Column[Any]]) -> list[str]:
    """Return the columns that are nano-dollars which somebody paid, or would have."""
    return [column.name for column in columns if _NANO_USD.fullmatch(column.name)]


def dollar_names(columns: Sequence[Column[Any]]) -> list[str]:
    """Return what the same amounts are called in dollars."""
    return [name.replace("_nano_usd", "_usd") for name in money_names(columns)]


def dollars(nano_usd: int) -> str:
    """Return an amount in dollars, to the nano-dollar."""
    return f"{Decimal(nano_usd) / NANO:.9f}"


def json_text(value: Any) -> str:
    """Return what a column of JSON holds, as a text."""
    return msgspec.json.encode(value).decode()
