"""What a chunk and a question have in common, by their words."""

from __future__ import annotations

import pytest

from penstock_embedding.domain.retrieval.analysis import document_terms, query_terms
from penstock_embedding.domain.retrieval.languages import language_of


def _meets(question: str, text: str, language: str = "") -> bool:
    return bool(query_terms(question, language).keys() & document_terms(text, language).keys())


@pytest.mark.parametrize(
    ("question", "text", "language"),
    [
        ("cancelled invoices", "Cancel the invoice.", "en"),
        ("Kündigungen", "die Kündigung", "de"),
        ("KUNDIGUNG", "die Kündigung", "de"),
        ("Straße", "Hauptstrasse und STRASSE", "de"),
        ("Frist", "Die Kündigungsfrist beträgt drei Monate.", "de"),
        ("Müllabfuhrgebühr", "Gebühren der Müllabfuhr", "de"),
        ("l'importation", "les importations", "fr"),
        ("encodage", "Quel est l'encodage exigé", "fr"),
        ("кошки", "кошка", "ru"),
        ("المكتبة", "مَكْتَبَة", "ar"),
        ("नीति", "छुट्टी की नीति।", "hi"),
        ("接続できる台数", "同時に接続する機器", "ja"),
        ("请假政策", "公司的请假规定", "zh"),
        ("휴가", "휴가는 스무 날입니다", "ko"),
        ("ภาษา", "ภาษาไทย", "th"),
        ("leitweg_missing", "fails with `422 leitweg_missing`", "en"),
        ("leitweg", "leitweg_missing", "en"),
        ("maxUserKg", '"max_user_kg": 180', "en"),
        ("LedgerlyError", "class LedgerlyError extends Error", "en"),
        ("ledgerly errors", "LedgerlyError", "en"),
        ("v2.3.1", "since v2.3.1", "en"),
        ("422", "`422`", "en"),
        ("60000", "60,000 rows", "en"),
        ("９００", "up to 900", "en"),
        ("K3", "the crock K-3", "en"),
        ("cancel", "POST /v5/invoices/{id}/cancel", "en"),
        ("Brenner", "Brenner's oak", "en"),
    ],
)
def test_a_question_meets_what_says_the_same_otherwise(question: str, text: str, language: str) -> None:
    assert _meets(question, text, language)


@pytest.mark.parametrize(
    ("question", "text"),
    [("what is the", "the is what"), ("42", "422"), ("東京", "京都"), ("form S-6", "file T-7")],
)
def test_other_words_do_not_meet(question: str, text: str) -> None:
    assert not _meets(question, text, "")


def test_words_that_deny_are_kept() -> None:
    assert _meets("not", "must not be frozen", "en")
    assert _meets("nicht", "wird nicht erstattet", "de")


def test_a_name_is_found_from_a_question_in_another_language() -> None:
    assert query_terms("Wann beginnt Castelline?", "de").keys() & document_terms("Castelline begins", "en").keys()


def test_the_exact_form_counts_more_than_its_stem_alone() -> None:
    asked = query_terms("cancelling", "en")

    def score(text: str) -> float:
        found = document_terms(text, "en")
        return sum(weight * found.get(term, 0.0) for term, weight in asked.items())

    assert score("cancelling it") > score("cancelled it") > 0


def test_title_and_headings_count_twice() -> None:
    (term,) = query_terms("四四", "ja")
    assert (
        document_terms("四四\nother words of a text", "en")[term]
        > document_terms("other\nwords of a 四四 text", "en")[term]
    )


def test_hashes_are_of_32_bits_and_stay_the_same() -> None:
    assert query_terms("東京", "ja") == {190648999: 1.0}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Wie lange gilt die Garantie?", "de"),
        ("Quel est le délai de préavis ?", "fr"),
        ("¿Cuánto cuesta una hora?", "es"),
        ("ledgerly-sdk 9.0", "en"),
        ("", "en"),
        ("何か月ですか", "ja"),
        ("多少台设备", "zh"),
        ("Сколько стоит час", "ru"),
        ("Nimbus 2 Lite 同时可以连接多少台设备?", "zh"),
    ],
)
def test_languages_are_guessed(text: str, language: str) -> None:
    assert language_of(text) == language


def test_a_long_word_and_nonsense_cost_little_and_raise_nothing() -> None:
    assert document_terms("x" * 100_000 + " \x00 \ud800 " + "a-" * 1000, "xx-unknown")
