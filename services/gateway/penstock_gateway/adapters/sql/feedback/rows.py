"""Feedback and its summaries as rows, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, RowMapping, case, func

from penstock_gateway.adapters.sql.feedback.tables import feedback
from penstock_gateway.domain.feedback.judgement import Feedback, Judged, Judgement, Reason, Thumb
from penstock_gateway.domain.feedback.summary import Dimension, Summary

_COLUMN = feedback.c
_GROUPS: dict[Dimension, tuple[ColumnElement[Any], ...]] = {
    Dimension.MODEL: (_COLUMN.public_model.label("of_model"),),
    Dimension.UPSTREAM: (_COLUMN.upstream.label("of_upstream"), _COLUMN.model.label("of_upstream_model")),
    Dimension.TASK: (_COLUMN.task.label("of_task"),),
    Dimension.PROMPT: (_COLUMN.prompt.label("of_prompt"),),
    Dimension.DAY: (_COLUMN.day.label("of_day"),),
}


def values_of(given: Feedback) -> dict[str, Any]:
    """Return what is kept of feedback, by column."""
    judged, said = given.judged, given.judgement
    return {
        "tenant": judged.tenant,
        "generation_id": judged.generation_id,
        "public_model": judged.public_model,
        "upstream": judged.upstream,
        "model": judged.model,
        "task": judged.task,
        "prompt": judged.prompt,
        "cache_entry": judged.entry_id,
        "was_cached": judged.was_cached,
        "author": given.author,
        "key_id": given.key_id,
        "user": said.user,
        "thumb": said.thumb or "",
        "score": said.score,
        "value": said.value,
        "correction": said.correction,
        "reason": said.reason or "",
        "comment": said.comment,
        "tags": said.tags,
        "idempotency_key": given.idempotency_key or None,
        "said": given.said,
        "disputed_entry": given.disputed_entry,
        "created_at": given.created_at,
        "day": given.created_at.astimezone(UTC).date(),
    }


def feedback_of(row: Row[Any]) -> Feedback:
    """Return the feedback of a row."""
    created_at: datetime = row.created_at
    return Feedback(
        id=row.id,
        judged=Judged(
            generation_id=row.generation_id,
            tenant=row.tenant,
            public_model=row.public_model,
            upstream=row.upstream,
            model=row.model,
            task=row.task,
            prompt=row.prompt,
            entry_id=row.cache_entry,
            was_cached=row.was_cached,
        ),
        judgement=Judgement(
            thumb=Thumb(row.thumb) if row.thumb else None,
            score=row.score,
            correction=row.correction,
            reason=Reason(row.reason) if row.reason else None,
            comment=row.comment,
            user=row.user,
            tags=dict(row.tags),
        ),
        author=row.author,
        key_id=row.key_id,
        # SQLite knows no zones; everything is written in UTC.
        created_at=created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC),
        idempotency_key=row.idempotency_key or "",
        said=row.said,
        disputed_entry=row.disputed_entry,
    )


def group_columns(by: Sequence[Dimension]) -> list[ColumnElement[Any]]:
    """Return what rows of a summary are told apart by."""
    return [column for dimension in by for column in _GROUPS[dimension]]


def summary_columns() -> list[ColumnElement[Any]]:
    """Return what is counted in a summary."""
    return [
        func.count().label("judgements"),
        _count(_COLUMN.thumb == Thumb.UP, "thumbs_up"),
        _count(_COLUMN.thumb == Thumb.DOWN, "thumbs_down"),
        func.count(_COLUMN.value).label("scored"),
        func.sum(_COLUMN.value).label("total"),
        _count(_COLUMN.correction != "", "corrections"),
        *[_count(_COLUMN.reason == reason, f"reason_{reason}") for reason in Reason],
    ]


def summary_of(told: RowMapping) -> Summary:
    """Return a line of a summary."""
    day = told.get("of_day")
    reasons = {reason.value: int(told[f"reason_{reason}"] or 0) for reason in Reason}
    return Summary(
        model=told.get("of_model", ""),
        upstream=told.get("of_upstream", ""),
        upstream_model=told.get("of_upstream_model", ""),
        task=told.get("of_task", ""),
        prompt=told.get("of_prompt", ""),
        day="" if day is None else day.isoformat(),
        judgements=told["judgements"],
        thumbs_up=int(told["thumbs_up"] or 0),
        thumbs_down=int(told["thumbs_down"] or 0),
        scored=told["scored"],
        total=float(told["total"] or 0.0),
        corrections=int(told["corrections"] or 0),
        reasons={reason: count for reason, count in reasons.items() if count},
    )


def _count(condition: ColumnElement[bool], name: str) -> ColumnElement[Any]:
    return func.sum(case((condition, 1), else_=0)).label(name)
