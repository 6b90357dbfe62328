"""Reviews as the contract's messages, and back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.gateway.v1 import review_service_pb2 as pb
from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.reviews.flag import Source, Surface
from penstock_gateway.domain.reviews.item import Content, Decision, ReviewItem, ReviewState, Ruling
from penstock_gateway.domain.reviews.ports import ReviewFilter
from penstock_gateway.domain.reviews.reviewing import SeenItem

WordT = TypeVar("WordT", bound=StrEnum)

_STATES: dict[ReviewState, Any] = {word: pb.ReviewState.Value(f"REVIEW_STATE_{word.name}") for word in ReviewState}
_DECISIONS: dict[Decision, Any] = {word: pb.ReviewDecision.Value(f"REVIEW_DECISION_{word.name}") for word in Decision}
_SOURCES: dict[Source, Any] = {word: pb.ReviewSource.Value(f"REVIEW_SOURCE_{word.name}") for word in Source}
_SURFACES: dict[Surface, Any] = {word: pb.ReviewSurface.Value(f"REVIEW_SURFACE_{word.name}") for word in Surface}
_WAITING = frozenset({ReviewState.OPEN, ReviewState.CLAIMED})


def surface_from(number: int) -> Surface:
    """Return where a text was found: in an answer, where nothing is said.

    Raises:
        InvalidRequest: if it is none that is known.
    """
    return _word(_SURFACES, number, "surface") or Surface.OUTPUT


def source_from(number: int) -> Source | None:
    """Return who asks for a judgement, None where none is said.

    Raises:
        InvalidRequest: if it is none that is known.
    """
    return _word(_SOURCES, number, "source")


def filter_from(request: pb.ListReviewsRequest) -> ReviewFilter:
    """Return which items are meant.

    Raises:
        InvalidRequest: if a state or the source is none that is known.
    """
    return ReviewFilter(
        tenant=request.tenant,
        states=_states(request.states) or _WAITING,
        source=source_from(request.source),
        rule=request.rule,
        is_overdue=request.overdue,
    )


def ruling_from(request: pb.DecideReviewRequest) -> Ruling:
    """Return what is decided.

    Raises:
        InvalidRequest: if that is nothing that is known.
    """
    decision = _word(_DECISIONS, request.decision, "decision")
    if decision is None:
        raise InvalidRequest("decision must be allow, block or edit.", field="decision")
    return Ruling(decision=decision, edited=request.edited, note=request.note)


def since_from(request: pb.ExportReviewsRequest) -> datetime | None:
    """Return from when on decisions are meant, None where nothing is said.

    Raises:
        InvalidRequest: if it is no time.
    """
    if not request.HasField("since"):
        return None
    try:
        return request.since.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest("since is no time.", field="since") from None


def review_message(item: ReviewItem) -> pb.Review:
    """Return an item."""
    return pb.Review(
        id=item.id,
        tenant=item.tenant,
        state=_STATES[item.state],
        source=_SOURCES[item.source],
        surface=_SURFACES[item.surface],
        rule=item.rule,
        rule_version=item.rule_version,
        model=item.public_model,
        key_id=item.key_id,
        user=item.user,
        request_id=item.request_id,
        generation_id=item.generation_id,
        kinds=item.kinds,
        held=item.held,
        times=item.times,
        escalated=item.escalated,
        reviewer=item.reviewer,
        claim=item.claim,
        claimed_until=_stamp(item.claimed_until),
        created_at=_stamp(item.created_at),
        due_at=_stamp(item.due_at),
        expires_at=_stamp(item.expires_at),
        decision=decision_number(item),
        decided_at=_stamp(item.decided_at),
    )


def content_message(content: Content | None) -> pb.ReviewContent | None:
    """Return what an item holds."""
    if content is None:
        return None
    return pb.ReviewContent(
        text=content.text,
        context=content.context,
        found=(pb.ReviewFinding(kind=one.kind, start=one.start, end=one.end) for one in content.found),
        edited=content.edited,
        notes=content.notes,
    )


def seen_message(seen: SeenItem) -> pb.ExportedReview:
    """Return an item and what it holds."""
    return pb.ExportedReview(review=review_message(seen.item), content=content_message(seen.content))


def outcome_message(item: ReviewItem, text: str) -> pb.GetReviewOutcomeResponse:
    """Return what came of an item."""
    return pb.GetReviewOutcomeResponse(
        id=item.id,
        state=_STATES[item.state],
        decision=decision_number(item),
        text=text,
        due_at=_stamp(item.due_at),
        decided_at=_stamp(item.decided_at),
    )


def decision_number(item: ReviewItem) -> Any:
    """Return what was decided, as the contract numbers it."""
    return pb.REVIEW_DECISION_UNSPECIFIED if item.decision is None else _DECISIONS[item.decision]


def _states(numbers: Iterable[int]) -> frozenset[ReviewState]:
    found = (_word(_STATES, number, "states") for number in numbers)
    return frozenset(state for state in found if state is not None)


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _word(words: dict[WordT, Any], number: int, field: str) -> WordT | None:
    if not number:
        return None
    for word, known in words.items():
        if known == number:
            return word
    raise InvalidRequest(f"{field} is none that is known.", field=field)
