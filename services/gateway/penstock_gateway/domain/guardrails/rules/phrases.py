"""Words and phrases that are not to be said, and patterns of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

from penstock_gateway.domain.guardrails.pattern_cost import checked_pattern, first_of, literal_of, needs_digit
from penstock_gateway.domain.guardrails.pipeline.rule import Found, Hold, LocalLook, Surface
from penstock_gateway.domain.guardrails.plain import Plain, made_plain, place_of, plain, strange_in

_BLANKS = re.compile(r"\s+")
_WORD = re.compile(r"\w+")
# Characters of all beginnings of phrases.
_MOST_OF_BEGINNINGS = 4_000_000
# Behind every text that is looked at.
_NOWHERE = 1 << 40
_OTHER_DIGIT = re.compile(r"\d")
# So many words are looked for one by one.
_FEW = 40
# White space in a phrase stands for so much of it in a text.
_MOST_BLANKS = 8


class Words(LocalLook):
    """Looks for whole words and phrases, whatever their case; any white space is as good as another.

    They are looked for as they were written, and in the text made plain (see ``plain``).
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        said = {_BLANKS.sub(" ", one.strip()) for one in phrases if one.strip()}
        plainly = {made_plain(one) for one in said}
        self._pattern, width = _any_of(said)
        self._of_plain, plain_width = _any_of(plainly)
        self._needs, self._plain_needs = Needed(said), Needed(plainly)
        forms = {_folded(one) for one in said} | {_folded(one) for one in plainly}
        # Marks may follow that make another letter of the last one.
        forms |= {_without_marks(one) for one in forms}
        # All beginnings of long phrases would take much memory.
        is_short = sum(len(one) ** 2 for one in forms) <= _MOST_OF_BEGINNINGS
        self._beginnings = {one[:end] for one in forms for end in range(len(one) + 1)} if is_short else set[str]()
        self.hold = Hold(width=max(width, plain_width), begun=self._begun if is_short else None)

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return what is found."""
        found = self._matches(text)
        read = plain(text)
        if read is not None:
            more = [Found("word", *read.origin(one.start, one.end)) for one in self._plain_matches(read.text)]
        elif self._of_plain.pattern != self._pattern.pattern:
            more = self._plain_matches(text)
        else:
            return found
        return _first_of_each_place([*found, *more]) if more else found

    def _matches(self, text: str) -> list[Found]:
        found = self._pattern.finditer(text) if self._needs.may_be_in(text) else ()
        return [Found("word", *one.span()) for one in found]

    def _plain_matches(self, text: str) -> list[Found]:
        found = self._of_plain.finditer(text) if self._plain_needs.may_be_in(text) else ()
        return [Found("word", *one.span()) for one in found]

    def _begun(self, text: str) -> int:
        """Return from where on a text may be one of the phrases, or the beginning of one."""
        for at in range(max(0, place_of(text, self.hold.width)), len(text)):
            if at and _is_of_a_word(text[at - 1]):
                continue
            tail = text[at:]
            if _folded(tail) in self._beginnings or _folded(made_plain(tail)) in self._beginnings:
                return at
        return len(text)


class Patterns(LocalLook):
    """Looks for what patterns match, in the text as it was written and made plain (see ``plain``)."""

    def __init__(self, patterns: Sequence[str]) -> None:
        checked = [checked_pattern(one) for one in patterns]
        self._patterns = [pattern for pattern, _ in checked]
        self._needs = [(literal_of(pattern), needs_digit(pattern)) for pattern in self._patterns]
        firsts = [first_of(pattern) for pattern in self._patterns]
        self._firsts = [one for one in firsts if one is not None]
        self._are_ascii = all(one.isascii() for one in patterns)
        begun = self._begun if len(self._firsts) == len(firsts) else None
        self.hold = Hold(width=max(width for _, width in checked), begun=begun)

    def _begun(self, text: str) -> int:
        """Return from where on a text has a character with which a match may begin."""
        start = max(0, place_of(text, self.hold.width))
        read = plain(text[start:])
        # Marks may follow that make another letter of the last one.
        end = len(text) if self._are_ascii else max(start, place_of(text, 1))
        return min(end, self._first(text, start), end if read is None else start + self._first_of_plain(read))

    def _first(self, text: str, start: int) -> int:
        found = [one.search(text, start) for one in self._firsts]
        return min((one.start() for one in found if one is not None), default=len(text))

    def _first_of_plain(self, read: Plain) -> int:
        at = self._first(read.text, 0)
        return read.origin(at, at + 1)[0] if at < len(read.text) else _NOWHERE

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return what is found, of those that overlap the first."""
        found = self._matches(text)
        read = plain(text)
        if read is not None:
            found += [Found(one.kind, *read.origin(one.start, one.end)) for one in self._matches(read.text)]
        return _first_of_each_place(found)

    def _matches(self, text: str) -> list[Found]:
        has_digits = any(one in text for one in "0123456789") or _OTHER_DIGIT.search("".join(strange_in(text)))
        return [
            Found(f"pattern_{number}", *one.span())
            for number, (pattern, (literal, is_with_digits)) in enumerate(zip(self._patterns, self._needs, strict=True))
            if literal in text and (has_digits or not is_with_digits)
            for one in pattern.finditer(text)
        ]


class Needed:
    """Of each phrase its longest word, by which one finds out at little cost that none of them is in a text."""

    def __init__(self, phrases: Collection[str]) -> None:
        words = [max(_WORD.findall(_small(one)), key=len, default="") for one in phrases]
        self._words = frozenset(words)
        self._are_few = len(self._words) <= _FEW
        self._is_always = "" in self._words

    def may_be_in(self, text: str) -> bool:
        """Return whether one of the phrases may be in a text, whatever its case."""
        if self._is_always:
            return True
        small = _small(text)
        if self._are_few:
            return any(word in small for word in self._words)
        # What is no letter by itself may become one in small letters.
        return "\u0345" in text or not self._words.isdisjoint(_WORD.findall(small))


def _small(text: str) -> str:
    """Return a text such that what is the same to an expression that ignores case is the same in it."""
    return text.lower() if text.isascii() else text.replace("\u0130", "i").replace("\u0131", "i").casefold()


def _folded(text: str) -> str:
    return _BLANKS.sub(" ", text).casefold()


def _without_marks(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))


def _is_of_a_word(one: str) -> bool:
    return one.isalnum() or one == "_"


def _any_of(phrases: Collection[str]) -> tuple[re.Pattern[str], int]:
    """Return a pattern of phrases, and the most characters that it matches."""
    said = sorted(phrases, key=len, reverse=True)
    forms = [re.escape(one).replace(r"\ ", rf"\s{{1,{_MOST_BLANKS}}}") for one in said]
    width = max((len(one) + one.count(" ") * _MOST_BLANKS for one in said), default=1)
    return re.compile(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)", re.IGNORECASE), width


def _first_of_each_place(found: Sequence[Found]) -> list[Found]:
    """Return what was found, in order, and of what overlaps the first, or the longest of those that begin together."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda each: (each.start, -each.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept
