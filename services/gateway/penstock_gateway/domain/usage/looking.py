"""Looking at what was used: who may see what, and in which pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

from penstock_common.errors import InvalidRequest, ScopeMissing
from penstock_gateway.domain.access.identity import KeyScope
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.paging import Page, token_after
from penstock_gateway.domain.usage.calendar import known_zone, turn_after, turns
from penstock_gateway.domain.usage.lines import Line, UsedRequest
from penstock_gateway.domain.usage.ports import LineEnd, RowEnd, UsageStore
from penstock_gateway.domain.usage.query import Dimension, Filter, Query, tag_key

MAX_VALUES = 100
"""Of one dimension in a filter."""
_MAX_VALUE = 512


@dataclass(frozen=True, slots=True)
class Report:
    """A page of lines, by turn and then by name; ``starts`` are the turns' first moments and ``ends`` what follows each."""

    lines: list[Line]
    starts: Sequence[datetime] = ()
    ends: Sequence[datetime] = ()
    next_token: str = ""


@dataclass(frozen=True, slots=True)
class Requests:
    """A page of rows, the newest first."""

    rows: list[UsedRequest]
    next_token: str = ""


class UsageReading:
    """Shows what the ledger has: a tenant's to the tenant, everything to operators.

    A page's token pins the end of the time that is asked for, so that rows which arrive while somebody turns pages move nothing:
    a list has each line once.
    """

    def __init__(self, store: UsageStore, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._now = now

    async def query(self, actor: Actor, query: Query, page: Page) -> Report:
        """Return a page of a report.

        Raises:
            InvalidRequest: if what is asked for cannot be.
            ScopeMissing: if it is another tenant's.
        """
        zone, after = known_zone(query.zone), _end_of(page)
        end = _pinned(after) or query.filter.until or self._now()
        meant = replace(query, zone=zone, filter=replace(_meant(actor, query.filter), until=end))
        starts = await self._starts(meant, end)
        if meant.step is not None and not starts:
            return Report([])
        behind = None if after is None else _line_end(after, len(meant.by))
        lines = await self._store.lines(meant, starts, behind, page.size + 1)
        ends = () if meant.step is None else [turn_after(meant.step, zone, start) for start in starts]
        if len(lines) <= page.size:
            return Report(lines, starts, ends)
        lines = lines[: page.size]
        last = lines[-1]
        return Report(lines, starts, ends, _token(end, last.turn, *last.names))

    async def requests(self, actor: Actor, wanted: Filter, page: Page) -> Requests:
        """Return a page of rows, the newest first.

        Raises:
            InvalidRequest: if what is asked for cannot be.
            ScopeMissing: if it is another tenant's.
        """
        after = _end_of(page)
        end = _pinned(after) or wanted.until or self._now()
        meant = replace(_meant(actor, wanted), until=end)
        found = await self._store.requests(meant, None if after is None else _row_end(after), page.size + 1)
        if len(found) <= page.size:
            return Requests(found)
        rows = found[: page.size]
        return Requests(rows, _token(end, rows[-1].created_at.isoformat(), rows[-1].generation_id))

    async def _starts(self, query: Query, end: datetime) -> tuple[datetime, ...]:
        if query.step is None:
            return ()
        since = query.filter.since or await self._store.oldest(query.filter)
        return () if since is None else turns(query.step, query.zone, since, end)


def _meant(actor: Actor, wanted: Filter) -> Filter:
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        raise InvalidRequest("until must be after since.", field="until")
    tenant = bounds.named_tenant(actor.meant(wanted.tenant or ""))
    for name, values in wanted.where.items():
        _check_values(name, values)
    tags = {tag_key(key, "filter.tag"): _value("filter.tag", value) for key, value in wanted.tags.items()}
    where = _within_team(actor, _within_models(actor, wanted.where))
    return replace(wanted, tenant=tenant or None, where=where, tags=tags)


def _within_models(actor: Actor, where: Mapping[Dimension, tuple[str, ...]]) -> Mapping[Dimension, tuple[str, ...]]:
    """Return what is asked for, of those models alone that the actor's own key may use."""
    if not actor.models:
        return where
    asked = frozenset(where.get(Dimension.REQUESTED_MODEL, ())) or actor.models
    # Of nobody, where it may use none of those: no model is called so.
    seen = tuple(sorted(asked & actor.models)) or ("\ufffd",)
    return {**where, Dimension.REQUESTED_MODEL: seen}


def _within_team(actor: Actor, where: Mapping[Dimension, tuple[str, ...]]) -> Mapping[Dimension, tuple[str, ...]]:
    """Return what is asked for, of the actor's own team alone where its key is of one.

    Raises:
        ScopeMissing: if it is another team's.
    """
    if not actor.team:
        return where
    if any(team != actor.team for team in where.get(Dimension.TEAM, ())):
        raise ScopeMissing(f"The API key sees the usage of the team '{actor.team}' alone.", scope=KeyScope.ADMIN)
    return {**where, Dimension.TEAM: (actor.team,)}


def _check_values(name: Dimension, values: Sequence[str]) -> None:
    if len(values) > MAX_VALUES:
        raise InvalidRequest(f"filter.{name} may hold at most {MAX_VALUES} values.", field=f"filter.{name}")
    for value in values:
        _value(f"filter.{name}", value)


def _value(field: str, value: str) -> str:
    if len(value) > _MAX_VALUE or "\x00" in value:
        raise InvalidRequest(f"{field}: a value has at most {_MAX_VALUE} characters, and no NUL.", field=field)
    return value


def _token(end: datetime, *last: Any) -> str:
    return token_after(json.dumps([end.isoformat(), *last], ensure_ascii=False, separators=(",", ":")))


def _end_of(page: Page) -> list[Any] | None:
    if not page.after:
        return None
    try:
        found = json.loads(page.after)
    except (ValueError, RecursionError):
        raise _unknown() from None
    if not isinstance(found, list):
        raise _unknown()
    return cast("list[Any]", found)


def _pinned(after: Sequence[Any] | None) -> datetime | None:
    return None if after is None else _moment(after[0] if after else None)


def _moment(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise _unknown() from None
    if moment.tzinfo is None:
        raise _unknown()
    return moment


def _line_end(after: Sequence[Any], groups: int) -> LineEnd:
    turn, names = (after[1], after[2:]) if len(after) == groups + 2 else (None, ())
    if type(turn) is not int or not 0 <= turn < 2**31 or not all(isinstance(name, str) for name in names):
        raise _unknown()
    return LineEnd(turn, tuple(names))


def _row_end(after: Sequence[Any]) -> RowEnd:
    if len(after) != 3 or not isinstance(after[2], str):  # noqa: PLR2004 - end, moment and id
        raise _unknown()
    return RowEnd(_moment(after[1]), after[2])


def _unknown() -> InvalidRequest:
    return InvalidRequest("page_token is not one of this list's.", field="page_token")
