"""Where sentences begin and end."""

from __future__ import annotations

import pytest

from penstock_embedding.domain.retrieval.sentences import sentences_of


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("The cap is 180. After that you go home.", ["The cap is 180.", "After that you go home."]),
        ("Ask Dr. Ebel. He knows.", ["Ask Dr. Ebel.", "He knows."]),
        ("1. First\n2. Second", ["1. First", "2. Second"]),
        ("since v2.3.1 it works e.g. here. Now.", ["since v2.3.1 it works e.g. here.", "Now."]),
        ("これは文です。次の文です。", ["これは文です。", "次の文です。"]),
        ("| a | b |\n| c | d |", ["| a | b |", "| c | d |"]),
        ('He said "No." Then he left!', ['He said "No."', "Then he left!"]),
        ("  \n\n ", []),
        ("word " * 100, None),
    ],
)
def test_sentences(text: str, sentences: list[str] | None) -> None:
    found = [text[one.start : one.end] for one in sentences_of(text)]
    if sentences is not None:
        assert found == sentences
    assert all(one and one == one.strip() and len(one) <= 400 for one in found)
    assert "".join("".join(found).split()) == "".join(text.split())
