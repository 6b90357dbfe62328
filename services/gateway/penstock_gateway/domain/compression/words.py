"""Words of a text as they are compared: folded, without endings, and those that say nothing left out."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_PIECES = re.compile(
    r"(?P<number>\d+(?:[.,:]\d+)*)"
    r"|(?P<symbols>[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+)"
    r"|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)?)"
)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ENDINGS = (
    "ations", "ation", "ments", "ment", "ings", "ing", "ness", "ies", "ers", "er", "ed", "es", "ly", "en", "e", "s", "y",
)  # fmt: skip
_LEAST_LEFT = 3
_KNOWN_WORDS = 1 << 16

SILENT = frozenset(
    """
    a about after again all also am an and any are aren't as at be because been before being but by can can't could did
    didn't do does doesn't doing don't for from had has have having he her here him his how i i'm i've if in into is isn't it
    its it's just let's may me might must mustn't my no nor of off on once only or our ours out over own please same shall
    she should so some such tell than that that's the their them then there these they this those through to too under
    until up us very was wasn't we were what what's when where where's which while who who's whom whose why will with won't
    would you your yours many much give show find say
    der die das den dem des ein eine einen einem einer und oder nicht ist sind wird werden wie was wer wo wann warum von vom
    zu zum zur im in mit auf für bei aus nach es ich wir sie er muss darf kann man welche welcher welches
    le la les un une des du de et ou est sont que qui quoi quand où comment pourquoi dans sur pour par avec au aux ce cette
    il elle on nous vous je
    el los las uno una unos y o es son que quién cuándo dónde cómo por para con en del al se su lo
    """.split()
)
"""Words of questions and of grammar."""


def words_of(text: str) -> list[str]:
    """Return the text's words, in order: stems, numbers as they are, pairs of signs where words have no spaces."""
    found: list[str] = []
    for match in _PIECES.finditer(text):
        piece = match.group()
        if match.lastgroup == "word":
            found += _stems(piece)
        elif match.lastgroup == "number":
            found.append(piece)
        else:
            found += [piece[at : at + 2] for at in range(max(1, len(piece) - 1))]
    return found


def _stems(word: str) -> list[str]:
    """Return the word's stem; of a name in code those of its parts, too."""
    pieces = [word] if word.islower() or word.isupper() else [word, *_HUMP.split(word)[1:], *_HUMP.split(word)[:-1]]
    return [stem for piece in pieces if (stem := stem_of(piece))]


@lru_cache(maxsize=_KNOWN_WORDS)
def stem_of(word: str) -> str:
    """Return the word without its ending, folded; empty for one that says nothing."""
    folded = word.casefold().replace("’", "'")
    if folded in SILENT:
        return ""
    folded = folded.removesuffix("'s")
    if not folded.isascii():
        folded = "".join(sign for sign in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(sign))
    for ending in _ENDINGS:
        if folded.endswith(ending) and len(folded) - len(ending) >= _LEAST_LEFT:
            folded = folded[: -len(ending)]
            break
    if len(folded) > _LEAST_LEFT and folded[-1] == folded[-2] and folded[-1] not in "aeiouls":
        folded = folded[:-1]
    return folded
