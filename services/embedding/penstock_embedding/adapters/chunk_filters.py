"""Attributes of documents as keywords, and filters as conditions on them.

A vector store answers fast by what it has an index of, and the names of attributes are free: an index for each name would
let any tenant make as many as it likes. So there is one index of keywords for all of them, and numbers stand in it such
that ranges need no other. A number's 64 bits, in an order that is that of numbers, are 16 hexadecimal digits; its
keywords are the heads of these, of 1 to 16 digits. A range is then a set of heads: from ``3fb`` to ``402``, say, are
``3fb`` to ``3ff``, ``400``, ``401`` and ``402``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence

from penstock_common.contract.knowledge import Attribute, AttributeValue, Comparison, Filter
from penstock_common.points.conditions import AllOf, AnyOf, Condition, In, Not

_DIGITS = 16
_LAST = 16**_DIGITS - 1
_SIGN = 1 << 63
_NOTHING = ":"
"""A keyword that no attribute has, as none is without a name."""


def keywords_of(attributes: Iterable[Attribute]) -> list[str]:
    """Return the keywords of a document's attributes."""
    found: list[str] = []
    for attribute in attributes:
        number = attribute.value.number
        if number is None:
            found += _keyword(attribute.name, attribute.value)
        elif not math.isnan(number):
            digits = _digits(_place(number))
            found += (f"{attribute.name}:n:{digits[:length]}" for length in range(1, _DIGITS + 1))
    return found


def condition_of(wanted: Filter | None, field: str) -> Condition | None:
    """Return what the keywords in ``field`` have to meet; None if all documents are meant."""
    if wanted is None:
        return None
    if wanted.comparison is not None:
        return _compared(wanted.comparison, field)
    if wanted.any_of:
        alternatives = [condition_of(one, field) for one in wanted.any_of]
        met = [one for one in alternatives if one is not None]
        # One that means all documents makes the others needless.
        return _joined(AnyOf, met) if len(met) == len(alternatives) else None
    return _joined(AllOf, [one for each in wanted.all_of if (one := condition_of(each, field)) is not None])


def _joined(kind: type[AllOf | AnyOf], conditions: Sequence[Condition]) -> Condition | None:
    if not conditions:
        return None
    return kind(of=conditions) if len(conditions) > 1 else conditions[0]


def _compared(comparison: Comparison, field: str) -> Condition:
    name, operator, values = comparison.attribute, comparison.operator, comparison.values
    if operator in ("gt", "gte", "lt", "lte"):
        within = [keyword for value in values[:1] for keyword in _range(name, operator, value.number)]
        return In(field=field, values=within or (_NOTHING,))
    keywords = [keyword for value in values for keyword in _keyword(name, value)]
    among = In(field=field, values=keywords or (_NOTHING,))
    return Not(of=among) if operator in ("ne", "nin") else among


def _keyword(name: str, value: AttributeValue) -> Sequence[str]:
    """Return the keyword of this very value, if it has one."""
    if value.text is not None:
        return (f"{name}:t:{value.text}",)
    if value.flag is not None:
        return (f"{name}:f:{int(value.flag)}",)
    if value.number is None or math.isnan(value.number):
        return ()
    return (f"{name}:n:{_digits(_place(value.number))}",)


def _range(name: str, operator: str, bound: float | None) -> Iterator[str]:
    if bound is None or math.isnan(bound):
        return
    place = _place(bound)
    low, high = {
        "gt": (place + 1, _LAST),
        "gte": (place, _LAST),
        "lt": (0, place - 1),
        "lte": (0, place),
    }[operator]
    for head in _heads(low, high):
        yield f"{name}:n:{head}"


def _place(number: float) -> int:
    """Return where the number stands in the order of all numbers, in 64 bits."""
    # Adding 0 makes one zero of both.
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    return _LAST - bits if bits & _SIGN else bits | _SIGN


def _digits(place: int) -> str:
    return f"{place:0{_DIGITS}x}"


def _heads(low: int, high: int) -> Iterator[str]:
    """Yield the fewest heads of digits that all places from ``low`` to ``high`` have, and no others."""
    while low <= high:
        length, span = _DIGITS, 1
        while length > 1 and low % (span * 16) == 0 and low + span * 16 - 1 <= high:
            length, span = length - 1, span * 16
        yield _digits(low)[:length]
        low += span
