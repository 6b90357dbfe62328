"""What of an upstream's ranking is true, in which order it is told, and what is owed for it."""

from __future__ import annotations

import math

from penstock_common.contract.questions import AnsweredQuestion, RerankRequest
from penstock_common.llm.types import Usage, cost_nano_usd
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.question_upstream import Reranked
from penstock_inference.domain.questions import Given

# The counters of the contract are uint32; a search is of up to a hundred documents.
_MOST_TOKENS = 2**32 - 1
_MOST_SEARCHES = 1_000_000


def checked(reranked: Reranked, request: RerankRequest) -> Reranked:
    """Return the ranking with the best first, equal ones in the order of the request, and no more than is wanted.

    Raises:
        AttemptFailed: if it names a document that there is not, or one twice, leaves out what is wanted, or has a score that
            is no number.
    """
    count = len(request.documents)
    wanted = min(request.top_n or count, count)
    seen = {one.index for one in reranked.ranked}
    if len(seen) < len(reranked.ranked) or any(not 0 <= index < count for index in seen):
        raise AttemptFailed(FailureKind.MALFORMED, "the upstream ranked documents that it was not asked about")
    if any(not math.isfinite(one.score) for one in reranked.ranked):
        raise AttemptFailed(FailureKind.MALFORMED, "the upstream gave a score that is no number")
    if len(seen) < wanted:
        raise AttemptFailed(FailureKind.MALFORMED, "the upstream left out documents")
    ranked = sorted(reranked.ranked, key=lambda one: (-one.score, one.index))[:wanted]
    return Reranked(tuple(ranked), reranked.input_tokens, reranked.search_units)


def answered_question(given: Given, input_tokens: int, estimate: int, search_units: int = 0) -> AnsweredQuestion:
    """Return who answered and what is owed; ``estimate`` is what the input is taken for where nobody has counted it."""
    model = given.model
    if not 0 <= input_tokens <= _MOST_TOKENS or not 0 <= search_units <= _MOST_SEARCHES:
        # It cannot be true, and would fit into no bill.
        input_tokens = search_units = 0
    # Who bills searches bills no tokens, and counts none.
    is_estimated = not input_tokens and not search_units
    tokens = estimate if is_estimated else input_tokens
    cost = cost_nano_usd(Usage(input_tokens=tokens), model.prices) + search_units * model.search_unit_nano_usd
    return AnsweredQuestion(
        answered_by=model.candidate,
        input_tokens=tokens,
        is_estimated=is_estimated,
        search_units=search_units,
        unit_prices=model.prices,
        cost_nano_usd=cost,
        attempts=given.attempts,
    )
