"""The words that the rules know, read from ``vocabulary.toml`` beside this module."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

_READ: dict[str, Any] = tomllib.loads(
    (files("penstock_cache.domain.guard") / "vocabulary.toml").read_text(encoding="utf-8")
)


def _words(name: str) -> frozenset[str]:
    return frozenset(_READ[name].split())


def _meanings(name: str) -> dict[str, str]:
    return {word: meaning for meaning, words in _READ[name].items() for word in words.split()}


def _pair(text: str) -> tuple[str, str]:
    one, other = text.split("/")
    return one, other


CONTRACTIONS: dict[str, str] = _READ["contractions"]
SUFFIXES = (("n't", "not"), ("'re", "are"), ("'ve", "have"), ("'ll", "will"), ("'m", "am"), ("'d", "would"), ("'s", ""))
PLEASE = _words("please")
GREETINGS = _words("greetings")
THANKS = _words("thanks")
POLITENESS = _words("politeness") | PLEASE | GREETINGS | THANKS
POLITE_FILLERS = _words("polite_fillers")
SAYING = _words("saying")
FUNCTION_WORDS = _words("function_words")
NEGATIONS = _words("negations")
AVOIDANCES = _words("avoidances")
AMBIGUOUS_NUMBERS = _words("ambiguous_numbers")
EACH = _words("each")
PERIODS = _words("periods")
SOURCE_PREPOSITIONS = _words("source_prepositions")
TARGET_PREPOSITIONS = _words("target_prepositions")
MEASURES = _words("measures")
FIRM_PREPOSITIONS = _words("firm_prepositions")
PREPOSITIONS = _words("prepositions")
ALL_PREPOSITIONS = PREPOSITIONS | FIRM_PREPOSITIONS | _words("loose_prepositions")
CONDITIONS = _words("conditions")
BACK_REFERENCES = _words("back_references")
COMMUTATIVE = _words("commutative")
NEGATIVE_PREFIXES = tuple(_READ["negative_prefixes"].split())
OPPOSITES = tuple(map(_pair, _READ["opposites"].split()))
NUMBER_WORDS = {word: float(value) for word, value in _meanings("numbers").items()}
SCALES = {word: float(value) for word, value in _meanings("scales").items()}
# name: its dimension, and its size in the dimension's base
UNITS = {
    word: (dimension, float(size))
    for dimension, sizes in _READ["units"].items()
    for size, words in sizes.items()
    for word in words.split()
}
MONTHS = _meanings("months")
WEEKDAYS = _meanings("weekdays")
RELATIVE_TIMES = _meanings("relative_times")
POINTERS = _meanings("pointers")
TENSES = _meanings("tenses")
FREQUENCIES = _meanings("frequencies")
QUANTIFIERS = _meanings("quantifiers")
FORMATS = _meanings("formats")
LANGUAGES = _meanings("languages")
AUDIENCES = _meanings("audiences")
MODALS = _meanings("modals")
QUESTIONS = _meanings("questions")
SMALL_WORDS = {language: frozenset(words.split()) for language, words in _READ["small_words"].items()}
