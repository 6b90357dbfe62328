"""What a report reads: the ledger's rows, and what is left of those that retention has cut, as if both were one table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, Table, and_, case, cast, func, literal, or_, select

from penstock_gateway.domain.life.settlement import CANCELLED, OK
from penstock_gateway.domain.usage.query import CHAT, EMBEDDINGS, JOB, REQUEST, Dimension, Filter, Group

CHARGE = "charge"
"""The kind of an entry that is a request's own; others correct one."""
_TEXTS = {"kind": CHARGE}
_COLUMNS = {
    Dimension.USER: "user_id",
    Dimension.END_USER: "user",
    Dimension.KEY: "key_id",
    Dimension.CACHE: "cache_status",
}
"""Of dimensions that are called otherwise there."""
_SUMMED = (
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


class Source:
    """A table that has some of the ledger's columns; what it has not is empty, or 0."""

    def __init__(self, table: Table) -> None:
        self._columns = table.c
        self._dimensions = {name: self.text(_COLUMNS.get(name, name.value)) for name in Dimension}
        self._dimensions[Dimension.OPERATION] = self._operation()
        self._dimensions[Dimension.RUN_AS] = case((self.text("job") != "", JOB), else_=REQUEST)
        self._dimensions[Dimension.PROMPT_VERSION] = self._prompt_version()

    def text(self, name: str) -> ColumnElement[Any]:
        """Return a column of texts."""
        known = self._columns.get(name)
        return literal(_TEXTS.get(name, ""), literal_execute=True) if known is None else known

    def number(self, name: str) -> ColumnElement[Any]:
        """Return a column of numbers."""
        known = self._columns.get(name)
        return literal(0, literal_execute=True) if known is None else known

    @property
    def moment(self) -> ColumnElement[Any]:
        """When a row was made."""
        return self._columns.created_at

    def value_of(self, group: Group) -> ColumnElement[Any]:
        """Return what a row has of a group; an empty text where it has none."""
        if not group.tag:
            return self._dimensions[Dimension(group.name)]
        tags = self._columns.get("tags")
        return literal("", literal_execute=True) if tags is None else func.coalesce(tags[group.tag].as_string(), "")

    def dimensions(self) -> list[ColumnElement[Any]]:
        """Return all dimensions under their names."""
        return [value.label(f"of_{name}") for name, value in self._dimensions.items()]

    def conditions(self, wanted: Filter) -> list[ColumnElement[bool]]:
        """Return what holds for the rows that are wanted."""
        found: list[ColumnElement[bool]] = []
        if wanted.tenant is not None:
            found.append(self.text("tenant") == wanted.tenant)
        if wanted.since is not None:
            found.append(self.moment >= wanted.since)
        if wanted.until is not None:
            found.append(self.moment < wanted.until)
        found += [self._dimensions[name].in_(values) for name, values in wanted.where.items() if values]
        found += [self.value_of(Group("", key)) == value for key, value in wanted.tags.items()]
        return found

    def rows(self, by: Sequence[Group], starts: Sequence[datetime], wanted: Filter) -> Select[Any]:
        """Return the rows with the number of their turn, ``name_…`` for each group, and what each counts."""
        turn = self._turn_of(starts) if starts else literal(0, literal_execute=True)
        names = [self.value_of(group).label(f"name_{at}") for at, group in enumerate(by)]
        chosen: list[ColumnElement[Any]] = [turn.label("turn"), *names, *self.figures()]
        return select(*chosen).where(*self.conditions(wanted))

    def figures(self) -> list[ColumnElement[Any]]:
        """Return what a row counts in a report, under the names of ``Sums``."""
        written = self.number("cache_write_input_tokens") + self.number("cache_write_1h_input_tokens")
        return [
            *self._counts(),
            written.label("cache_write_input_tokens"),
            *[self.number(name).label(name) for name in _SUMMED],
        ]

    def _counts(self) -> list[ColumnElement[Any]]:
        names = ("requests", "errors", "cancelled", "cache_hits", "degraded", "unpriced", "estimated")
        row = self._columns
        if "requests" in row:
            return [self.number(name).label(name) for name in names]
        is_request = self.text("kind") == CHARGE
        counted = (
            is_request,
            and_(is_request, row.outcome != OK, row.outcome != CANCELLED),
            and_(is_request, row.outcome == CANCELLED),
            and_(is_request, row.cache_status == "hit"),
            and_(is_request, row.degraded != ""),
            and_(is_request, row.cost_unknown.is_(True)),
            and_(is_request, row.usage_estimated.is_(True)),
        )
        return [case((holds, 1), else_=0).label(name) for name, holds in zip(names, counted, strict=True)]

    def _turn_of(self, starts: Sequence[datetime]) -> ColumnElement[int]:
        """Return the number of the turn that a row is in, found by halves: a report has up to 1500 of them."""

        def between(first: int, last: int) -> ColumnElement[int]:
            if first == last:
                return literal(first, literal_execute=True)
            middle = (first + last + 1) // 2
            return case((self.moment < starts[middle], between(first, middle - 1)), else_=between(middle, last))

        return between(0, len(starts) - 1)

    def _operation(self) -> ColumnElement[Any]:
        """Return what a row says, and what can be told of those that say nothing: vectors have no reason to end."""
        row, said = self._columns, self.text("operation")
        derived: ColumnElement[Any] = literal(CHAT, literal_execute=True)
        if "finish_reason" in row:
            derived = case((and_(row.outcome == OK, row.finish_reason == ""), EMBEDDINGS), else_=CHAT)
        return case((said != "", said), else_=derived)

    def _prompt_version(self) -> ColumnElement[Any]:
        if "prompt_version" not in self._columns:
            return literal("", literal_execute=True)
        return case((self.text("prompt") == "", ""), else_=cast(self._columns.prompt_version, String(16)))


def behind(columns: Sequence[ColumnElement[Any]], values: Sequence[Any]) -> ColumnElement[bool]:
    """Return whether a row comes behind one with these values, in the order of the columns."""
    alternatives: list[ColumnElement[bool]] = []
    for at, (own, value) in enumerate(zip(columns, values, strict=True)):
        same = [earlier == known for earlier, known in zip(columns[:at], values[:at], strict=True)]
        alternatives.append(and_(*same, own > value))
    return or_(*alternatives)
