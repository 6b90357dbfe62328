"""Feedback as the contract's messages, and back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.gateway.v1 import feedback_service_pb2 as pb
from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.feedback.judgement import Feedback, Judgement, Reason, Thumb
from penstock_gateway.domain.feedback.summary import Dimension, Share, Summary

WordT = TypeVar("WordT", bound=StrEnum)

THUMBS: dict[Thumb, Any] = {thumb: pb.Feedback.Thumb.Value(f"THUMB_{thumb.name}") for thumb in Thumb}
REASONS: dict[Reason, Any] = {reason: pb.Feedback.Reason.Value(f"REASON_{reason.name}") for reason in Reason}
DIMENSIONS: dict[Dimension, Any] = {
    dimension: pb.SummarizeFeedbackRequest.Dimension.Value(f"DIMENSION_{dimension.name}") for dimension in Dimension
}


def judgement_from(request: pb.GiveFeedbackRequest) -> Judgement:
    """Return what somebody says.

    Raises:
        InvalidRequest: if its thumb or its reason is none that is known.
    """
    return Judgement(
        thumb=thumb_from(request.thumb, "thumb"),
        score=request.score if request.HasField("score") else None,
        correction=request.correction,
        reason=_word(REASONS, request.reason, "reason"),
        comment=request.comment,
        user=request.user,
        tags=dict(request.tags),
    )


def thumb_from(number: int, field: str) -> Thumb | None:
    """Return a thumb, None where none is said.

    Raises:
        InvalidRequest: if it is none that is known.
    """
    return _word(THUMBS, number, field)


def dimensions_from(numbers: Iterable[int]) -> list[Dimension]:
    """Return what lines of a summary are about.

    Raises:
        InvalidRequest: if one is none that is known.
    """
    found = [_word(DIMENSIONS, number, f"by[{index}]") for index, number in enumerate(numbers)]
    return [dimension for dimension in found if dimension is not None]


def moment_from(request: pb.SummarizeFeedbackRequest, field: Any) -> datetime | None:
    """Return a time, None where it is not set.

    Raises:
        InvalidRequest: if it is none.
    """
    if not request.HasField(field):
        return None
    try:
        return getattr(request, field).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{field} is no time.", field=str(field)) from None


def feedback_message(feedback: Feedback) -> pb.Feedback:
    """Return what somebody said."""
    judged, said = feedback.judged, feedback.judgement
    created_at = Timestamp()
    created_at.FromDatetime(feedback.created_at)
    return pb.Feedback(
        id=str(feedback.id),
        tenant=judged.tenant,
        generation_id=judged.generation_id,
        thumb=pb.Feedback.THUMB_UNSPECIFIED if said.thumb is None else THUMBS[said.thumb],
        score=said.score,
        correction=said.correction,
        reason=pb.Feedback.REASON_UNSPECIFIED if said.reason is None else REASONS[said.reason],
        comment=said.comment,
        user=said.user,
        key_id=feedback.key_id,
        tags=said.tags,
        created_at=created_at,
        model=judged.public_model,
        upstream=judged.upstream,
        upstream_model=judged.model,
        task=judged.task,
        prompt=judged.prompt,
        disputed_entry=feedback.disputed_entry,
    )


def summary_message(summary: Summary) -> pb.FeedbackSummary:
    """Return a line of a summary."""
    return pb.FeedbackSummary(
        model=summary.model,
        upstream=summary.upstream,
        upstream_model=summary.upstream_model,
        task=summary.task,
        prompt=summary.prompt,
        day=summary.day,
        judgements=summary.judgements,
        thumbs_up=summary.thumbs_up,
        thumbs_down=summary.thumbs_down,
        up_ratio=_share(summary.up_ratio),
        scored=summary.scored,
        mean_score=_share(summary.mean_score),
        corrections=summary.corrections,
        reasons=summary.reasons,
    )


def _share(share: Share | None) -> pb.FeedbackShare | None:
    return None if share is None else pb.FeedbackShare(value=share.value, low=share.low, high=share.high)


def _word(words: dict[WordT, Any], number: int, field: str) -> WordT | None:
    if not number:
        return None
    for word, known in words.items():
        if known == number:
            return word
    raise InvalidRequest(f"{field} is none that is known.", field=field)
