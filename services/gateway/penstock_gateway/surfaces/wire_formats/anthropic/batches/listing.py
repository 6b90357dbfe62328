"""What the query of a list of message batches says."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_gateway.surfaces.wire_formats.json_body import shortened

_USUAL, _MOST = 20, 1000
_MOST_PARAMETERS = 16
_MOST_CURSOR = 128
# SDKs say by it that they ask for what is in beta.
_PASSED_OVER = "beta"
_KNOWN = ("limit", "after_id", "before_id", _PASSED_OVER)


class Page(NamedTuple):
    """Which batches are asked for, by the ids that callers know."""

    limit: int
    after: str
    before: str


def asked_page(query: str) -> Page:
    """Return what a query asks for.

    Raises:
        InvalidRequest: if a parameter has a value that means nothing.
        UnsupportedParameter: if there is another parameter.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict")
    except ValueError:
        raise InvalidRequest(f"The query must have at most {_MOST_PARAMETERS} parameters, in UTF-8.") from None
    given = dict(pairs)
    for name in given:
        if name not in _KNOWN:
            shown = shortened(name)
            raise UnsupportedParameter(f"The query parameter '{shown}' is not supported here.", parameter=shown)
    page = Page(_limit(given.get("limit")), _id(given, "after_id"), _id(given, "before_id"))
    if page.after and page.before:
        raise InvalidRequest("Give 'after_id' or 'before_id', not both.", field="before_id")
    return page


def _limit(text: str | None) -> int:
    if text is None:
        return _USUAL
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(_MOST)) else 0
    if not 1 <= limit <= _MOST:
        raise InvalidRequest(f"'limit' must be 1 to {_MOST}.", field="limit")
    return limit


def _id(given: dict[str, str], name: str) -> str:
    value = given.get(name, "")
    if name in given and not (0 < len(value) <= _MOST_CURSOR and value.isascii() and value.isprintable()):
        raise InvalidRequest(f"'{name}' must be the id of a batch.", field=name)
    return value
