"""What a look at a kept response asks for: the query, the list of its items, and what is told of one that was deleted."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from penstock_common.errors import InvalidRequest, ResourceNotFound, UnsupportedParameter
from penstock_gateway.surfaces.wire_formats.format import Looked
from penstock_gateway.surfaces.wire_formats.item_lists import id_of, items_in
from penstock_gateway.surfaces.wire_formats.json_body import shortened
from penstock_gateway.surfaces.wire_formats.openai.responses.form import ENCRYPTED_REASONING, INCLUDABLE
from penstock_gateway.surfaces.wire_formats.openai.responses.response_wire import (
    CountedInput,
    ResponseDeleted,
    ResponseItems,
)
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.paging import read_cursor

_encode = msgspec.json.Encoder().encode
_MOST_PARAMETERS = 32
_MOST_DIGITS = 9
# The SDKs send lists with brackets.
_INCLUDE = ("include", "include[]")
_SWITCHES = {"true": True, "false": False, "1": True, "0": False}


def looked_for(query: str) -> Looked:
    """Return what the query of ``GET /v1/responses/{id}`` asks for.

    Raises:
        InvalidRequest: if a parameter has a value that means nothing.
        UnsupportedParameter: if there is another parameter.
    """
    stream, after, include = False, -1, set[str]()
    for name, value in _parameters(query):
        if name in _INCLUDE:
            include.add(_includable(value))
        elif name == "stream":
            stream = _switch(name, value)
        elif name == "starting_after":
            after = _number(name, value)
        elif name == "include_obfuscation":
            if _switch(name, value):
                raise UnsupportedParameter(f"'{name}' is not supported; leave it out.", parameter=name)
        else:
            shown = shortened(name)
            raise UnsupportedParameter(f"The query parameter '{shown}' is not supported here.", parameter=shown)
    if after >= 0 and not stream:
        raise InvalidRequest("'starting_after' is only allowed with 'stream'=true.", field="starting_after")
    return Looked(stream=stream, after=after, whole_output=ENCRYPTED_REASONING in include)


def page_of_items(items: bytes, query: str) -> bytes:
    """Return the page of a request's items that a query asks for, the last one first if it does not say.

    Raises:
        InvalidRequest: if a parameter has a value that means nothing.
        ResourceNotFound: if the list has no item of the id that the page is to follow.
        UnsupportedParameter: if there is another parameter.
    """
    kept = "&".join(part for part in query.split("&") if part.partition("=")[0] not in (*_INCLUDE, "include%5B%5D"))
    cursor = read_cursor(kept)
    every: list[Any] = items_in(items)
    if cursor.descending:
        every.reverse()
    if cursor.before:
        every = every[: _place_of(every, cursor.before)]
        page, more = every[-cursor.limit :], len(every) > cursor.limit
    else:
        every = every[_place_of(every, cursor.after) + 1 :] if cursor.after else every
        page, more = every[: cursor.limit], len(every) > cursor.limit
    first_id, last_id = (id_of(page[0]), id_of(page[-1])) if page else (None, None)
    return _encode(ResponseItems(data=page, first_id=first_id, last_id=last_id, has_more=more))


def render_deleted(response_id: str) -> bytes:
    """Return what is told of a response that was deleted."""
    return _encode(ResponseDeleted(id=response_id, deleted=True))


def render_counted(input_tokens: int) -> bytes:
    """Return what is told of a request that has so many tokens."""
    return _encode(CountedInput(input_tokens=input_tokens))


def _place_of(items: list[Any], item_id: str) -> int:
    for place, item in enumerate(items):
        if id_of(item) == item_id:
            return place
    raise ResourceNotFound(
        f"The list has no item with id '{shortened(item_id)}'.", kind="item", name=shortened(item_id)
    )


def _parameters(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict")
    except ValueError:
        raise InvalidRequest(f"The query must have at most {_MOST_PARAMETERS} parameters, in UTF-8.") from None


def _includable(value: str) -> str:
    if value not in INCLUDABLE:
        known = ", ".join(sorted(INCLUDABLE))
        raise InvalidRequest(f"'include' holds '{shortened(value)}'; it may hold {known}.", field="include")
    return value


def _switch(name: str, value: str) -> bool:
    switch = _SWITCHES.get(value.lower())
    if switch is None:
        raise InvalidRequest(f"'{name}' must be true or false.", field=name)
    return switch


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= _MOST_DIGITS):
        raise InvalidRequest(f"'{name}' must be the sequence_number of an event.", field=name)
    return int(value)
