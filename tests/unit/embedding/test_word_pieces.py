"""Counting word pieces without making them: as many as the tokenizer makes, of every word."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_embedding.adapters.model_files import ModelSource, find_tokenizer
from penstock_embedding.adapters.tokenization import read_tokenizer
from penstock_embedding.adapters.word_counter import WordCounter
from penstock_embedding.adapters.word_pieces import WordPieces

FILE = find_tokenizer(ModelSource("all-MiniLM-L6-v2")).tokenizer
TOKENIZER = read_tokenizer(FILE)
VOCABULARY = json.loads(TOKENIZER.to_str())["model"]["vocab"]
PIECES = WordPieces(VOCABULARY, "##", lowercase=True)
LETTERS = "aeinrstkzABZ0123456789"


def made(word: str) -> int:
    return len(TOKENIZER.encode(word, add_special_tokens=False).ids)


def of_numbers(pieces: WordPieces, numbers: list[str]) -> list[int]:
    text = " ".join(numbers)
    ends = np.cumsum([len(number) + 1 for number in numbers]) - 1
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    return pieces.of_numbers(codes, ends - [len(number) for number in numbers], ends).tolist()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(st.sampled_from(LETTERS), min_size=1, max_size=30), min_size=1, max_size=20))
def test_words_have_the_pieces_that_the_tokenizer_makes(words: list[str]) -> None:
    assert [PIECES.of(word) for word in words] == [made(word) for word in words]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.sampled_from("0123456789"), min_size=1, max_size=30), min_size=1, max_size=20))
def test_numbers_have_the_pieces_that_the_tokenizer_makes(numbers: list[str]) -> None:
    assert of_numbers(PIECES, numbers) == [made(number) for number in numbers]


def test_every_word_of_the_vocabulary_is_one_piece() -> None:
    words = [word for word in VOCABULARY if word.isascii() and word.isalnum()]

    assert {PIECES.of(word) for word in words} == {1}


def test_a_word_of_no_pieces_is_one_unknown_word() -> None:
    pieces = WordPieces(["a", "ab", "##c"], "##", lowercase=False)

    assert [pieces.of(word) for word in ("abc", "abd", "A", "acc")] == [2, 1, 1, 3]


def test_vocabularies_that_lack_digits_or_have_long_numbers_do_not_reckon_numbers_together() -> None:
    digits = [str(digit) for digit in range(10)]
    further = [f"##{digit}" for digit in digits]

    assert WordPieces([*digits, *further], "##", lowercase=False).knows_numbers
    assert not WordPieces([*digits, *further[1:]], "##", lowercase=False).knows_numbers
    assert not WordPieces([*digits, *further, "12345"], "##", lowercase=False).knows_numbers
    assert not WordPieces(["a"], "##", lowercase=False).knows_numbers


def test_a_text_of_numbers_is_measured_as_the_tokenizer_counts_it() -> None:
    text = " ".join(f"{number * 7919 % 1_000_003},{number}a {number:012}x9" for number in range(500))

    assert WordCounter(FILE, 256).measure(text).sums[-1] == made(text)
