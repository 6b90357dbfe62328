"""FeedbackService as the command asks for it."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from penstock.gateway.v1 import feedback_service_pb2 as pb
from penstock_suite.domain.feedback import (
    FeedbackFilter,
    FeedbackGiven,
    FeedbackPage,
    FeedbackRow,
    FeedbackSummaries,
    FeedbackSummary,
    Figure,
    Reason,
    SummaryRequest,
    Thumb,
)


class FeedbackClient:
    """Implements ``FeedbackRows``: converts, asks, converts."""

    async def _ask(self, method: str, request: Any) -> Any:
        """Return what the service answers, or raise the ``SuiteFailure`` that says why not."""
        raise NotImplementedError

    async def give_feedback(self, given: FeedbackGiven) -> FeedbackRow:
        """Return what was kept."""
        request = pb.GiveFeedbackRequest(
            tenant=given.tenant,
            generation_id=given.answer_id,
            thumb=_thumb(given.thumb),
            score=given.score,
            correction=given.correction,
            reason=f"REASON_{given.reason.name if given.reason else 'UNSPECIFIED'}",
            comment=given.comment,
            user=given.user,
            tags=given.tags,
        )
        return _row((await self._ask("GiveFeedback", request)).feedback)

    async def feedback_page(self, wanted: FeedbackFilter, size: int, token: str, *, with_content: bool) -> FeedbackPage:
        """Return a page of at most ``size``."""
        request = pb.ListFeedbackRequest(
            tenant=wanted.tenant,
            generation_id=wanted.answer_id,
            model=wanted.model,
            user=wanted.user,
            thumb=_thumb(wanted.thumb),
            with_content=with_content,
            page_size=size,
            page_token=token,
        )
        page = await self._ask("ListFeedback", request)
        return FeedbackPage(tuple(map(_row, page.feedback)), page.next_page_token)

    async def summarize_feedback(self, wanted: SummaryRequest) -> FeedbackSummaries:
        """Return a line for each group."""
        by = [f"DIMENSION_{dimension.name}" for dimension in wanted.by]
        request = pb.SummarizeFeedbackRequest(tenant=wanted.tenant, model=wanted.model, by=by)
        for name in ("since", "until"):
            moment = getattr(wanted, name)
            if moment is not None:
                getattr(request, name).FromDatetime(moment)
        told = await self._ask("SummarizeFeedback", request)
        return FeedbackSummaries(tuple(map(_summary, told.summaries)), told.is_cut)

    async def delete_feedback(self, wanted: FeedbackFilter) -> int:
        """Return how much was erased."""
        request = pb.DeleteFeedbackRequest(
            tenant=wanted.tenant,
            user=wanted.user,
            generation_id=wanted.answer_id,
            everything=wanted.everything,
        )
        return int((await self._ask("DeleteFeedback", request)).deleted)


def _thumb(thumb: Thumb | None) -> str:
    return f"THUMB_{thumb.name if thumb else 'UNSPECIFIED'}"


def _row(told: pb.Feedback) -> FeedbackRow:
    named = {name: getattr(told, name) for name in FeedbackRow.__struct_fields__ if name not in _CONVERTED}
    return FeedbackRow(
        **named,
        created_at=told.created_at.ToDatetime(tzinfo=UTC),
        thumb=pb.Feedback.Thumb.Name(told.thumb).removeprefix("THUMB_").lower() if told.thumb else "",
        reason=Reason[pb.Feedback.Reason.Name(told.reason).removeprefix("REASON_")].value if told.reason else "",
        score=told.score if told.HasField("score") else None,
        tags=dict(told.tags),
    )


_CONVERTED = {"created_at", "thumb", "reason", "score", "tags"}
_FIGURES = ("up_ratio", "mean_score")


def _summary(told: pb.FeedbackSummary) -> FeedbackSummary:
    named = {name: getattr(told, name) for name in FeedbackSummary.__struct_fields__ if name not in _FIGURES}
    named["reasons"] = dict(told.reasons)
    return FeedbackSummary(
        **named,
        up_ratio=_figure(told.up_ratio) if told.HasField("up_ratio") else None,
        mean_score=_figure(told.mean_score) if told.HasField("mean_score") else None,
    )


def _figure(told: pb.FeedbackShare) -> Figure:
    return Figure(told.value, told.low, told.high)
