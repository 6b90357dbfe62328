"""Form taken away: the words of a text as the rules compare them."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from penstock_cache.domain.guard.vocabulary import (
    CONTRACTIONS,
    FUNCTION_WORDS,
    GREETINGS,
    PLEASE,
    POLITE_FILLERS,
    POLITENESS,
    SAYING,
    SUFFIXES,
    THANKS,
)

# Texts beyond it are not compared by meaning: what differs could be anywhere in them.
MAX_CHARACTERS = 4000
MAX_WORDS = 256

_WORD = re.compile(
    r"\bw/o?\b|\bw/(?=\s)"
    r"|\d+(?=(?P<rest>(?:[.,:/]\d+)*))(?P=rest)(?:st|nd|rd|th)?(?![^\W\d_])"  # 30, 1,000.50, 10:30, 2024/05, 2nd
    r"|[^\W_](?:\w|['&/](?=[^\W\d_])|[-.](?=\w))*[+#]*(?!\w)"  # words, it's, e-mail, C++, node.js, AT&T
    r"|[^\W_]\w*+"
    r"|[$€£¥%°&,?!.;:\n()+*=<>^-]"
)
_MARKS = frozenset(".?!;:(),")
_GLUED = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)*)(?=[^\W\d_])(?!(?:st|nd|rd|th)\b)")
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
_QUOTES = str.maketrans(
    {
        "’": "'",
        "‘": "'",
        "‚": "'",
        "‹": "'",
        "›": "'",
        "`": "'",
        "´": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "«": '"',
        "»": '"',
        "「": '"',
        "」": '"',
        "–": "-",
        "—": ",",
        "‑": "-",
    }
)
_COLON = re.compile(r":(?=\s)")
_LATIN = re.compile(r"[a-z]", re.IGNORECASE)
# Greek, Cyrillic, Armenian, Cherokee; their Latin lookalikes are of one script each.
_LOOKALIKE = re.compile(r"[\u0370-\u058f\u13a0-\u13ff\uab70-\uabbf]")
_END = re.compile(r"(?<=[.?!;])\s+|\n+")
_QUOTED = re.compile(
    r"(?<![\w'])'{3}(.+?)'{3}"
    r"|(?<![\w\"])\"([^\"\n]+)\"(?!\w)"
    r"|(?<![\w'])'((?:[^'\n]|(?<=\w)'(?=\w))+)'(?![\w'])",
    re.DOTALL,
)
_SIGN_OFF = re.compile(
    r"(?:^|(?<=[.?!;,\n])) *(?:(?:kind|best|warm|with|many|a lot of|mit|freundlichen?|viele|bien|un) ){0,2}"
    r"(?:regards|thanks|thank you|thx|cheers|greetings|wishes|grüßen?|grüsse|cordialement|merci|saludos|gracias|saluti|grazie"
    r"|atenciosamente|obrigad[oa]|danke)\b(?! to\b)[^.?!;\n]{0,40}(?:,\s*\n[^.?!;\n]{1,40})?[.!]*\s*$",
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
    sign_off = _SIGN_OFF.search(text)
    if sign_off is None or text[: sign_off.start()].rstrip().endswith(":"):
        return text
    return text[: sign_off.start()].rstrip(" ,") or text


def quotes_of(text: str) -> frozenset[str]:
    """Return what a tidy text quotes, in whichever marks: words that are spoken of, code, a text to be worked on."""
    found = (next(filter(None, match.groups())) for match in _QUOTED.finditer(text))
    return frozenset(filter(None, (" ".join(quote.casefold().split()).strip(" .,!?;:") for quote in found)))


def announced(text: str) -> tuple[str, str]:
    """Return what a tidy text says before its first colon, and that with what it announces; nothing where it has none."""
    colon = _COLON.search(text)
    return (text[: colon.start()], text[colon.start() :]) if colon is not None else ("", "")


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a tidy text."""
    return [sentence for sentence in _END.split(text) if sentence and not sentence.isspace()]


@lru_cache(maxsize=512)
def words_of(text: str) -> tuple[Word, ...]:
    """Return the words of a tidy text; what is said for politeness alone is left out."""
    words: list[Word] = []
    is_told = False
    for sentence in sentences_of(text):
        words += _without_politeness(_phrases_of(sentence), is_told=is_told)
        is_told = sentence.rstrip().endswith(":")
    return tuple(words)


class _Phrase(NamedTuple):
    """The words between two marks; ``is_told`` says that a colon announces them."""

    words: list[Word]
    is_told: bool


def _phrases_of(sentence: str) -> list[_Phrase]:
    """Return the phrases of a sentence."""
    phrases = [_Phrase([], is_told=False)]
    is_start = True
    for match in _WORD.finditer(_GLUED.sub(r"\1 ", sentence)):
        shown = match.group()
        if shown in _MARKS:
            is_start = is_start or shown == ":"
            phrases.append(_Phrase([], is_told=shown == ":" or phrases[-1].is_told))
            continue
        phrases[-1].words.extend(_words(shown, is_name=_is_name(shown, is_start=is_start)))
        is_start = False
    return [phrase for phrase in phrases if phrase.words]


def _words(shown: str, *, is_name: bool) -> list[Word]:
    return [Word(normal, shown, is_name, _is_content(normal), stem(normal)) for normal in _normal(shown)]


def _without_politeness(phrases: list[_Phrase], *, is_told: bool) -> list[Word]:
    """Return a sentence's words without those that greet, ask kindly and thank, which in its midst are what it is about.

    "Good morning, what is a fjord?" greets, and "Should I swim in the morning?" does not; nor does what a colon announces.
    """
    words: list[Word] = []
    for at, phrase in enumerate(phrases):
        if is_told or phrase.is_told:
            words += phrase.words
        elif at not in (0, len(phrases) - 1) or not _is_polite(phrase.words):
            words += _bare(phrase.words, is_first=at == 0, is_last=at == len(phrases) - 1)
    return words


def _bare(phrase: list[Word], *, is_first: bool, is_last: bool) -> list[Word]:
    start, end = 0, len(phrase)
    while is_first and start < end and phrase[start].text in GREETINGS:
        start += 1
    while is_last and end - start > 1 and phrase[end - 1].text in THANKS and _may_end(phrase[end - 2]):
        end -= 1
    return [word for word in phrase[start:end] if word.text not in PLEASE]


def _is_polite(phrase: list[Word]) -> bool:
    texts = {word.text for word in phrase}
    return not POLITENESS.isdisjoint(texts) and texts <= _ALL_POLITE


_ALL_POLITE = POLITENESS | POLITE_FILLERS


def _may_end(word: Word) -> bool:
    """Return whether a question may end with this word, before thanks: after "say" or "of", thanks are what is meant."""
    return word.text in THANKS or (word.is_content and word.text not in SAYING)


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


def is_mixed(word: str) -> bool:
    """Return whether letters of other scripts stand among Latin ones, as where one is to be taken for another."""
    return not word.isascii() and _LATIN.search(word) is not None and _LOOKALIKE.search(word) is not None


def has_no_spaces(word: str) -> bool:
    """Return whether it is in a script that puts no spaces between words: Japanese and Chinese."""
    return not word.isascii() and any("\u3040" <= character <= "\u9fff" for character in word)


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
