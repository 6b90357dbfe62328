"""Lists in pages: what the query of a list says, and the page that answers it.

Lists are in the order of ids, which for what was made here is the order of creation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_gateway.surfaces.wire_formats.json_body import shortened
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.wire import ObjectList

_CURSORS = frozenset({"limit", "order", "after", "before"})
_MAX_PARAMETERS = 16
_MAX_CURSOR = 128

ItemT = TypeVar("ItemT")
Fetch = Callable[[str, bool, int], Awaitable[tuple[Sequence[ItemT], bool]]]
"""Takes an id, whether the list runs backwards, and a number; returns so many items behind the id, and whether there are more."""


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list is asked for; ``others`` are the query's further parameters."""

    limit: int
    descending: bool
    after: str
    before: str
    others: Mapping[str, str]


def read_cursor(query: str, *, further: Sequence[str] = (), default: int = 20, most: int = 100) -> Cursor:
    """Return what a query asks for.

    Raises:
        InvalidRequest: if a parameter has a value that means nothing.
        UnsupportedParameter: if there is another parameter than the cursors and ``further``.
    """
    given = _parameters(query)
    for name in given:
        if name not in _CURSORS and name not in further:
            shown = shortened(name)
            raise UnsupportedParameter(f"The query parameter '{shown}' is not supported here.", parameter=shown)
    order = given.get("order", "desc")
    if order not in ("asc", "desc"):
        raise InvalidRequest("'order' must be 'asc' or 'desc'.", field="order")
    if "after" in given and "before" in given:
        raise InvalidRequest("Give 'after' or 'before', not both.", field="before")
    return Cursor(
        limit=_limit(given.get("limit"), default, most),
        descending=order == "desc",
        after=_id(given, "after"),
        before=_id(given, "before"),
        others={name: given[name] for name in further if name in given},
    )


async def page_of(cursor: Cursor, fetch: Fetch[Any], told: Callable[[Any], Any]) -> ObjectList:
    """Return the page that a cursor asks for, of items that have an ``id``."""
    if cursor.before:
        found, more = await fetch(cursor.before, not cursor.descending, cursor.limit)
        items = list(reversed(found))
    else:
        found, more = await fetch(cursor.after, cursor.descending, cursor.limit)
        items = list(found)
    return ObjectList(
        data=[told(item) for item in items],
        first_id=items[0].id if items else None,
        last_id=items[-1].id if items else None,
        has_more=more,
    )


def _parameters(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS, errors="strict")
    except ValueError:
        raise InvalidRequest(f"The query must have at most {_MAX_PARAMETERS} parameters, in UTF-8.") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise InvalidRequest(f"'{shortened(name)}' is given twice; give it once.", field=shortened(name))
        given[name] = value
    return given


def _limit(text: str | None, default: int, most: int) -> int:
    if text is None:
        return default
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(most)) else 0
    if not 1 <= limit <= most:
        raise InvalidRequest(f"'limit' must be 1 to {most}.", field="limit")
    return limit


def _id(given: Mapping[str, str], name: str) -> str:
    value = given.get(name, "")
    if name in given and not (0 < len(value) <= _MAX_CURSOR and value.isascii() and value.isprintable()):
        raise InvalidRequest(f"'{name}' must be the id of an object in the list.", field=name)
    return value
