"""A context made ready for comparison: its statements, where each word stands, and which passage holds now."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from penstock_gateway.domain.guardrails.grounding.passages import Passage, Statement, head_of, statements_of
from penstock_gateway.domain.guardrails.grounding.quantities import Quantity, is_same, quantities_of
from penstock_gateway.domain.guardrails.grounding.text import Word, tidy, words_of
from penstock_gateway.domain.guardrails.grounding.vocabulary import DENIALS, NEGATIONS, STALE, STALE_PHRASES, UNITS

_KEY_UNIT = re.compile(
    r"(?:_|\b)(ms|seconds?|secs?|minutes?|hours?|days?|weeks?|months?|years?|percent|bytes|kb|mb|gb|eur|usd)\b",
    re.IGNORECASE,
)
_ITEM = re.compile(r"\(?\d{1,3}[.)]\s")
_LEAST_PREFIX = 5
MAX_NUMBERS = 64
"""Numbers that are read of one statement, and of one claim."""
# More than twice the difference up to which two numbers say the same.
_AROUND = 3e-3
_PREFIX_SHARE = 0.6

EXACT, MEANING, PREFIX = 1.0, 0.8, 0.7
"""How much a word counts that stands there in some form, that one of its meaning stands there, that one begins alike."""


class Clause(msgspec.Struct, gc=False):
    """A part of a statement: its words' stems and meanings, and 1 where it denies what it says."""

    stems: frozenset[str]
    meanings: frozenset[int]
    denials: int


class Head(msgspec.Struct, gc=False):
    """What a statement stands under: the stems and meanings there, all its words, and what they may be shortened to."""

    stems: frozenset[str]
    meanings: frozenset[int]
    texts: frozenset[str]
    initials: frozenset[str]


class Indexed(msgspec.Struct, gc=False):
    """A statement with its words, numbers, and the stems of what it stands under."""

    statement: Statement
    words: list[Word]
    quantities: list[Quantity]
    stems: frozenset[str]
    head: Head
    _clauses: list[Clause] | None = None

    @property
    def clauses(self) -> list[Clause]:
        """Return the statement's clauses."""
        if self._clauses is None:
            self._clauses = clauses_of(self.words, self.statement.text)
        return self._clauses


class Numbers:
    """The numbers of statements in order, so that those that say the same as another are found without looking at all."""

    def __init__(self, units: Sequence[Indexed]) -> None:
        self._units = units
        self._sizes: list[tuple[float, int]] | None = None
        self._values: list[tuple[float, int]] = []
        self._known: dict[tuple[float, str, float], frozenset[int]] = {}

    def places(self, quantity: Quantity) -> frozenset[int]:
        """Return which statements have a number that is the same."""
        key = (quantity.size, quantity.dimension, quantity.value)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._places(quantity)
        return found

    def _places(self, quantity: Quantity) -> frozenset[int]:
        if self._sizes is None:
            said = [(one, number) for number, unit in enumerate(self._units) for one in unit.quantities]
            self._sizes = sorted((one.size, number) for one, number in said)
            self._values = sorted((one.value, number) for one, number in said)
        near: set[int] = set()
        for size in (quantity.size, quantity.size * 100, quantity.size / 100):
            near |= _between(self._sizes, size)
        near |= _between(self._values, quantity.value)
        return frozenset(
            number for number in near if any(is_same(quantity, other) for other in self._units[number].quantities)
        )


def _between(numbers: list[tuple[float, int]], middle: float) -> set[int]:
    """Return whose numbers lie around another, wide enough for all that are taken for the same."""
    reach = abs(middle) * _AROUND + 1e-8
    first = bisect_left(numbers, (middle - reach, -1))
    last = bisect_left(numbers, (middle + reach, len(numbers)))
    return {number for _, number in numbers[first:last]}


class Context:
    """What an answer may rest on, indexed once for all its claims."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = list(passages)
        self.units: list[Indexed] = []
        self.by_stem: defaultdict[str, dict[int, float]] = defaultdict(dict)
        self.by_meaning: defaultdict[int, set[str]] = defaultdict(set)
        self._texts: defaultdict[str, set[int]] = defaultdict(set)
        heads: dict[tuple[str, ...], Head] = {}
        for statement in statements_of(passages):
            head = heads.get(statement.heads)
            if head is None:
                head = heads[statement.heads] = _head(statement.heads)
                for text in head.texts:
                    self._texts[text].add(statement.passage)
            self._add(statement, head)
        self._alike: dict[str, dict[int, float]] = {}
        self._numbers = Numbers(self.units)
        self.stale, self.years, self.labels = _versions(self.passages)

    def _add(self, statement: Statement, head: Head) -> None:
        words = words_of(statement.text)
        number = len(self.units)
        for word in words:
            self._texts[word.text].add(statement.passage)
            if not word.weight:
                continue
            places = self.by_stem[word.stem]
            if not places:
                for meaning in word.meanings:
                    self.by_meaning[meaning].add(word.stem)
            places[number] = EXACT
        quantities = quantities_of(words)[:MAX_NUMBERS]
        if quantities and _ITEM.match(statement.text):
            quantities = [one for one in quantities if one.at]
        stems = frozenset(word.stem for word in words if word.weight)
        self.units.append(Indexed(statement, words, _with_key_units(statement.text, quantities), stems, head))

    def stating(self, quantity: Quantity) -> frozenset[int]:
        """Return the statements that have the number."""
        return self._numbers.places(quantity)

    def writes(self, text: str, passages: frozenset[int]) -> bool:
        """Return whether one of the passages has the word, as it is compared, in a statement or in what that stands under."""
        return not passages.isdisjoint(self._texts.get(text, ()))

    def where(self, word: Word) -> dict[int, float]:
        """Return the statements that have the word or one alike, and how much it counts there."""
        known = self._alike.get(word.stem)
        if known is None:
            known = self._alike[word.stem] = self._where(word)
        return known

    def _where(self, word: Word) -> dict[int, float]:
        found = dict(self.by_stem.get(word.stem, ()))
        for meaning in word.meanings:
            for stem in self.by_meaning.get(meaning, ()):
                for number in self.by_stem[stem]:
                    found.setdefault(number, MEANING)
        if len(word.stem) >= _LEAST_PREFIX and not word.is_name:
            for stem in self._beginning_alike(word.stem):
                for number in self.by_stem[stem]:
                    found.setdefault(number, PREFIX)
        return found

    def _beginning_alike(self, stem: str) -> list[str]:
        begin = stem[:4]
        return [
            other
            for other in self.by_stem
            if other.startswith(begin)
            and other != stem
            and _shared(stem, other) >= max(4, _PREFIX_SHARE * max(len(stem), len(other)))
        ]

    def rarity(self, places: int) -> float:
        """Return how much a word tells that stands in so many statements: 1 for one that stands in none or one."""
        if places <= 1:
            return 1.0
        return max(0.35, 1.0 - 0.65 * math.log(places) / math.log(max(len(self.units), 3)))


def clauses_of(words: Sequence[Word], text: str) -> list[Clause]:
    """Cut at commas, stops and words that join clauses; a label before a colon or a bar goes with what follows it."""
    pieces: list[list[Word]] = [[]]
    label: list[Word] = []
    last_end = 0
    for at, word in enumerate(words):
        between = text[last_end : word.start]
        if _CUT.search(between) or (pieces[-1] and _joins(words, at)):
            is_answered = label and len(pieces) == 1 and not any(one.weight for one in pieces[0][len(label) :])
            pieces.append([] if is_answered else list(label))
        elif not label and len(pieces) == 1 and len(pieces[0]) <= _LABEL_WORDS and ("|" in between or ":" in between):
            label = list(pieces[0])
        pieces[-1].append(word)
        last_end = word.start + len(word.text)
    return [
        Clause(
            frozenset(word.stem for word in piece if word.weight),
            frozenset(meaning for word in piece for meaning in word.meanings),
            denials_in(piece) % 2,
        )
        for piece in pieces
        if piece
    ]


_CUT = re.compile(r"[;.,()]\s|--")
_JOINTS = frozenset(["but", "yet", "whereas", "while", "because", "since"])
_AFTER_AND = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "can",
        "may",
        "must",
        "has",
        "have",
        "do",
        "does",
        "will",
        "should",
        "not",
        "no",
        "never",
        "nobody",
        "nothing",
        "cannot",
    ]
)
_LABEL_WORDS = 8


def _joins(words: Sequence[Word], at: int) -> bool:
    return words[at].text in _JOINTS or (words[at].text == "and" and _text(words, at + 1) in _AFTER_AND)


def denials_in(words: Sequence[Word]) -> int:
    """Return how often the words say no; "not only" and "no longer than" do not, and "unless" does."""
    count = 0
    for at, word in enumerate(words):
        following = words[at + 1].text if at + 1 < len(words) else ""
        if word.text in NEGATIONS:
            is_bound = following in _BOUNDS and not (following in ("longer", "more") and _text(words, at + 2) != "than")
            count += not is_bound
        elif word.text in DENIALS:
            count += 1
    return count


_BOUNDS = frozenset(["only", "later", "more", "earlier", "higher", "lower", "longer", "fewer", "less", "sooner"])


def _text(words: Sequence[Word], at: int) -> str:
    return words[at].text if at < len(words) else ""


def _initials(words: Sequence[Word]) -> frozenset[str]:
    """Return what two or three words in a row may be shortened to: "uk" for the United Kingdom."""
    letters = "".join(word.text[0] for word in words)
    return frozenset(letters[at : at + length] for length in (2, 3) for at in range(len(letters) - length + 1))


def _head(heads: Sequence[str]) -> Head:
    words = [word for head in heads for word in words_of(tidy(head))]
    said = [word for word in words if word.weight]
    return Head(
        frozenset(word.stem for word in said),
        frozenset(meaning for word in said for meaning in word.meanings),
        frozenset(word.text for word in words),
        _initials(said),
    )


def _shared(one: str, other: str) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _with_key_units(text: str, quantities: list[Quantity]) -> list[Quantity]:
    """Give numbers without a unit the one that their key names, as in ``timeout_ms: 900`` and "Fee (EUR): 40"."""
    if not quantities or all(one.dimension for one in quantities):
        return quantities
    key = re.split(r"[:=|]", text.strip("| "), maxsplit=1)[0] if re.search(r"[:=|]", text.strip("| ")) else ""
    named = _KEY_UNIT.search(key)
    unit = UNITS.get(named[1].lower()) if named else None
    if unit is None:
        return quantities
    return [one if one.dimension else one._replace(size=one.value * unit[1], dimension=unit[0]) for one in quantities]


def _versions(passages: Sequence[Passage]) -> tuple[list[bool], list[int], list[frozenset[str]]]:
    """Return which passages say that they hold no more, the latest year of each head, and by which words of its head each differs from the others."""
    heads = [head_of(passage) for passage in passages]
    stale = [_is_stale(head) for head in heads]
    if not passages[1:] or all(stale):
        stale = [False] * len(passages)
    years = [max(map(int, re.findall(r"\b(?:19|20|21)\d\d\b", head)), default=0) for head in heads]
    told = [
        {
            word.text
            for word in words_of(tidy(head))
            if word.text not in STALE and (word.weight > 0 or word.text[0].isdigit())
        }
        for head in heads
    ]
    told = [own | ({"may"} if re.search(r"\bMay\b", head) else set()) for own, head in zip(told, heads, strict=True)]
    told = [own | {text[1:] for text in own if text[0] == "v" and text[1:].isdigit()} for own in told]
    counts = Counter(text for own in told for text in own)
    return stale, years, [frozenset(text for text in own if counts[text] == 1) for own in told]


def _is_stale(head: str) -> bool:
    lower = head.lower()
    return any(phrase in lower for phrase in STALE_PHRASES) or any(word.text in STALE for word in words_of(tidy(lower)))
