"""What a search may ask and cost, and whose documents it may show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from penstock_common.contract.knowledge import SearchOptions
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_common.errors import InvalidRequest
from penstock_embedding.domain.retrieval.filters import check_filter

MOST_BASES = 8
MOST_CHARACTERS = 4096
MOST_HITS = 50


class SearchLimits(NamedTuple):
    """What a search may cost; seconds."""

    candidates: int = 100
    """Of each way to search, before those that are not to be shown are left out."""
    leg_timeout: float = 2.0
    """Of one way to search; where the other one answers, that is the answer."""
    start_timeout: float = 10.0
    """Of a model that is not loaded yet, before its way begins."""
    rerank_timeout: float = 3.0
    rerank_candidates: int = 32


def check(request: SearchRequest) -> None:
    """Refuse a search that means nothing, or is too much to ask.

    Raises:
        InvalidRequest: with the field's path.
    """
    if not 1 <= len(request.bases) <= MOST_BASES:
        raise InvalidRequest(f"A search names 1 to {MOST_BASES} knowledge bases, not {len(request.bases)}.", "bases")
    if len(set(request.bases)) < len(request.bases):
        raise InvalidRequest("A knowledge base is named twice.", "bases")
    if not request.query.strip():
        raise InvalidRequest("There is no question.", "query")
    if len(request.query) > MOST_CHARACTERS:
        raise InvalidRequest(
            f"A question may have at most {MOST_CHARACTERS} characters, not {len(request.query)}.", "query"
        )
    _check_options(request.options)
    if request.options.index_version and len(request.bases) > 1:
        raise InvalidRequest("A version is of one knowledge base: name one, or no version.", "options.index_version")


def may_see(document_labels: Sequence[str], labels: Sequence[str]) -> bool:
    """Return whether a key with these labels finds the document: it has none itself, or shares one."""
    return not document_labels or not set(document_labels).isdisjoint(labels)


def _check_options(options: SearchOptions) -> None:
    if not 0 <= options.limit <= MOST_HITS:
        raise InvalidRequest(f"A search has 1 to {MOST_HITS} hits, not {options.limit}.", "options.limit")
    for name, share in (("min_score", options.min_score), ("diversity", options.diversity)):
        # Written so that NaN is refused, too.
        if not 0 <= share <= 1:
            raise InvalidRequest(f"It must be between 0 and 1, not {share:g}.", f"options.{name}")
    if options.max_per_document < 0:
        raise InvalidRequest("It cannot be negative; 0 is as many as there are.", "options.max_per_document")
    if options.filter is not None:
        check_filter(options.filter, "options.filter")
