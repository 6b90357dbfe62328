"""Where at the end of a text something may have begun that goes on: a word, groups of a number, what is quoted or spelled out."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

from penstock_gateway.domain.guardrails.pii.credentials import NAME_WORDS, STEMS
from penstock_gateway.domain.guardrails.pii.mails import AT, MARK
from penstock_gateway.domain.guardrails.pii.papers import MONTHS, ORDINALS
from penstock_gateway.domain.guardrails.pii.spoken import JOINS, is_spelled

LONGEST_NUMBER = 240
"""Characters from where a number, a date or a quoted value begins to the last word that says what it is."""

# What stands behind a number and says what it is: "was born", "(mobile)", "release".
_BEHIND = 48
# Between two groups of digits of one thing: the name of a month.
_APART = 34
_QUOTED = 204
_QUOTED_LOCAL = 66
_NAME_BEFORE = 120
_BETWEEN_DIGITS = frozenset(" -/.·()+,_\t")
_DIGIT = re.compile(r"\d")
_QUOTE = re.compile(r"[\"'`]")
_OPENS = frozenset(" \t\n:=,([{>")
_SECRET = re.compile("|".join(sorted({*STEMS, *NAME_WORDS})), re.IGNORECASE)
_YEARS_IN_WORDS = ("nineteen", "thousand", "neunzehnhundert")
_DAY_BEFORE_A_YEAR = 64
_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,60}-{0,5}$|-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY")
_KEY_REACH = 12_288
_KANJI = frozenset("〇零一二三四五六七八九 \t\n、,-")
# Scripts that write words together: their words have no ends, and nothing that is found has these signs but a link.
_UNSPACED = re.compile(r"[\u3001\u3003-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_WORD = re.compile(r"\S+")
_MARKS = frozenset(
    word for one in re.split(r"\||\\[\[\](){}]", f"{MARK}|{AT}|space|under|score|sign") for word in one.split()
)
_DATES = re.compile(rf"(?:{MONTHS}|{ORDINALS})$", re.IGNORECASE)
# Between the parts of a date in words.
_JOINTS = JOINS | frozenset("the of de di do den del in".split())
_AROUND = ".,;:!?()[]{}\"'"
# Enough for a few words.
_FEW = 48


def ongoing_from(text: str) -> int:
    """Return where that begins which may go on; the end of the text where nothing may."""
    earliest = max(0, len(text) - LONGEST_NUMBER)
    tail = text[earliest:]
    start = min(_of_word(text, tail), earliest + _of_words(tail))
    if _DIGIT.search(tail, max(0, len(tail) - _BEHIND)):
        start = min(start, earliest + _of_numbers(tail))
    if '"' in tail or "'" in tail or "`" in tail:
        start = min(start, earliest + _of_quotes(tail, text[max(0, earliest - _NAME_BEFORE) : earliest]))
    lower = tail[-_BEHIND - _DAY_BEFORE_A_YEAR :].lower()
    if any([year in lower for year in _YEARS_IN_WORDS]):
        start = min(start, len(text) - len(lower) - _DAY_BEFORE_A_YEAR)
    if not tail.isascii():
        kanji = len(tail)
        while kanji and tail[kanji - 1] in _KANJI:
            kanji -= 1
        start = min(start, earliest + kanji)
    begins = text.rfind("-----BEGIN", max(0, len(text) - _KEY_REACH))
    return max(0, min(start, begins) if begins >= 0 and _is_open(text, begins) else start)


def _is_open(text: str, begins: int) -> bool:
    return _KEY.match(text, begins) is not None and text.find("-----END", begins) < 0


def _of_word(text: str, tail: str) -> int:
    """Return where the last word begins: of an end without white space, far back."""
    last = tail.rsplit(None, 1)[-1] if tail.strip() else ""
    if not tail.endswith(last):
        return len(text)
    if len(last) == len(tail) and len(text) > len(tail):
        last = text.rsplit(None, 1)[-1]
    if "://" not in last and not last.isascii():
        last = _UNSPACED.split(last)[-1]
    return len(text) - len(last)


def _of_words(tail: str) -> int:
    """Return where the last words begin that may be spelling something: always one that is whole, and more behind marks and digits."""
    for reach in (_FEW, len(tail)):
        words = list(_WORD.finditer(tail, max(0, len(tail) - reach)))
        if not words:
            continue
        said = [one[0].strip(_AROUND).lower() for one in words]
        last = len(words) - 1
        whole = last if tail[-1].isspace() else max(0, last - 1)
        first = min(_first_of_marks(said, whole), _first_of_digits(said, last))
        # The first word of a part may be cut.
        if first > 1 or (first == 1 and reach > _FEW):
            return words[first].start()
    return 0


def _first_of_marks(said: Sequence[str], first: int) -> int:
    """Return the first word of what may be a spelled address: words and marks take turns."""
    while first > 0 and (said[first] in _MARKS or said[first - 1] in _MARKS):
        first -= 1
    return first


def _first_of_digits(said: Sequence[str], last: int) -> int:
    """Return the first word of what may be a number or a date in words."""
    first = last
    while first > 0 and _is_in_numbers(said[first - 1]):
        first -= 1
    return first


@lru_cache(maxsize=4096)
def _is_in_numbers(word: str) -> bool:
    return is_spelled(word) or word in _JOINTS or _DATES.match(word) is not None


def _of_numbers(tail: str) -> int:
    """Return where the number begins whose last digit is near the end, with the word before it."""
    digits = [one.start() for one in _DIGIT.finditer(tail)]
    first = bisect_left(digits, len(tail) - _BEHIND)
    start = digits[first]
    while first and start - digits[first - 1] <= _APART:
        first -= 1
        start = digits[first]
    while start and tail[start - 1] in _BETWEEN_DIGITS:
        start -= 1
    words = list(_WORD.finditer(tail, 0, start))
    said = [one[0].strip(_AROUND).lower() for one in words]
    return words[_first_of_digits(said, len(said) - 1)].start() if words else start


def _of_quotes(tail: str, before: str) -> int:
    """Return where a quoted value begins that has no end yet: behind the name of a secret, or of an address's local part."""
    opened: dict[str, int] = {}
    for one in _QUOTE.finditer(tail):
        sign, at = one[0], one.start()
        if sign in opened and tail.find("\n", opened[sign], at) < 0:
            begun = opened.pop(sign)
            if at == len(tail) - 1 and at - begun < _QUOTED_LOCAL:
                return begun
        elif sign == '"' or not at or tail[at - 1] in _OPENS:
            opened[sign] = at
    for at in sorted(opened.values()):
        if len(tail) - at < _QUOTED_LOCAL or (
            len(tail) - at < _QUOTED and _SECRET.search((before + tail[:at])[-_NAME_BEFORE:])
        ):
            return at
    return len(tail)
