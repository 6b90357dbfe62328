"""The built-in reranker: what tells near-duplicates apart."""

from __future__ import annotations

import asyncio

import pytest

from penstock_embedding.domain.retrieval.features import NAMES, features_of
from penstock_embedding.domain.retrieval.learned import LearnedReranker, own_weights
from penstock_embedding.domain.retrieval.reranking import Passage

TEXT = "Dogs stay on deck. A kennel costs {price} EUR. Form F-{price}."


def _passages(*titles: str) -> list[Passage]:
    return [
        Passage(title, (), TEXT.format(price=10 + at), 0.5, 0.5, document=str(at)) for at, title in enumerate(titles)
    ]


def _feature(name: str, query: str, passages: list[Passage]) -> list[float]:
    return [values[NAMES.index(name)] for values in features_of(query, passages)]


def _best(query: str, *titles: str) -> str:
    passages = _passages(*titles)
    scores = asyncio.run(LearnedReranker(own_weights()).scores(query, passages, None))
    assert all(0 <= score <= 1 for score in scores)
    return titles[max(range(len(titles)), key=scores.__getitem__)]


def test_the_weights_are_of_these_features() -> None:
    assert set(own_weights().weights) == set(NAMES)
    assert all(len(values) == len(NAMES) for values in features_of("kennel", _passages("Ferry")))


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("What does a kennel cost on the North ferry?", "Ferry rules: North"),
        ("kennel price Nroth ferry", "Ferry rules: North"),
        ("kennel, ferry rules South", "Ferry rules: South"),
        ("what does a kennel cost on the island ferry of the South", "Ferry rules: South islands"),
        ("F-12", "Ferry rules: South islands"),
    ],
)
def test_the_variant_that_is_asked_for_is_first(query: str, meant: str) -> None:
    assert _best(query, "Ferry rules: North", "Ferry rules: South", "Ferry rules: South islands") == meant


@pytest.mark.parametrize("old", ["Ferry rules (edition of 2027, withdrawn)", "Ferry rules (2027)"])
def test_what_is_outdated_is_behind_unless_it_is_asked_for(old: str) -> None:
    assert _best("What does a kennel cost now?", old, "Ferry rules") == "Ferry rules"
    assert _best("What did a kennel cost by the rules of 2027?", old, "Ferry rules") == old


def test_a_misspelt_word_is_found_as_what_is_alike() -> None:
    exact, misspelt = (_feature("covered", query, _passages("Ferry"))[0] for query in ("kennel", "kennle"))
    assert exact == 1.0 and 0.5 < misspelt < 1.0
    assert _feature("covered", "xylophone", _passages("Ferry")) == [0.0]


def test_passages_of_one_document_support_one_another() -> None:
    head = Passage("", (), "Release 9.0 of the kit.", document="kit")
    body = Passage("", (), "PAGE_SIZE = 200", document="kit")
    other = Passage("", (), "PAGE_SIZE = 100", document="other")
    assert _feature("in_document", "PAGE_SIZE in release 9.0", [head, body, other])[1:] == [
        1.0,
        pytest.approx(_feature("covered", "PAGE_SIZE in release 9.0", [head, body, other])[2]),
    ]


def test_nothing_asked_and_nothing_found_raise_nothing() -> None:
    assert features_of("?", []) == []
    assert len(features_of("?!", _passages("", ""))) == 2
    assert len(features_of("何か月ですか", [Passage("", (), "", None, None)])) == 1
