from __future__ import annotations

import pytest

from penstock_cache.domain.meaning.answers import Sameness, compare_texts, compare_vectors

LONG = "The refund is paid within fourteen days to the card that was charged, and you get an e-mail once it is on its way. "


@pytest.mark.parametrize(
    ("one", "other"),
    [("Paris.", "paris"), ("**42** metres", "42 metres"), ("It\u2019s Paris!", "It's Paris")],
)
def test_the_same_words_are_the_same_answer(one: str, other: str) -> None:
    assert compare_texts(one, other) is Sameness.SAME


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris.", "Berlin."),
        ("Yes, within 30 days.", "No, not within 30 days."),
        ("It takes 30 days.", "It takes 45 days."),
        ("The capital is Paris.", "The capital is Berlin."),
        ("Costs 3.5 euros.", "Costs 35 euros."),
    ],
)
def test_short_answers_that_contradict_are_different(one: str, other: str) -> None:
    assert compare_texts(one, other) is Sameness.DIFFERENT
    assert compare_texts(other, one) is Sameness.DIFFERENT


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LONG * 3, LONG * 3 + "It takes 3 days more abroad."),
        (LONG, LONG.replace("is paid", "is not paid")),
        ("Use `git reset`.", "Use `git revert`."),
        ("", "Paris."),
    ],
)
def test_doubt_is_doubt(one: str, other: str) -> None:
    assert compare_texts(one, other) is Sameness.UNSURE


def test_what_nothing_speaks_against_is_left_to_the_vectors() -> None:
    one = "You get your money back within two weeks after the return has reached the warehouse."
    other = "After the return has reached the warehouse, your money is back within two weeks."
    assert compare_texts(one, other) is None
    assert compare_vectors(one, other, 0.95) is Sameness.SAME
    assert compare_vectors(one, other, 0.89) is Sameness.UNSURE
    assert compare_vectors(one, other, 0.5) is Sameness.DIFFERENT


def test_near_vectors_of_other_words_are_no_proof() -> None:
    assert compare_vectors("Photosynthesis stores light.", "Plants harvest sunshine.", 0.95) is Sameness.UNSURE
