"""Which words exist: what is not among them may be a misspelling."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def _words() -> frozenset[str]:
    return frozenset((files("penstock_cache.domain.guard") / "words.txt").read_text(encoding="utf-8").split())


def is_known(word: str) -> bool:
    """Return whether the lower-case word, or it without a plural's s, is in the lexicon."""
    words = _words()
    return word in words or (word.endswith("s") and word[:-1] in words)
