"""What searches and answers tell of how well documents are found."""

from __future__ import annotations

import pytest

from penstock_common.contract.knowledge import Chunk, Hit, HitScores, SearchedIndex, SearchResult
from penstock_gateway.domain.knowledge_use.passages import all_of
from penstock_gateway.domain.knowledge_use.signals import RetrievalSignals, signals_of_chat, signals_of_search
from penstock_gateway.domain.knowledge_use.told import Retrieved


def hit(number, **scores):
    chunk = Chunk(id=f"c{number}", document="d", document_version=1, ordinal=0, text="t", start=0, end=1)
    return Hit(chunk=chunk, knowledge_base="k", score=0.5, scores=HitScores(**scores))


def result(*hits, model="all-MiniLM-L6-v2"):
    index = SearchedIndex(knowledge_base="k", version=1, model=model, model_revision="r", generation=1)
    return SearchResult(hits=hits, searched=[index])


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (result(), "empty"),
        (result(hit(1, dense=0.1)), "low"),
        (result(hit(1, dense=0.1), hit(2, dense=0.6)), "found"),
        (result(hit(1, dense=0.1, rerank=0.01)), "low"),
        (result(hit(1, dense=0.1, rerank=0.5)), "found"),
        # Words alone say no such thing, nor do cosines of a model that nobody has measured.
        (result(hit(1, sparse=0.1)), "found"),
        (result(hit(1, dense=0.1), model="another"), "found"),
        (result(hit(1, rerank=0.01), model="another"), "low"),
    ],
)
def test_a_search_is_low_where_its_scores_say_so(found, outcome):
    assert signals_of_search(found) == RetrievalSignals("search", outcome)


def chat(text="", *, is_whole=True, **parts):
    retrieved = Retrieved(**{"outcome": "found", "bases": ["k"], "query": "q", **parts})
    return signals_of_chat(retrieved, retrieved.told({0: text}), is_whole=is_whole)


def test_passages_are_cited_or_not():
    passages = all_of([hit(1), hit(2), hit(3)])
    assert chat("One [1]. Again [1]. None [9].", passages=passages) == RetrievalSignals("chat", "found", 1, 2, 2, 1)
    assert chat("One [1].", passages=passages, is_whole=False) == RetrievalSignals("chat", "found")
    assert chat(passages=passages, cited=()) == RetrievalSignals("chat", "found")


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ({"outcome": "nothing"}, "empty"),
        ({"outcome": "nothing", "irrelevant": 3}, "low"),
        ({"outcome": "unavailable"}, "unavailable"),
    ],
)
def test_nothing_is_nothing_found_nothing_near_or_nobody_who_searched(parts, outcome):
    assert chat(**parts).outcome == outcome
