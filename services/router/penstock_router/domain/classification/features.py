"""What can be seen of a prompt without a model: cue words and where they stand, and how it is built.

Figures are for a linear or small neural model: counts are square roots or logarithms, so that long texts stay in range.
"""

from __future__ import annotations

import math
import re
from functools import cache
from itertools import pairwise

from penstock_router.domain.classification.lexicon import Lexicon, lexicon

# A long text says what it wants at its beginning or its end.
HEAD_CHARS = 400
TAIL_CHARS = 300
# A quotation is what is worked on, not what is asked; shorter ones are names.
_QUOTED = re.compile(r"[\"“„«「『]([^\"”“»」』]{12,})[\"”“»」』]")
_FENCE = "```"
_WORD = re.compile(r"[^\W\d_][\w'’+#\u0900-\u0963\u0e30-\u0e4e-]*[#+]*|\d+(?:[.,:]\d+)*|[.!?。！？؟।\n]")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_CODE = "{}();=<>[]$|\\"
# Each is looked for where its mark is there, which is seldom.
_IDENTIFIERS = (
    ("_", re.compile(r"[a-z0-9]_[a-z0-9]")),
    ("(", re.compile(r"\w\(")),
    (" -", re.compile(r"\s--?[a-z]")),
    ("/", re.compile(r"/\w+/")),
)
_CAMEL = re.compile(r"[a-z][A-Z]")
_EXTENSION = re.compile(r"\.[a-z]{1,4}\b")
_MONEY = "$€£¥%°"
_FORMULA = re.compile(r"[\dxyn)] ?[-+*/^=×÷<>] ?[\dxyn(]|[²³≤≥√∑]")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_ACRONYM = re.compile(r"\b[A-Z][A-Z0-9]+\b")
_ENDS = frozenset(".!?。！？؟।\n")
_ASKS = frozenset("?？؟")
_OPENING_WORDS = 3
# Letters of Chinese, Japanese and Korean say about as much as so many of an alphabet.
_DENSITY = 2.5


class _Counts:
    """How often each cue occurs: anywhere, as one of the first words, first of any sentence, in what asks."""

    __slots__ = ("anywhere", "asked", "last", "leading", "opening")

    def __init__(self, cues: int) -> None:
        self.anywhere = [0] * cues
        self.opening = [0] * cues
        self.leading = [0] * cues
        self.asked = [0] * cues
        self.last: list[int] = []
        """The cues of the sentence before."""

    def ask(self) -> None:
        """Count the last sentence as one that asks."""
        for cue in self.last:
            self.asked[cue] += 1


@cache
def names() -> tuple[str, ...]:
    """Return what the figures are, in their order."""
    cues = lexicon().cues
    places = ("", "opening ", "leading ", "asked ")
    return tuple(place + cue for place in places for cue in cues) + _BUILD


_BUILD = (
    "characters", "words", "sentences", "questions", "lines", "commas", "lists", "numbers", "long words", "quoted",
    "quoted share", "code marks", "code share", "fenced", "identifiers", "money", "formulas", "names", "asks at end",
    "begins small", "colon", "parentheses", "exclaims", "last sentence", "first sentence", "latin", "unspaced", "other script",
    "verbs", "distinct cues", "wh before verb", "numbers per word", "acronyms", "learned words", "word length", "asked for length",
    "largest number", "ands",
)  # fmt: skip


def figures_of(text: str) -> list[float]:
    """Return the figures of a text of any length, in the order of ``names``."""
    shown = text if len(text) <= HEAD_CHARS + TAIL_CHARS else f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"
    known = lexicon()
    counts = _Counts(len(known.cues))
    words = _WORD.findall(shown.lower().replace("’", "'"))
    sentences = _count_words(known, counts, words)
    unspaced = _UNSPACED.search(shown) is not None
    if unspaced:
        _count_pieces(known, counts, shown.lower())
    spoken = [word for word in words if word not in _ENDS]
    numbers = [word for word in spoken if word[0].isdigit()]
    latin = sum(map(shown.count, "aeio")) > len(shown) / 16
    places = (counts.anywhere, counts.opening, counts.leading, counts.asked)
    return [
        *(root for place in places for root in map(_ROOTS.__getitem__, place)),
        *_size(text, shown, len(spoken), sentences, _DENSITY if unspaced and not latin else 1.0),
        *_build(text, shown, spoken, numbers),
        *_punctuation(shown),
        math.log1p(len(counts.last)),
        math.log1p(_first_sentence(words)),
        float(latin),
        float(unspaced),
        float(not latin and not unspaced),
        *_cues(counts),
        *_wording(shown, spoken, numbers, _asked_length(known, words) if numbers else 0.0),
    ]


def _size(text: str, shown: str, words: int, sentences: int, weight: float) -> tuple[float, ...]:
    return (
        math.log1p(len(text) * weight / 20),
        math.log1p(max(1, words) * weight / 5),
        math.sqrt(sentences),
        math.sqrt(sum(map(shown.count, "?？؟"))),
        math.log1p(text.count("\n")),
        math.sqrt(sum(map(shown.count, ",，、;；،"))),
        math.sqrt(shown.count("\n-") + shown.count("\n*") + shown.count("\n1")),
    )


def _build(text: str, shown: str, spoken: list[str], numbers: list[str]) -> tuple[float, ...]:
    several = max(1, len(spoken))
    quoted = sum(map(len, _QUOTED.findall(shown)))
    code = sum(map(shown.count, _CODE))
    return (
        math.sqrt(len(numbers)),
        sum(len(word) > 8 for word in spoken) / several,
        math.log1p(quoted / 20),
        quoted / max(1, len(shown)),
        math.log1p(code),
        code / several,
        float(_FENCE in text or "`" in shown),
        math.log1p(_identifiers(shown)),
        math.sqrt(sum(map(shown.count, _MONEY))),
        math.sqrt(len(_FORMULA.findall(shown))),
        math.sqrt(len(_NAME.findall(shown))),
    )


def _identifiers(shown: str) -> int:
    found = sum(len(pattern.findall(shown)) for mark, pattern in _IDENTIFIERS if mark in shown)
    return found + len(_CAMEL.findall(shown)) + len(_EXTENSION.findall(shown))


def _punctuation(shown: str) -> tuple[float, ...]:
    return (
        float(shown.rstrip()[-1:] in _ASKS),
        float(shown[:1].islower()),
        math.sqrt(sum(map(shown.count, ":："))),
        math.sqrt(sum(map(shown.count, "(（"))),
        math.sqrt(sum(map(shown.count, "!！"))),
    )


def _cues(counts: _Counts) -> tuple[float, ...]:
    return (
        math.sqrt(sum(counts.leading)),
        math.sqrt(sum(map(bool, counts.anywhere))),
        float(any(counts.opening[cue] for cue in _ASKING_CUES)),
    )


def _wording(shown: str, spoken: list[str], numbers: list[str], asked_length: float) -> tuple[float, ...]:
    several = max(1, len(spoken))
    return (
        len(numbers) / several,
        math.sqrt(len(_ACRONYM.findall(shown))),
        sum(len(word) >= _LEARNED_CHARS and _LEARNED.search(word) is not None for word in spoken) / several,
        len("".join(spoken)) / several,
        asked_length,
        math.log1p(max(map(_value, numbers), default=0)),
        math.sqrt(sum(word in _ANDS for word in spoken)),
    )


_MOST = 9
# As many as a text that is looked at can have words, and pieces of them.
_ROOTS = tuple(math.sqrt(min(count, _MOST)) for count in range(4000))
_LENGTH = lexicon().cues.index("length")
_ANDS = frozenset(("and", "und", "et", "y", "e", "en", "i", "и", "och", "ve", "a", "та"))
_ASKING_CUES = tuple(lexicon().cues.index(name) for name in ("what", "whowhen", "howmany"))


_LEARNED = re.compile(
    r"(?:tion|ity|ism|osis|itis|ase|ics|logy|metric|ment|ance|ence|ität|ung|ité|dad|tà|dade|ость|ция)s?$"
)
_LEARNED_CHARS = 8


def _value(word: str) -> float:
    digits = "".join(filter(str.isdecimal, word.partition(".")[0]))[:9]
    return float(digits or 0)


def _asked_length(known: Lexicon, words: list[str]) -> float:
    """Return the logarithm of a length that is asked for, such as that of "300 words"."""
    longest = 0.0
    for number, unit in pairwise(words):
        if number[0].isdigit() and _LENGTH in known.of_word(unit):
            longest = max(longest, _value(number))
    return math.log1p(longest)


def _first_sentence(words: list[str]) -> int:
    for position, word in enumerate(words):
        if word in _ENDS:
            return position
    return len(words)


def _count_words(known: Lexicon, counts: _Counts, words: list[str]) -> int:
    """Count the cues of spaced writing; return how many sentences there are."""
    sentences = 0
    sentence: list[str] = []
    end = ""
    for word in words:
        if word not in _ENDS:
            sentence.append(word)
        elif sentence:
            _count_sentence(known, counts, sentence, is_first=not sentences)
            sentences += 1
            end = word
            if end in _ASKS:
                counts.ask()
            sentence = []
    if sentence:
        _count_sentence(known, counts, sentence, is_first=not sentences)
        sentences += 1
        end = ""
    if end not in _ASKS:
        counts.ask()
    return sentences


def _count_sentence(known: Lexicon, counts: _Counts, sentence: list[str], *, is_first: bool) -> None:
    anywhere, of_word, pairs, firsts = counts.anywhere, known.of_word, known.pairs, known.firsts
    cues: list[int] = []
    before = ""
    for position, word in enumerate(sentence):
        found = of_word(word)
        if before:
            found += pairs.get(f"{before} {word}", ())
        before = word if word in firsts else ""
        for cue in found:
            anywhere[cue] += 1
        cues += found
        if position < _OPENING_WORDS:
            for cue in found:
                counts.leading[cue] += 1
                counts.opening[cue] += is_first
    counts.last = cues


# How much of unspaced writing is looked through, and what counts as its beginning and end.
_UNSPACED_CHARS = 240
_UNSPACED_OPENING = 8
_UNSPACED_END = 24


def _count_pieces(known: Lexicon, counts: _Counts, text: str) -> None:
    """Count the cues of unspaced writing."""
    text = text if len(text) <= _UNSPACED_CHARS else text[: _UNSPACED_CHARS // 2] + text[-_UNSPACED_CHARS // 2 :]
    end = len(text) - _UNSPACED_END
    for at, letter in enumerate(text):
        if letter < "\u3040":
            continue
        found = [cue for length in known.piece_lengths for cue in known.pieces.get(text[at : at + length], ())]
        for cue in found:
            counts.anywhere[cue] += 1
            counts.opening[cue] += at < _UNSPACED_OPENING
            counts.leading[cue] += at < _UNSPACED_OPENING
            counts.asked[cue] += at >= end
