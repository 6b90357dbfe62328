"""The port to an upstream that answers questions which are no conversation: ranking and moderation."""

from __future__ import annotations

from typing import Protocol

import msgspec

from penstock_common.contract.questions import ModeratedContent, RankedDocument, RerankRequest, Verdict


class Reranked(msgspec.Struct, frozen=True):
    """What an upstream says of documents, in any order; what it counted, 0 where it tells nothing."""

    ranked: tuple[RankedDocument, ...]
    input_tokens: int = 0
    search_units: int = 0


class Moderated(msgspec.Struct, frozen=True):
    """What an upstream says of contents, and its own name of what judged."""

    verdicts: tuple[Verdict, ...]
    model: str
    input_tokens: int = 0


class QuestionUpstream(Protocol):
    """Whom questions are asked. Cancelling a call closes its connection."""

    async def rerank(self, request: RerankRequest, model: str, connect_seconds: float) -> Reranked:
        """Return how well the documents answer the query.

        Raises:
            AttemptFailed: for everything an upstream can do wrong; UNSUPPORTED where it takes no such question.
        """
        ...

    async def moderate(self, contents: tuple[ModeratedContent, ...], model: str, connect_seconds: float) -> Moderated:
        """Return what is objectionable about the contents; raises as ``rerank`` does."""
        ...
