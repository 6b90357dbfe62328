"""Form taken away: the words of a text as the rules compare them."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from penstock_cache.domain.guard.vocabulary import CONTRACTIONS, FUNCTION_WORDS, POLITENESS, SUFFIXES

# Texts beyond it are not compared by meaning: what differs could be anywhere in them.
MAX_CHARACTERS = 4000
MAX_WORDS = 256

_WORD = re.compile(
    r"\bw/o?\b|\bw/(?=\s)"
    r"|\d+(?:[.,:/]\d+)*+(?:st|nd|rd|th)?(?![^\W\d_])"  # 30, 1,000.50, 10:30, 2024/05, 2nd
    r"|[^\W_](?:\w|['&/](?=[^\W\d_])|[-.](?=\w))*+[+#]*(?!\w)"  # words, it's, e-mail, C++, node.js, AT&T
    r"|[^\W_]\w*+"
    r"|[$€£¥%°&,?!.;:\n()+*=<>^-]"
)
_MARKS = frozenset(".?!;:(),")
_GLUED = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)*)(?=[^\W\d_])(?!(?:st|nd|rd|th)\b)")
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "“": '"', "”": '"', "–": "-", "—": ",", "‑": "-"})
_END = re.compile(r"(?<=[.?!;])\s+|\n+")
_SIGN_OFF = re.compile(
    r"\b(?:(?:kind|best|warm|with|many|a lot of|mit|freundlichen?|viele|bien|un) ){0,2}"
    r"(?:regards|thanks|thank you|thx|cheers|greetings|wishes|grüßen?|grüsse|cordialement|merci|saludos|gracias|saluti|grazie"
    r"|atenciosamente|obrigad[oa]|danke)\b[^.?!;\n]{0,40}[.!?]*\s*$",
    re.IGNORECASE,
)


class Word(NamedTuple):
    """A word in its normal form.

    ``shown`` is as written; ``is_name`` says that it is written like one: a capital
    within a sentence, capitals alone, or letters with digits.
    """

    text: str
    shown: str
    is_name: bool
    is_content: bool
    stem: str


def tidy(text: str) -> str:
    """Return the text with one form of each character, without what cannot be seen."""
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).translate(_QUOTES)
    if not text.isprintable():
        text = "".join(character if character.isprintable() or character == "\n" else " " for character in text)
    return _SIGN_OFF.sub("", text).rstrip(" ,") or text


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a tidy text."""
    return [sentence for sentence in _END.split(text) if sentence and not sentence.isspace()]


@lru_cache(maxsize=512)
def words_of(text: str) -> tuple[Word, ...]:
    """Return the words of a tidy text; what is said for politeness alone is left out."""
    words: list[Word] = []
    for sentence in sentences_of(text):
        is_start = True
        for match in _WORD.finditer(_GLUED.sub(r"\1 ", sentence)):
            shown = match.group()
            if shown in _MARKS:
                is_start = is_start or shown == ":"
                continue
            words += _words(shown, is_name=_is_name(shown, is_start=is_start))
            is_start = False
    return tuple(words)


def _words(shown: str, *, is_name: bool) -> list[Word]:
    return [
        Word(normal, shown, is_name, _is_content(normal), stem(normal))
        for normal in _normal(shown)
        if normal not in POLITENESS
    ]


def _is_name(shown: str, *, is_start: bool) -> bool:
    letters = [character for character in shown if character.isalpha()]
    if not letters or shown in {"I", "I'm", "I've", "I'd", "I'll"}:
        return False
    if len(letters) < len(shown) and any(character.isdigit() for character in shown):
        return True
    if len(letters) > 1 and any(character.isupper() for character in letters[1:]):
        return True
    return letters[0].isupper() and not is_start


def _is_content(word: str) -> bool:
    return word not in FUNCTION_WORDS and word[0].isalnum()


def _normal(shown: str) -> list[str]:
    word = shown.lower()
    known = CONTRACTIONS.get(word)
    if known is not None:
        return known.split()
    for suffix, full in SUFFIXES:
        if word.endswith(suffix) and len(word) > len(suffix):
            bare = word[: -len(suffix)]
            return [CONTRACTIONS.get(bare, bare), full] if full else [CONTRACTIONS.get(bare, bare)]
    if "-" in word and not word.startswith(_PREFIXES) and not any(character.isdigit() for character in word):
        return [part for part in word.split("-") if part]
    return [word]


_PREFIXES = ("non-", "un-", "re-", "pre-", "anti-", "co-")


def stem(word: str) -> str:
    """Return the word without its commonest endings, so that forms of one word meet."""
    if len(word) <= 3 or not word.isalpha():
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)] + instead
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "sle":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] == "e" else word


_ENDINGS = (
    ("ations", "at"), ("ation", "at"), ("ies", "y"), ("ied", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"),
    ("ings", ""), ("ing", ""), ("edly", ""), ("ed", ""), ("ly", ""), ("ss", "ss"), ("us", "us"), ("is", "is"), ("s", ""),
)  # fmt: skip


def is_misspelling(one: str, other: str) -> bool:
    """Return whether two words are one slip of the keyboard apart; two where both are long."""
    if min(len(one), len(other)) < 3 or abs(len(one) - len(other)) > 2 or one[0] != other[0]:
        return False
    allowed = 2 if min(len(one), len(other)) >= 8 else 1
    return _distance(one, other, allowed) <= allowed


def _distance(one: str, other: str, limit: int) -> int:
    """Return the number of edits, a swap of neighbours being one (Damerau, restricted); ends beyond ``limit``."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        following = [at]
        for place, against in enumerate(other, 1):
            cost = min(row[place] + 1, following[-1] + 1, row[place - 1] + (letter != against))
            if at > 1 and place > 1 and letter == other[place - 2] and one[at - 2] == against:
                cost = min(cost, before[place - 2] + 1)
            following.append(cost)
        if min(following) > limit:
            return limit + 1
        before, row = row, following
    return row[-1]
