"""Texts as weighted words: what a chunk is found by without vectors. Chunks and questions are analysed alike.

A word counts as its stem and, weaker, as it is written: so the exact form wins, and names are found from a question in
another language. Identifiers count whole and by their parts. Scripts without spaces count by pairs of characters, and
languages that write compounds as one word also by short runs of letters.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Container, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

import Stemmer

from penstock_embedding.domain.retrieval.languages import COMPOUNDING, SNOWBALL, STOP_WORDS, fold, language_of, primary

ANALYSIS_VERSION = 1
"""Belongs to an index: terms of two versions do not meet."""

_K1 = 1.2
_B = 0.5
_USUAL_WORDS = 160.0
"""Of a chunk. A constant, so that a chunk's weights do not change when others come and go."""

MOST_OF_A_TERM = _K1 + 1
"""What a term approaches in a chunk that has it often."""

_AS_WRITTEN = 0.4
_PART = 0.6
_RUN = 0.15
_RUN_LETTERS = 5
_LONGEST_WORD = 64

# Letters, digits, underscores, and the marks that belong to letters, which \w leaves out; scripts without spaces whole.
_WORD = (
    r"\w\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff"
    r"\u0e00-\u0eff\u1000-\u1049\u1050-\u109f\u1780-\u17d3"
)
_TOKEN = re.compile(rf"[{_WORD}]+(?:[.\-/:@+#'’,][{_WORD}]+)*")
_SEPARATORS = re.compile(r"[._\-/:@+#'’,]+")
# What is in words without being seen, and vowels that Arabic may leave out.
_UNSEEN = re.compile(r"[\u00ad\u200b-\u200d\u2060\ufeff\u0640\u064b-\u065f\u0670]+")
_HUMP = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\dA-Za-z_]+")
_NUMBER = re.compile(r"\d+(?:[.,:/\-]\d+)*")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_APOSTROPHE = re.compile(r"['’]")
# Han, kana, Hangul, Thai, Lao, Khmer, Burmese.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+"
)


def document_terms(text: str, language: str = "") -> Mapping[int, float]:
    """Return a chunk's terms, by 32-bit hashes, with their weights of BM25 as far as they depend on the chunk.

    Args:
        text: with what stands before it when it is embedded: the first line, title and headings, counts twice.
        language: BCP 47; empty where it is to be guessed.
    """
    known = primary(language) or language_of(text)
    frequencies = _frequencies(text, known)
    headings, line_end, _ = text.partition("\n")
    if line_end:
        for term, weight in _frequencies(headings, known).items():
            frequencies[term] += weight
    words = sum(frequencies.values())
    damping = _K1 * (1 - _B + _B * words / _USUAL_WORDS)
    return {term: count * (_K1 + 1) / (count + damping) for term, count in frequencies.items()}


def query_terms(text: str, language: str = "") -> Mapping[int, float]:
    """Return a question's terms, by the same hashes, with how often each is asked for; the search multiplies by rarity."""
    return _frequencies(text, primary(language) or language_of(text))


def terms_among(text: str, language: str, wanted: Container[int]) -> set[int]:
    """Return which of the terms a text has at all; ``language`` as of ``primary``."""
    tokens = set(words_of(text))
    return {term for token in tokens for term, _ in _terms_of(token[:_LONGEST_WORD], language) if term in wanted}


def words_of(text: str) -> list[str]:
    """Return the tokens of a text as they are written: words and whole identifiers."""
    # ASCII is normal, and has nothing unseen.
    shown = text if text.isascii() else _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    return _TOKEN.findall(shown)


def stem(word: str, language: str) -> str:
    """Return a word's folded stem; the folded word where the language has no stemmer."""
    stemmer = _stemmer(language)
    return fold(stemmer.stemWord(word.casefold())) if stemmer else fold(word)


def number_of(token: str) -> str:
    """Return a number without the commas between its thousands; empty if the token is none."""
    if not _NUMBER.fullmatch(token):
        return ""
    return token.replace(",", "") if _THOUSANDS.fullmatch(token) else token


def _frequencies(text: str, language: str) -> dict[int, float]:
    found: dict[int, float] = {}
    for token in words_of(text):
        for term, weight in _terms_of(token[:_LONGEST_WORD], language):
            found[term] = found.get(term, 0.0) + weight
    return found


@lru_cache(maxsize=65536)
def _terms_of(token: str, language: str) -> tuple[tuple[int, float], ...]:
    return tuple((_hash(name), weight) for name, weight in named_terms(token, language))


def named_terms(token: str, language: str) -> Iterator[tuple[str, float]]:
    """Yield the names that a token is found by, with their weights: ``s:`` stems, ``w:`` words, ``i:`` joined, ``r:`` runs."""
    if _UNSPACED.search(token):
        yield from _pairs(token, language)
        return
    if number := number_of(token):
        yield f"s:{number}", 1.0
        parts = _SEPARATORS.split(token)
        if len(parts) > 1 and "," not in token:
            yield from ((f"s:{part}", _PART) for part in parts)
        return
    if _APOSTROPHE.search(token):
        # What stands before is an article (l'import) or the word (doesn't, Brenner's): both are asked for alone.
        for part in _APOSTROPHE.split(token):
            if len(part) > 1:
                yield from named_terms(part, language)
        return
    parts = [part for part in _SEPARATORS.split(token) if part]
    humps = [hump for part in parts for hump in _HUMP.findall(part)]
    if len(humps) > 1 and not _only_capitalized(token, humps):
        yield f"i:{fold(''.join(parts))}", 1.0
        for hump in humps:
            if len(hump) > 1 or hump.isdigit():
                yield from ((name, weight * _PART) for name, weight in _word(hump, language))
        return
    yield from _word("".join(parts), language)


def _only_capitalized(token: str, humps: list[str]) -> bool:
    return token.isalpha() and len(humps) == 2 and len(humps[0]) == 1  # ISum, eBay: nothing to part


def _word(word: str, language: str) -> Iterator[tuple[str, float]]:
    folded = fold(word)
    if not folded or folded in STOP_WORDS.get(language, ()):
        return
    stemmed = stem(word, language)
    yield f"s:{stemmed}", 1.0
    yield f"w:{folded}", _AS_WRITTEN
    if len(folded) <= 12:  # As an identifier is written without its separators: k3, setup.
        yield f"i:{folded}", _AS_WRITTEN
    if language in COMPOUNDING and len(stemmed) >= _RUN_LETTERS:
        for start in range(len(stemmed) - _RUN_LETTERS + 1):
            yield f"r:{stemmed[start : start + _RUN_LETTERS]}", _RUN


def _pairs(token: str, language: str) -> Iterator[tuple[str, float]]:
    at = 0
    for run in _UNSPACED.finditer(token):
        if before := token[at : run.start()].strip("._-/:@+#'’,"):
            yield from named_terms(before, language)
        characters = run.group()
        if len(characters) == 1:
            yield f"s:{characters}", 1.0
        for first, second in pairwise(characters):
            yield f"s:{first}{second}", 1.0
        at = run.end()
    if after := token[at:].strip("._-/:@+#'’,"):
        yield from named_terms(after, language)


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big")


@lru_cache(maxsize=64)
def _stemmer(language: str) -> Any:
    algorithm = SNOWBALL.get(language)
    return Stemmer.Stemmer(algorithm) if algorithm else None
