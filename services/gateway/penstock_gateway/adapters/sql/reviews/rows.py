"""Rows of reviews as the domain has them, and back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, String, and_, or_

from penstock_gateway.adapters.sql.jobs.rows import moment_of, ms_of
from penstock_gateway.adapters.sql.reviews.tables import items
from penstock_gateway.domain.reviews.flag import Source, Surface
from penstock_gateway.domain.reviews.item import Content, Decision, ReviewItem, ReviewState
from penstock_gateway.domain.reviews.ports import Held, ReviewFilter

FREE = {"state": ReviewState.OPEN.value, "reviewer": "", "claimed_until_ms": None}
"""The columns of an item that nobody is at."""
UNDECIDED = items.c.state != ReviewState.DECIDED.value
_MOST_KINDS, _MOST_KIND = 32, 64
_MOST = {column.name: column.type.length for column in items.c if isinstance(column.type, String)}
_CONTENTS = msgspec.msgpack.Decoder(Content)
_ENCODER = msgspec.msgpack.Encoder()


def item_of(row: Any, now: datetime | None = None) -> ReviewItem:
    """Return the item of a row; one whose claim is over by ``now`` is nobody's."""
    state, reviewer, until = ReviewState(row.state), row.reviewer, _maybe(row.claimed_until_ms)
    if state is ReviewState.CLAIMED and now is not None and until is not None and until <= now:
        state, reviewer, until = ReviewState.OPEN, "", None
    return ReviewItem(
        id=row.id,
        tenant=row.tenant,
        key_id=row.key_id,
        source=Source(row.source),
        surface=Surface(row.surface),
        created_at=moment_of(row.created_ms),
        due_at=moment_of(row.due_ms),
        expires_at=_maybe(row.expires_ms),
        user=row.user,
        user_id=row.user_id,
        rule=row.rule,
        rule_version=row.rule_version,
        public_model=row.public_model,
        request_id=row.request_id,
        generation_id=row.generation_id,
        kinds=tuple(row.kinds),
        held=row.held,
        times=row.times,
        state=state,
        escalated=row.escalated,
        reviewer=reviewer,
        claim=row.claim,
        claimed_until=until,
        decision=None if row.decision is None else Decision(row.decision),
        decided_at=_maybe(row.decided_ms),
    )


def values_of(item: ReviewItem, mark: str | None) -> dict[str, Any]:
    """Return the columns of a new item."""
    return {
        "id": item.id,
        "tenant": item.tenant,
        "key_id": _text(item.key_id, "key_id"),
        "user": _text(item.user, "user"),
        "user_id": _text(item.user_id, "user_id"),
        "source": item.source.value,
        "surface": item.surface.value,
        "rule": _text(item.rule, "rule"),
        "rule_version": _text(item.rule_version, "rule_version"),
        "public_model": _text(item.public_model, "public_model"),
        "request_id": _text(item.request_id, "request_id"),
        "generation_id": _text(item.generation_id, "generation_id"),
        "kinds": [kind[:_MOST_KIND].replace("\x00", "") for kind in item.kinds[:_MOST_KINDS]],
        "held": item.held,
        "mark": mark,
        "times": 1,
        "escalated": False,
        "claim": 0,
        "created_ms": ms_of(item.created_at),
        "due_ms": ms_of(item.due_at),
        "expires_ms": ms_of(item.expires_at),
        **FREE,
    }


def content_bytes(content: Content) -> bytes:
    """Return what an item holds as it is sealed."""
    return _ENCODER.encode(content)


def content_of(opened: bytes) -> Content:
    """Return what an item holds, of what was sealed."""
    return _CONTENTS.decode(opened)


def place_of(review_id: str) -> str:
    """Return what the content of an item is bound to."""
    return f"review/{review_id}"


def one(tenant: str, review_id: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of one item, of any tenant where that is empty."""
    return (items.c.id == review_id, items.c.tenant == tenant) if tenant else (items.c.id == review_id,)


def held_by(held: Held) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions under which whoever shows a claim is believed."""
    return (
        *one(held.tenant, held.id),
        items.c.state == ReviewState.CLAIMED.value,
        items.c.claim == held.claim,
        items.c.reviewer == held.reviewer,
    )


def nobodys(now: datetime) -> ColumnElement[bool]:
    """Return the condition of an item that may be claimed by anybody."""
    is_over = and_(items.c.state == ReviewState.CLAIMED.value, items.c.claimed_until_ms <= ms_of(now))
    return or_(items.c.state == ReviewState.OPEN.value, is_over)


def matching(wanted: ReviewFilter, now: datetime) -> list[ColumnElement[bool]]:
    """Return the conditions of items that are so."""
    by_state = {
        ReviewState.OPEN: nobodys(now),
        ReviewState.CLAIMED: and_(items.c.state == ReviewState.CLAIMED.value, items.c.claimed_until_ms > ms_of(now)),
        ReviewState.DECIDED: items.c.state == ReviewState.DECIDED.value,
    }
    conditions: list[ColumnElement[bool]] = []
    if wanted.tenant:
        conditions.append(items.c.tenant == wanted.tenant)
    if wanted.states == frozenset((ReviewState.OPEN, ReviewState.CLAIMED)):
        # As the index of what waits has it.
        conditions.append(UNDECIDED)
    elif wanted.states:
        conditions.append(or_(*(by_state[state] for state in sorted(wanted.states))))
    if wanted.source is not None:
        conditions.append(items.c.source == wanted.source.value)
    if wanted.rule:
        conditions.append(items.c.rule == wanted.rule)
    if wanted.is_overdue:
        conditions += [UNDECIDED, items.c.due_ms < ms_of(now)]
    if wanted.decided_since is not None:
        conditions.append(items.c.decided_ms >= ms_of(wanted.decided_since))
    return conditions


def _text(text: str, column: str) -> str:
    """Return what is kept of a text that may be anybody's: what every database takes."""
    return text[: _MOST[column]].replace("\x00", "").encode(errors="replace").decode()


def _maybe(ms: int | None) -> datetime | None:
    return None if ms is None else moment_of(ms)
