"""Reads the filter of a search: comparisons of attributes, joined by ``and`` and ``or``."""

from __future__ import annotations

import math
from typing import Any, cast

from penstock_common.contract.knowledge import AttributeValue, Comparison, ComparisonOperator, Filter
from penstock_common.errors import InvalidRequest
from penstock_gateway.surfaces.wire_formats.json_body import shortened

MAX_DEPTH = 5
MAX_NODES = 64
_MAX_VALUES = 64
_OF_NUMBERS = frozenset({"gt", "gte", "lt", "lte"})
_OF_LISTS = frozenset({"in", "nin"})
_OPERATORS = frozenset({"eq", "ne"}) | _OF_NUMBERS | _OF_LISTS
_JOINTS = frozenset({"and", "or"})


def read_filter(given: Any) -> Filter | None:
    """Return the filter, None where nothing is given.

    Raises:
        InvalidRequest: if it is none, nested deeper than 5, or made of more than 64 parts; ``field`` is where.
    """
    return None if given is None else _Reader().read(given, "filters", 1)


class _Reader:
    def __init__(self) -> None:
        self._nodes = 0

    def read(self, given: Any, path: str, depth: int) -> Filter:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _wrong("filters", f"has more than {MAX_NODES} comparisons and compounds")
        if depth > MAX_DEPTH:
            raise _wrong(path, f"is nested deeper than {MAX_DEPTH} levels")
        if not isinstance(given, dict):
            raise _wrong(path, "must be an object with 'type'")
        members = cast("dict[str, Any]", given)
        given_kind = members.get("type")
        kind = given_kind if isinstance(given_kind, str) else ""
        if kind in _JOINTS:
            return self._compound(members, kind, path, depth)
        if kind in _OPERATORS:
            return Filter(comparison=_comparison(members, cast(ComparisonOperator, kind), path))
        names = ", ".join(sorted(_OPERATORS | _JOINTS))
        raise _wrong(f"{path}.type", f"must be one of {names}")

    def _compound(self, members: dict[str, Any], kind: str, path: str, depth: int) -> Filter:
        _check_members(members, {"type", "filters"}, path)
        inner = members.get("filters")
        if not isinstance(inner, list) or not inner:
            raise _wrong(f"{path}.filters", "must be a list of at least one filter")
        parts = [
            self.read(one, f"{path}.filters[{number}]", depth + 1)
            for number, one in enumerate(cast("list[Any]", inner))
        ]
        return Filter(all_of=parts) if kind == "and" else Filter(any_of=parts)


def _comparison(members: dict[str, Any], operator: ComparisonOperator, path: str) -> Comparison:
    _check_members(members, {"type", "key", "value"}, path)
    key, value = members.get("key"), members.get("value")
    if not isinstance(key, str) or not key:
        raise _wrong(f"{path}.key", "must be the name of an attribute")
    at = f"{path}.value"
    if operator in _OF_LISTS:
        if not isinstance(value, list) or not 0 < len(cast("list[Any]", value)) <= _MAX_VALUES:
            raise _wrong(at, f"must be a list of 1 to {_MAX_VALUES} values for '{operator}'")
        values = [_value(one, f"{at}[{number}]") for number, one in enumerate(cast("list[Any]", value))]
    else:
        values = [_value(value, at)]
        if operator in _OF_NUMBERS and values[0].number is None:
            raise _wrong(at, f"must be a number for '{operator}'")
    return Comparison(key, operator, values)


def _check_members(members: dict[str, Any], known: set[str], path: str) -> None:
    for name in members:
        if name not in known:
            raise _wrong(f"{path}.{shortened(name)}", "is not known; remove it")


def _value(given: Any, path: str) -> AttributeValue:
    if isinstance(given, bool):
        return AttributeValue(flag=given)
    if isinstance(given, str):
        return AttributeValue(text=given)
    if isinstance(given, int | float):
        try:
            number = float(given)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return AttributeValue(number=number)
    raise _wrong(path, "must be a string, a finite number or a boolean")


def _wrong(path: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"'{path}' {reason}.", field=path)
