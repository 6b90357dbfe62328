"""Questions and passages as sets of names that can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from penstock_embedding.domain.retrieval.analysis import named_terms, words_of
from penstock_embedding.domain.retrieval.languages import fold, language_of

Names = frozenset[str]

_CODE = re.compile(r"[\d_]")
_YEAR = re.compile(r"(?<![\w.])(?:19|20)\d{2}(?!\w)")
_PARTS_COUNT = 0.7
_ALIKE = 0.5
_LEAST_LETTERS = 4
_MOST_LETTERS_MORE = 3
_OPENING_CHARACTERS = 200
_LANGUAGE_CHARACTERS = 600
_PASSAGES_KEPT = 4096


class Word(NamedTuple):
    """A word of a question: what it is found as, with how surely; else by which parts; and whether it is a code or number."""

    forms: Mapping[str, float]
    parts: Sequence[Names]
    code: bool

    def share(self, names: Names) -> float:
        """Return how surely the names have it, 0 to 1."""
        best = 0.0
        for form, sure in self.forms.items():
            if sure > best and form in names:
                best = sure
        if best or not self.parts:
            return best
        return _PARTS_COUNT * sum(not part.isdisjoint(names) for part in self.parts) / len(self.parts)


class ReadPassage(NamedTuple):
    """A passage's names, whole and by part."""

    title: Names
    title_words: Sequence[Names]
    sentences: Sequence[Names]
    whole: Names
    title_folded: Names
    opening_folded: Names
    title_years: frozenset[int]
    length: int


def years_of(text: str) -> frozenset[int]:
    """Return the years that a text names."""
    return frozenset(int(year) for year in _YEAR.findall(text))


@lru_cache(maxsize=_PASSAGES_KEPT)
def read_passage(title: str, text: str) -> ReadPassage:
    """Return a passage's names; ``title`` with its headings."""
    from penstock_embedding.domain.retrieval.sentences import sentences_of

    language = language_of(text[:_LANGUAGE_CHARACTERS])
    sentences = [frozenset(_names(text[one.start : one.end], language)) for one in sentences_of(text)]
    title_words = [frozenset(names) for token in words_of(title) if (names := _names_of(token, language))]
    in_title: Names = frozenset().union(*title_words)
    return ReadPassage(
        title=in_title,
        title_words=title_words,
        sentences=sentences,
        whole=in_title.union(*sentences),
        title_folded=frozenset(fold(word) for word in words_of(title)),
        opening_folded=frozenset(fold(word) for word in words_of(text[:_OPENING_CHARACTERS])),
        title_years=years_of(title),
        length=len(text),
    )


def read_question(query: str, passages: Sequence[ReadPassage]) -> list[Word]:
    """Return the words of a question, each once. What no passage has may be misspelt, and is also found as what is alike."""
    every: Names = frozenset().union(*(one.whole for one in passages))
    known = [name for name in every if name.startswith("w:")]
    found: dict[tuple[str, ...], Word] = {}
    for word in _words(query):
        found[tuple(word.forms)] = word if word.share(every) else _meant(word, known)
    return list(found.values())


def _words(query: str) -> Iterator[Word]:
    language = language_of(query)
    for token in words_of(query):
        names = _names_of(token, language)
        code = bool(_CODE.search(token))
        whole = [name for name in names if name.startswith("i:")]
        if not names:
            continue
        if not whole and not any(name.startswith("w:") for name in names):
            # A number, or characters without spaces between, whose pairs are words of their own.
            yield from (Word({name: 1.0}, (), code) for name in names)
        elif len(names) > len(whole) + 2:
            stems = [frozenset((name, f"w:{name[2:]}")) for name in names if name.startswith("s:")]
            yield Word(dict.fromkeys(whole[:1], 1.0), stems, code)
        else:
            yield Word(dict.fromkeys(names, 1.0), (), code)


def _names(text: str, language: str) -> Iterator[str]:
    for token in words_of(text):
        yield from _names_of(token, language)


@lru_cache(maxsize=65536)
def _names_of(token: str, language: str) -> tuple[str, ...]:
    return tuple(name for name, _ in named_terms(token, language) if not name.startswith("r:"))


def _meant(word: Word, known: Iterable[str]) -> Word:
    written = next((form[2:] for form in word.forms if form.startswith(("w:", "i:"))), "")
    if len(written) < _LEAST_LETTERS:
        return word
    grams = _grams(written)
    alike: dict[str, float] = {}
    for name in known:
        if abs(len(name) - 2 - len(written)) > _MOST_LETTERS_MORE:
            continue
        other = _grams(name[2:])
        share = 2 * len(grams & other) / (len(grams) + len(other))
        if share >= _ALIKE:
            alike[name] = share
    return word._replace(forms={**word.forms, **alike})


@lru_cache(maxsize=65536)
def _grams(word: str) -> frozenset[str]:
    """Return pairs of neighbouring letters, and of those with one between."""
    padded = f"^{word}$"
    return frozenset(
        {padded[at : at + 2] for at in range(len(padded) - 1)}
        | {f"~{first}{third}" for first, third in zip(padded, padded[2:], strict=False)}
    )
