"""The questions that are no conversation: what is asked, handed on to the plan's candidates."""

from __future__ import annotations

from penstock_common.contract.questions import (
    ModeratedContent,
    ModeratedText,
    ModerateRequest,
    ModerateResponse,
    RerankRequest,
    RerankResponse,
)
from penstock_common.contract.wire.questions import MODERATE, RERANK
from penstock_common.llm.estimate import estimated_tokens
from penstock_common.llm.types import Plan
from penstock_common.rpc.method import Handler
from penstock_common.rpc.server_call import ServerCall
from penstock_inference.domain.questions import Asking, Question
from penstock_inference.domain.rerank import answered_question
from penstock_inference.domain.revisions import Revision, Revisions


class QuestionServicer:
    """Runs plans; the attempts' steps reach the caller, also when all fail."""

    def __init__(self, revisions: Revisions) -> None:
        self._revisions = revisions

    def handlers(self) -> tuple[Handler, ...]:
        """Return what this serves."""
        return (RERANK.served_by(self.rerank), MODERATE.served_by(self.moderate))

    async def rerank(self, request: RerankRequest, call: ServerCall) -> RerankResponse:
        """Return how well the documents answer the query."""
        # Each document is read with the query before it.
        tokens = estimated_tokens(request.query) * len(request.documents) + sum(
            map(estimated_tokens, request.documents)
        )
        revision = self._revision(request.plan)
        asking = Asking(
            Question(request.plan, call.seconds_left(), tokens, request.priority), revision.parts, call.steps
        )
        reranked, given = await asking.answer(
            lambda upstream, model: upstream.rerank(request, model.candidate.model, model.timeouts.seconds.connect)
        )
        answered = answered_question(given, reranked.input_tokens, tokens, reranked.search_units)
        return RerankResponse(reranked.ranked, answered)

    async def moderate(self, request: ModerateRequest, call: ServerCall) -> ModerateResponse:
        """Return what is objectionable about the contents."""
        tokens = sum(map(_tokens_of, request.contents))
        revision = self._revision(request.plan)
        asking = Asking(
            Question(request.plan, call.seconds_left(), tokens, request.priority), revision.parts, call.steps
        )
        moderated, given = await asking.answer(
            lambda upstream, model: upstream.moderate(
                request.contents, model.candidate.model, model.timeouts.seconds.connect
            )
        )
        model = moderated.model or given.model.candidate.model
        return ModerateResponse(moderated.verdicts, model, answered_question(given, moderated.input_tokens, tokens))

    def _revision(self, plan: Plan) -> Revision:
        revisions = self._revisions
        return revisions.of(plan) if revisions.earlier else revisions.newest


def _tokens_of(content: ModeratedContent) -> int:
    return sum(estimated_tokens(part.text) for part in content.parts if isinstance(part, ModeratedText))
