"""What has nothing to do with a question is no passage, where nobody has set a least score."""

from __future__ import annotations

import msgspec
import pytest

from penstock_common.contract.knowledge import HitScores, SearchedIndex, SearchResult
from penstock_common.sections import DEFAULT_EMBEDDING_MODEL
from penstock_gateway.domain.knowledge_use.relevance import relevant

from .test_passages import hit

SEARCHED = SearchedIndex(
    knowledge_base="docs", version=1, model=DEFAULT_EMBEDDING_MODEL, model_revision="r", generation=1
)


def found(scores, *, model=DEFAULT_EMBEDDING_MODEL):
    one = msgspec.structs.replace(hit("x"), scores=HitScores(**scores))
    return relevant(SearchResult(hits=(one,), searched=(msgspec.structs.replace(SEARCHED, model=model),)))


@pytest.mark.parametrize(
    ("scores", "stays"),
    [
        ({"rerank": 0.05}, True),
        ({"rerank": 0.03}, False),
        ({"rerank": 0.03, "dense": 0.4}, True),
        ({"rerank": 0.03, "dense": 0.3}, False),
        ({"fused": 0.1, "dense": 0.1}, True),
    ],
)
def test_what_is_likely_to_answer_or_near_by_meaning_stays_and_what_nobody_judged(scores, stays: bool) -> None:
    assert bool(found(scores)) is stays


def test_the_hub_has_an_owner_before_the_models_name() -> None:
    assert found({"rerank": 0.01, "dense": 0.4}, model=f"sentence-transformers/{DEFAULT_EMBEDDING_MODEL}")


@pytest.mark.parametrize(("scores", "stays"), [({"rerank": 0.03}, True), ({"rerank": 0.01, "dense": 0.9}, False)])
def test_cosines_of_another_model_say_nothing(scores, stays: bool) -> None:
    assert bool(found(scores, model="other")) is stays
