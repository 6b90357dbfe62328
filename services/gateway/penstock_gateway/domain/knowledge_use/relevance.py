"""Which of the passages that were found have to do with the question at all, where nobody has set a least score."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.contract.knowledge import Hit, SearchResult

# Chosen by `make bench-knowledge` and one more set: about 97 % of what answers stays. Both ways to say yes are needed, as
# the reranker misses rewordings, which share no word with the question. Cosines mean another thing with each model.
_LEAST_PROBABILITY = 0.04
_LEAST_COSINES = {"all-MiniLM-L6-v2": 0.35}
_LEAST_PROBABILITY_ALONE = 0.02
"""With another model, whose cosines nobody has measured."""


def relevant(result: SearchResult) -> Sequence[Hit]:
    """Return the hits that are likely enough to answer by the reranker, or near enough by meaning; all that it did not judge."""
    cosines = {one.knowledge_base: _LEAST_COSINES.get(one.model.rpartition("/")[2]) for one in result.searched}
    return tuple([hit for hit in result.hits if _is_relevant(hit, cosines.get(hit.knowledge_base))])


def is_far(result: SearchResult) -> bool:
    """Return whether all hits seem to have nothing to do with the question, as far as their scores say: words alone do not."""
    cosines = {one.knowledge_base: _LEAST_COSINES.get(one.model.rpartition("/")[2]) for one in result.searched}
    return bool(result.hits) and all(_is_far(hit, cosines.get(hit.knowledge_base)) for hit in result.hits)


def _is_far(hit: Hit, least_cosine: float | None) -> bool:
    if hit.scores.rerank is not None:
        return not _is_relevant(hit, least_cosine)
    return least_cosine is not None and hit.scores.dense is not None and hit.scores.dense < least_cosine


def _is_relevant(hit: Hit, least_cosine: float | None) -> bool:
    likely = hit.scores.rerank
    if likely is None:
        return True
    if least_cosine is None:
        return likely >= _LEAST_PROBABILITY_ALONE
    return likely >= _LEAST_PROBABILITY or (hit.scores.dense or 0.0) >= least_cosine
