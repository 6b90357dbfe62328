"""Whether a piece reads like language: common words of many languages, and words put apart that were run together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise

_WORD = re.compile(r"[^\W\d_]+")
_LONGEST_WORD = 16
_FOREIGN = re.compile(r"[\u0400-\u04ff\u0600-\u06ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0900-\u097f]")


@cache
def known_words() -> frozenset[str]:
    """Return common words, lower case."""
    path = files("penstock_gateway.domain.guardrails.injection") / "common_words.txt"
    return frozenset(path.read_text(encoding="utf-8").split())


_ENDINGS = ("s", "ed", "ing", "d", "ly", "es")
_SHORTEST_WITH_AN_ENDING = 3


@cache
def known_forms() -> frozenset[str]:
    """Return common words, lower case, also with English endings."""
    known = known_words()
    formed = (word + ending for word in known if len(word) >= _SHORTEST_WITH_AN_ENDING for ending in _ENDINGS)
    return known.union(formed)


def is_known(word: str) -> bool:
    """Say whether a word of small letters is common, also with an English ending."""
    return word in known_forms()


def common_share(text: str) -> float:
    """Return the share of a text's letters that stand in common words."""
    return share_of(_WORD.findall(text.lower()))


def share_of(words: Sequence[str]) -> float:
    """Return the share of the letters of words in small letters that stand in common ones."""
    total = sum(map(len, words))
    known = known_forms()
    return sum(len(word) for word in words if word in known) / total if total else 0.0


def reads_like_language(text: str) -> bool:
    """Say whether the text is words: common ones, or letters of a script that random bytes rarely make."""
    if len(_FOREIGN.findall(text)) > 0.5 * len(text.replace(" ", "")):
        return True
    letters = sum(map(str.isalpha, text)) + text.count(" ")
    return letters >= 0.7 * len(text) and (common_share(text) >= 0.3)


def segmented(letters: str) -> str:
    """Return letters that were run together as words: those with the fewest letters in none, and the longest of them."""
    low = letters.lower()
    if len(low) > 400 or is_known(low):
        return letters
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(low) + 1):
        choices = [(best[end - 1][0] + 2.0, end - 1)]
        for start in range(max(0, end - _LONGEST_WORD), end):
            word = low[start:end]
            if word in known_words() and (len(word) > 1 or word in "ai"):
                choices.append((best[start][0] + 1.0 / len(word) + 0.3, start))
        best.append(min(choices))
    cuts = [len(low)]
    while cuts[-1]:
        cuts.append(best[cuts[-1]][1])
    cuts.reverse()
    words: list[str] = []
    loose = ""
    for start, end in pairwise(cuts):
        if end - start == 1 and low[start] not in "ai":
            loose += letters[start:end]
            continue
        words += [loose] if loose else []
        words.append(letters[start:end])
        loose = ""
    return " ".join([*words, loose] if loose else words)
