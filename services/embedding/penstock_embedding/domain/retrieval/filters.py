"""Which documents a filter means. Vector stores have translations of their own; this is what they have to agree with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import ge, gt, le, lt

from penstock_common.contract.knowledge import Attribute, AttributeValue, Comparison, Filter
from penstock_common.errors import InvalidRequest

DEEPEST = 5
"""Filters within filters."""
MOST_COMPARISONS = 64
MOST_VALUES = 64

_ORDERED: Mapping[str, Callable[[float, float], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
_SEVERAL = frozenset({"in", "nin"})
_Scalar = tuple[str, str | float | bool]


def check_filter(condition: Filter, field: str) -> None:
    """Refuse what means nothing, or is too much to ask; ``field`` is the filter's path.

    Raises:
        InvalidRequest: with the path of the part that is wrong.
    """
    count = _check(condition, field, 1)
    if count > MOST_COMPARISONS:
        raise InvalidRequest(f"A filter may have at most {MOST_COMPARISONS} comparisons, not {count}.", field)


def matches(condition: Filter | None, attributes: Sequence[Attribute]) -> bool:
    """Return whether a document with these attributes is meant."""
    if condition is None:
        return True
    values = {attribute.name: scalar for attribute in attributes if (scalar := _scalar(attribute.value)) is not None}
    return _holds(condition, values)


def _check(condition: Filter, field: str, depth: int) -> int:
    if depth > DEEPEST:
        raise InvalidRequest(f"Filters may be nested at most {DEEPEST} deep.", field)
    given = [bool(condition.comparison), bool(condition.all_of), bool(condition.any_of)]
    if sum(given) > 1:
        raise InvalidRequest("A filter has one of comparison, all_of and any_of: nest it for more.", field)
    if condition.comparison is not None:
        _check_comparison(condition.comparison, f"{field}.comparison")
        return 1
    name = "all_of" if condition.all_of else "any_of"
    within = condition.all_of or condition.any_of
    return sum(_check(one, f"{field}.{name}[{index}]", depth + 1) for index, one in enumerate(within))


def _check_comparison(comparison: Comparison, field: str) -> None:
    if not comparison.attribute:
        raise InvalidRequest("A comparison names an attribute.", f"{field}.attribute")
    if not comparison.operator:
        raise InvalidRequest("A comparison has an operator: eq, ne, gt, gte, lt, lte, in or nin.", f"{field}.operator")
    most = MOST_VALUES if comparison.operator in _SEVERAL else 1
    if not 1 <= len(comparison.values) <= most:
        wanted = f"1 to {most} values" if most > 1 else "one value"
        raise InvalidRequest(
            f"'{comparison.operator}' takes {wanted}, not {len(comparison.values)}.", f"{field}.values"
        )
    for index, value in enumerate(comparison.values):
        scalar = _scalar(value)
        if scalar is None:
            raise InvalidRequest("A value is a text, a number or a flag.", f"{field}.values[{index}]")
        if comparison.operator in _ORDERED and scalar[0] != "number":
            raise InvalidRequest(f"'{comparison.operator}' compares numbers alone.", f"{field}.values[{index}]")


def _holds(condition: Filter, values: Mapping[str, _Scalar]) -> bool:
    if condition.comparison is not None:
        return _compares(condition.comparison, values.get(condition.comparison.attribute))
    if condition.any_of:
        return any(_holds(one, values) for one in condition.any_of)
    return all(_holds(one, values) for one in condition.all_of)


def _compares(comparison: Comparison, has: _Scalar | None) -> bool:
    wanted = [_scalar(value) for value in comparison.values]
    match comparison.operator:
        case "eq" | "in":
            return has is not None and has in wanted
        case "ne" | "nin":
            return has is None or has not in wanted
        case operator:
            bound = wanted[0] if wanted else None
            if has is None or bound is None or has[0] != "number" or bound[0] != "number":
                return False
            return _ORDERED[operator](float(has[1]), float(bound[1]))


def _scalar(value: AttributeValue) -> _Scalar | None:
    if value.text is not None:
        return "text", value.text
    if value.number is not None:
        return "number", float(value.number)
    return ("flag", value.flag) if value.flag is not None else None
