"""What the ledger's columns are in a report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, and_, case, cast, func, literal, or_

from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.life.settlement import CANCELLED, OK
from penstock_gateway.domain.usage.query import CHAT, EMBEDDINGS, Dimension, Filter, Group

_ROW = ledger.c
CHARGE = "charge"
"""The kind of an entry that is a request's own; others correct one."""
SUMMED = (
    "attempts",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "saved_tokens",
    "compressed_tokens",
    "cost_nano_usd",
    "saved_nano_usd",
    "duration_ms",
)


_USUAL = {"kind": CHARGE}


def column(name: str) -> ColumnElement[Any]:
    """Return the ledger's column; what stands for it in a schema that has none of this name."""
    return _ROW[name] if name in _ROW else literal(_USUAL.get(name, ""), literal_execute=True)


# Vectors have no reason to end; whatever failed before it was asked for a model is told as what nearly all is.
_OPERATION = case((and_(_ROW.outcome == OK, _ROW.finish_reason == ""), EMBEDDINGS), else_=CHAT)

_DIMENSIONS: dict[Dimension, ColumnElement[Any]] = {
    Dimension.TENANT: column("tenant"),
    Dimension.TEAM: column("team"),
    Dimension.USER: column("user_id"),
    Dimension.END_USER: column("user"),
    Dimension.KEY: column("key_id"),
    Dimension.FEATURE: column("feature"),
    Dimension.MODEL: column("model"),
    Dimension.REQUESTED_MODEL: column("requested_model"),
    Dimension.UPSTREAM: column("upstream"),
    Dimension.SURFACE: column("surface"),
    Dimension.PROMPT: column("prompt"),
    Dimension.PROMPT_VERSION: case((column("prompt") == "", ""), else_=cast(column("prompt_version"), String(16))),
    Dimension.EXPERIMENT: column("experiment"),
    Dimension.VARIANT: column("variant"),
    Dimension.TASK: column("task"),
    Dimension.OPERATION: _OPERATION if "operation" not in _ROW else column("operation"),
    Dimension.OUTCOME: column("outcome"),
    Dimension.CACHE: column("cache_status"),
    Dimension.SOURCE: column("usage_source"),
}


def value_of(group: Group) -> ColumnElement[Any]:
    """Return what a row has of a group; an empty text where it has none."""
    if group.tag:
        return func.coalesce(_ROW.tags[group.tag].as_string(), "")
    return _DIMENSIONS[Dimension(group.name)]


def dimension_columns() -> list[ColumnElement[Any]]:
    """Return all dimensions under their names."""
    return [value.label(f"of_{name}") for name, value in _DIMENSIONS.items()]


def conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    """Return what holds for the rows that are wanted."""
    found: list[ColumnElement[bool]] = []
    if wanted.tenant is not None:
        found.append(_ROW.tenant == wanted.tenant)
    if wanted.since is not None:
        found.append(_ROW.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(_ROW.created_at < wanted.until)
    found += [_DIMENSIONS[name].in_(values) for name, values in wanted.where.items() if values]
    found += [value_of(Group("", key)) == value for key, value in wanted.tags.items()]
    return found


def turn_of(starts: Sequence[datetime]) -> ColumnElement[int]:
    """Return the number of the turn that a row is in, found by halves: a report has up to 1500 of them."""

    def between(first: int, last: int) -> ColumnElement[int]:
        if first == last:
            return literal(first, literal_execute=True)
        middle = (first + last + 1) // 2
        return case((_ROW.created_at < starts[middle], between(first, middle - 1)), else_=between(middle, last))

    return between(0, len(starts) - 1)


def figures() -> list[ColumnElement[Any]]:
    """Return what a row counts in a report, under the names of ``Sums``."""
    is_request = column("kind") == CHARGE
    failed = and_(is_request, _ROW.outcome != OK, _ROW.outcome != CANCELLED)
    return [
        _one(is_request, "requests"),
        _one(failed, "errors"),
        _one(and_(is_request, _ROW.outcome == CANCELLED), "cancelled"),
        _one(and_(is_request, _ROW.cache_status == "hit"), "cache_hits"),
        _one(and_(is_request, _ROW.degraded != ""), "degraded"),
        _one(and_(is_request, _ROW.cost_unknown.is_(True)), "unpriced"),
        _one(and_(is_request, _ROW.usage_estimated.is_(True)), "estimated"),
        (_ROW.cache_write_input_tokens + _ROW.cache_write_1h_input_tokens).label("cache_write_input_tokens"),
        *[_ROW[name] for name in SUMMED],
    ]


def behind(columns: Sequence[ColumnElement[Any]], values: Sequence[Any]) -> ColumnElement[bool]:
    """Return whether a row comes behind one with these values, in the order of the columns."""
    alternatives: list[ColumnElement[bool]] = []
    for at, (own, value) in enumerate(zip(columns, values, strict=True)):
        same = [earlier == known for earlier, known in zip(columns[:at], values[:at], strict=True)]
        alternatives.append(and_(*same, own > value))
    return or_(*alternatives)


def _one(condition: ColumnElement[bool], name: str) -> ColumnElement[Any]:
    return case((condition, 1), else_=0).label(name)
