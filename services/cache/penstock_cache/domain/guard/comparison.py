"""Two texts laid side by side: which words they share, which stand in one only, and whether one is nearly the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

from penstock_cache.domain.guard.facts import Facts, facts_of
from penstock_cache.domain.guard.lexicon import is_known
from penstock_cache.domain.guard.text import Word, is_misspelling, sentences_of
from penstock_cache.domain.guard.vocabulary import NUMBER_WORDS

# From this share of the shorter text's words on, in order, what differs is an edit and not another wording.
NEAR_RATIO = 0.7
# From this ratio of their words on, the longer text is taken for a short one among others.
LONG_RATIO = 1.3
MAX_MISSPELT_WORDS = 16
_SQUEEZED_LETTERS = 4


@dataclass(frozen=True)
class Edit:
    """Words that stand in one text where others, or none, stand in the other."""

    stored: tuple[Word, ...]
    asked: tuple[Word, ...]
    is_before: bool
    is_after: bool


class Comparison:
    """A stored text and an asked one, in their facts and their words."""

    def __init__(self, stored: Facts, asked: Facts) -> None:
        self.stored = stored
        self.asked = asked
        self._matches = _misspellings(stored.words, asked.words)

    @cached_property
    def edits(self) -> tuple[Edit, ...]:
        """The edits that turn the stored text into the asked one, in order."""
        stored, asked = self.stored.words, self.asked.words
        matcher = SequenceMatcher(None, self._keys_of_stored(), [word.stem for word in asked], autojunk=False)
        return tuple(
            Edit(stored[a:b], asked[c:d], is_before=a == 0 and c == 0, is_after=b == len(stored) and d == len(asked))
            for tag, a, b, c, d in matcher.get_opcodes()
            if tag != "equal" and squeezed(stored[a:b]) != squeezed(asked[c:d])
        )

    @cached_property
    def overlap(self) -> float:
        """The share of the shorter text's words that stand in the other one in the same order."""
        shorter = min(len(self.stored.words), len(self.asked.words))
        if not shorter:
            return 0.0
        edited = sum(len(edit.stored) for edit in self.edits)
        return min((len(self.stored.words) - edited) / shorter, 1.0)

    @property
    def is_near(self) -> bool:
        """Whether one is nearly the other, or nearly a part of it."""
        return self.overlap >= NEAR_RATIO

    @cached_property
    def only_stored(self) -> tuple[Word, ...]:
        """The content words that stand in the stored text alone, wherever they stand."""
        return _missing(self.stored, self.asked, set(self._matches))

    @cached_property
    def only_asked(self) -> tuple[Word, ...]:
        """The content words that stand in the asked text alone."""
        return _missing(self.asked, self.stored, set(self._matches.values()))

    def _keys_of_stored(self) -> list[str]:
        return [self._matches.get(word.stem, word.stem) for word in self.stored.words]


def compare(stored: str, asked: str) -> tuple[Comparison, Comparison]:
    """Return the comparison of two tidy texts, and that of the shorter one with the other's sentence most like it."""
    whole = Comparison(facts_of(stored), facts_of(asked))
    short, long = (stored, asked) if len(whole.stored.words) <= len(whole.asked.words) else (asked, stored)
    sentences = [sentence for sentence in sentences_of(long) if facts_of(sentence).stems]
    if len(sentences) < 2 or len(facts_of(long).words) < LONG_RATIO * len(facts_of(short).words):
        return whole, whole
    core = _most_alike(facts_of(short), sentences)
    return whole, Comparison(core, whole.asked) if long is stored else Comparison(whole.stored, core)


def _most_alike(short: Facts, sentences: Sequence[str]) -> Facts:
    """Return the sentence that shares most with the short text; the later one of equals: questions stand last."""
    stems = {word.stem for word in short.words}

    def likeness(facts: Facts) -> float:
        shared = sum(1.0 if word.is_content else 0.2 for word in facts.words if word.stem in stems)
        return shared / (len(facts.words) + 6) ** 0.5

    return max(reversed([facts_of(sentence) for sentence in sentences]), key=likeness)


def _missing(facts: Facts, other: Facts, matched: set[str]) -> tuple[Word, ...]:
    written_apart = _written_apart(facts, other)
    return tuple(
        word
        for at, word in enumerate(facts.words)
        if word.is_content
        and word.stem not in other.stems
        and word.stem not in matched
        and not _is_number(word)
        and at not in written_apart
    )


def _written_apart(facts: Facts, other: Facts) -> set[int]:
    """Return the places of words that the other text has too, in fewer or more pieces."""
    return {
        at
        for run, (start, end) in facts.joined.items()
        if len(run) >= _SQUEEZED_LETTERS and run in other.joined
        for at in range(start, end)
    }


def squeezed(words: Iterable[Word]) -> str:
    """Return the words' letters without anything between them, so that "power bank" is "powerbank"."""
    return "".join(character for word in words for character in word.text if character.isalnum())


def _is_number(word: Word) -> bool:
    return word.text[0].isdigit() or word.text in NUMBER_WORDS


def _misspellings(stored: Sequence[Word], asked: Sequence[Word]) -> dict[str, str]:
    """Return which stems of the stored text are other stems of the asked one, misspelt on one side."""
    known = {word.stem for word in stored}
    there = {word.stem for word in asked}
    lonely = [word for word in stored if word.stem not in there][:MAX_MISSPELT_WORDS]
    others = [word for word in asked if word.stem not in known][:MAX_MISSPELT_WORDS]
    matches: dict[str, str] = {}
    for word in lonely:
        for other in others:
            if _may_be_misspelt(word, other) and other.stem not in matches.values():
                matches[word.stem] = other.stem
                break
    return matches


def _may_be_misspelt(one: Word, other: Word) -> bool:
    """Return whether one word may be the other; two that both exist may not, nor numbers, nor names but for a slip."""
    if _is_number(one) or _is_number(other) or not (one.text.isalpha() and other.text.isalpha()):
        return False
    if one.stem[:1] != other.stem[:1] or not is_misspelling(one.text, other.text):
        return False
    known = is_known(one.text) + is_known(other.text)
    if one.is_name and other.is_name:
        # Nobody knows all names: Schmitt may be as right as Schmidt, and two that nobody knows are two.
        return known == 1 and (len(one.text) != len(other.text) or sorted(one.text) == sorted(other.text))
    return known <= 1
