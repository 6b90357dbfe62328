"""Cue words of many languages, and where they stand in a text."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

# Written without spaces, or with letters that stick to a word in front of it: cues are found anywhere.
_UNSPACED = frozenset({"zh", "ja", "ko", "ar", "hi", "fa"})
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NO_LATIN = re.compile(r"[\u0600-\u06ff\u0900-\u097f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_SHORTEST_STEM = 3


class Hit(NamedTuple):
    """A cue: what it says, and where it stands. ``token`` is the place among the words, or -1 for a piece."""

    start: int
    end: int
    concept: str


class _Rest(NamedTuple):
    """What follows the first word of a cue: words, of which some are beginnings."""

    concept: str
    words: tuple[tuple[str, bool], ...]


class _Seconds(NamedTuple):
    """The second words of cues that begin with the same word, and the beginnings of such."""

    words: frozenset[str]
    stems: tuple[str, ...]


def _seconds(rests: Sequence[_Rest]) -> _Seconds | None:
    """Return what may follow; None where one of the cues has one word alone."""
    if any(not rest.words for rest in rests):
        return None
    following = [rest.words[0] for rest in rests]
    return _Seconds(
        frozenset(word for word, is_stem in following if not is_stem),
        tuple(word for word, is_stem in following if is_stem),
    )


class Lexicon:
    """Looks for cues. Remembers words that it has seen, a bounded number of them."""

    _MOST_REMEMBERED = 50_000

    def __init__(self, concepts: Mapping[str, Mapping[str, str]]) -> None:
        """Sort the cues out by how they are found."""
        self.concepts = tuple(concepts)
        self._exact: dict[str, list[_Rest]] = defaultdict(list)
        self._stems: dict[str, list[tuple[str, _Rest]]] = defaultdict(list)
        pieces: dict[str, str] = {}
        for concept, cue, is_piece in _sorted_out(concepts):
            if is_piece:
                pieces.setdefault(cue.replace("_", " "), concept)
            else:
                self._add(concept, cue)
        self._piece_concepts = pieces
        self._pieces = re.compile("|".join(map(re.escape, sorted(pieces, key=len, reverse=True))))
        self._known: dict[str, tuple[_Rest, ...]] = {}
        self._seconds: dict[str, _Seconds | None] = {}

    def _add(self, concept: str, cue: str) -> None:
        words = [(one[0].rstrip("*"), one[0].endswith("*")) for one in re.finditer(r"[^\W_]+(?:['’][^\W_]+)*\*?", cue)]
        (first, is_stem), rest = words[0], _Rest(concept, tuple(words[1:]))
        if is_stem and len(first) >= _SHORTEST_STEM:
            self._stems[first[:_SHORTEST_STEM]].append((first, rest))
        else:
            self._exact[first].append(rest)

    def hits_of_pieces(self, text: str, pieces: Sequence[tuple[int, int]]) -> list[list[Hit] | None]:
        """Return the cues of pieces of a text in small letters, each as if it stood alone; None: look at it alone.

        The text is looked through once, though pieces overlap. A piece that parts a cue or a word is to be looked at alone.
        """
        hits = self.hits(text)
        starts = [hit.start for hit in hits]
        has_unspaced = _NO_LATIN.search(text) is not None
        return [
            None
            if _is_in_a_word(text, start)
            or _is_in_a_word(text, end)
            or (has_unspaced and not _NO_LATIN.search(text, start, end))
            else _within(hits, starts, start, end, can_part=has_unspaced)
            for start, end in pieces
        ]

    def hits(self, text: str) -> list[Hit]:
        """Return the cues of a text in small letters, in order; where cues begin together, all of them."""
        spans = [(one[0], one.start(), one.end()) for one in _TOKEN.finditer(text)]
        known = self._known
        found: list[Hit] = []
        for place, (word, start, end) in enumerate(spans):
            rests = known.get(word)
            if rests is None:
                rests = self._look_up(word)
            if not rests or not self._may_go_on(word, spans, place + 1):
                continue
            for rest in rests:
                if not rest.words:
                    found.append(Hit(start, end, rest.concept))
                elif (last := _followed(spans, place + 1, rest.words)) is not None:
                    found.append(Hit(start, last, rest.concept))
        if _NO_LATIN.search(text):
            found += [Hit(one.start(), one.end(), self._piece_concepts[one[0]]) for one in self._pieces.finditer(text)]
            found.sort()
        return found

    def _may_go_on(self, word: str, spans: list[tuple[str, int, int]], place: int) -> bool:
        """Return whether a cue may begin with a word: one of one word, or one whose second word follows."""
        seconds = self._seconds[word]
        if seconds is None:
            return True
        if place >= len(spans):
            return False
        following = spans[place][0]
        return following.replace("’", "'") in seconds.words or following.startswith(seconds.stems)

    def _look_up(self, word: str) -> tuple[_Rest, ...]:
        plain = word.replace("’", "'")
        rests = [*self._exact.get(plain, ())]
        rests += [rest for stem, rest in self._stems.get(plain[:_SHORTEST_STEM], ()) if plain.startswith(stem)]
        if not rests and "'" in plain:
            # French and Italian articles stick to their word: l'assistant.
            rests += self._exact.get(plain.partition("'")[2], ())
        if len(self._known) >= self._MOST_REMEMBERED:
            self._known.clear()
            self._seconds.clear()
        self._known[word] = tuple(dict.fromkeys(rests))
        self._seconds[word] = _seconds(rests)
        return self._known[word]


def _sorted_out(concepts: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str, bool]]:
    """Yield each concept with its cues, and whether a cue is found anywhere."""
    for concept, languages in concepts.items():
        for language, listed in languages.items():
            for cue in listed.lower().split():
                yield concept, cue, language in _UNSPACED and _NO_LATIN.search(cue) is not None


def _followed(spans: list[tuple[str, int, int]], place: int, words: tuple[tuple[str, bool], ...]) -> int | None:
    if place + len(words) > len(spans):
        return None
    for at, (word, is_stem) in enumerate(words, place):
        seen = spans[at][0]
        if not (seen.startswith(word) if is_stem else seen.replace("’", "'") == word):
            return None
    return spans[place + len(words) - 1][2]


def _is_in_a_word(text: str, at: int) -> bool:
    return 0 < at < len(text) and not text[at - 1].isspace() and not text[at].isspace()


def _within(hits: list[Hit], starts: list[int], start: int, end: int, *, can_part: bool) -> list[Hit] | None:
    """Return the hits between two places, from the first one on; None where one lies across them that may hide others."""
    first, last = bisect_left(starts, start), bisect_left(starts, end)
    if can_part and any(hit.end > start for hit in hits[max(0, first - _MOST_ACROSS) : first]):
        return None
    found = [Hit(hit.start - start, hit.end - start, hit.concept) for hit in hits[first:last] if hit.end <= end]
    return None if can_part and len(found) != last - first else found


# Cues that begin within a phrase's length.
_MOST_ACROSS = 40


@cache
def lexicon() -> Lexicon:
    """Read the lexicon of this package."""
    path = files("penstock_gateway.domain.guardrails.injection") / "lexicon.toml"
    return Lexicon(tomllib.loads(path.read_text(encoding="utf-8")))
