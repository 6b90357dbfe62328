"""Reads the query of a request for buckets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import msgspec

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_gateway.domain.usage.calendar import Step
from penstock_gateway.domain.usage.query import Dimension
from penstock_gateway.surfaces.wire_formats.json_body import shortened

GROUPS: Mapping[str, Dimension] = {
    "project_id": Dimension.TEAM,
    "user_id": Dimension.USER,
    "api_key_id": Dimension.KEY,
    "model": Dimension.REQUESTED_MODEL,
    # Costs have no group of models; what a line is for is the model.
    "line_item": Dimension.REQUESTED_MODEL,
}
_FILTERS = {
    "project_ids": Dimension.TEAM,
    "user_ids": Dimension.USER,
    "api_key_ids": Dimension.KEY,
    "models": Dimension.REQUESTED_MODEL,
    "line_items": Dimension.REQUESTED_MODEL,
}
_WIDTHS = {"1m": Step.MINUTE, "1h": Step.HOUR, "1d": Step.DAY}
_MAX_PARAMETERS = 256
_LAST = 253_402_300_799
"""The Unix seconds of the last moment that a calendar has."""


class Limits(msgspec.Struct, frozen=True):
    """How many buckets a page has, unless it is said, and at most."""

    usual: int
    most: int


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked of one."""

    groups: frozenset[str]
    filters: frozenset[str]
    widths: Mapping[str, Limits]


class BucketQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: buckets of a width, from ``since`` on, behind those of earlier pages."""

    since: datetime
    until: datetime | None
    step: Step
    groups: tuple[str, ...]
    where: Mapping[Dimension, tuple[str, ...]]
    limit: int


def read_query(query: str, endpoint: Endpoint) -> BucketQuery:
    """Return what a query asks for.

    Raises:
        InvalidRequest: if a parameter is missing, or has a value that means nothing.
        UnsupportedParameter: if there is one that is not served here.
    """
    given = _parameters(query)
    single = {name: _one(given, name) for name in ("start_time", "end_time", "bucket_width", "limit", "page")}
    _check_names(given, endpoint, single)
    width = single["bucket_width"] or "1d"
    if width not in endpoint.widths:
        known = " or ".join(endpoint.widths)
        raise InvalidRequest(f"'bucket_width' must be {known}.", field="bucket_width")
    if not single["start_time"]:
        raise InvalidRequest("'start_time' is required, but it is missing.", field="start_time")
    since = _moment(single["start_time"], "start_time")
    until = _moment(single["end_time"], "end_time") if single["end_time"] else None
    if until is not None and until <= since:
        raise InvalidRequest("'end_time' must be after 'start_time'.", field="end_time")
    return BucketQuery(
        since=max(since, _moment(single["page"].removeprefix("page_"), "page")) if single["page"] else since,
        until=until,
        step=_WIDTHS[width],
        groups=_groups(given.get("group_by", ()), endpoint),
        where={_FILTERS[name]: tuple(values) for name, values in given.items() if name in endpoint.filters},
        limit=_limit(single["limit"], endpoint.widths[width]),
    )


def _parameters(query: str) -> dict[str, list[str]]:
    """Return the values of each parameter; lists are written ``name[]=a&name[]=b``, or with one comma between two."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS, errors="strict")
    except ValueError:
        raise InvalidRequest(f"The query must have at most {_MAX_PARAMETERS} parameters, in UTF-8.") from None
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name.removesuffix("[]"), []).append(value)
    return given


def _check_names(given: Mapping[str, Sequence[str]], endpoint: Endpoint, single: Mapping[str, str]) -> None:
    for name in given:
        if name not in single and name != "group_by" and name not in endpoint.filters:
            shown = shortened(name)
            raise UnsupportedParameter(f"The query parameter '{shown}' is not supported here.", parameter=shown)


def _one(given: Mapping[str, Sequence[str]], name: str) -> str:
    values = given.get(name, [""])
    if len(values) > 1:
        raise InvalidRequest(f"'{name}' is given twice; give it once.", field=name)
    return values[0]


def _moment(text: str, name: str) -> datetime:
    seconds = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(_LAST)) else _LAST + 1
    # Behind the last there is no bucket's end.
    if seconds > _LAST - 32 * 86_400:
        raise InvalidRequest(f"'{name}' must be Unix seconds.", field=name)
    return datetime.fromtimestamp(seconds, UTC)


def _groups(named: Sequence[str], endpoint: Endpoint) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word for text in named for word in text.split(",")))
    for word in words:
        if word not in endpoint.groups:
            known = ", ".join(sorted(endpoint.groups))
            raise InvalidRequest(f"'group_by' must be some of {known}, not '{shortened(word)}'.", field="group_by")
    return words


def _limit(text: str, limits: Limits) -> int:
    if not text:
        return limits.usual
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(limits.most)) else 0
    if not 1 <= limit <= limits.most:
        raise InvalidRequest(f"'limit' must be 1 to {limits.most}.", field="limit")
    return limit
