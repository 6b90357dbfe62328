"""Which language a text is in, as far as its small words say."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_cache.domain.guard.text import Word
from penstock_cache.domain.guard.vocabulary import SMALL_WORDS

_SCRIPTS = ((0x0400, 0x052F, "cyrillic"), (0x0590, 0x05FF, "hebrew"), (0x0600, 0x06FF, "arabic"), (0x0900, 0x097F, "devanagari"),
            (0x3040, 0x30FF, "ja"), (0xAC00, 0xD7AF, "ko"), (0x4E00, 0x9FFF, "han"))  # fmt: skip
_LEAD = 2


def tongue_of(words: Sequence[Word]) -> str:
    """Return a language or script; empty where the words do not tell."""
    for word in words:
        for first, last, name in _SCRIPTS:
            if first <= ord(word.text[0]) <= last:
                return name
    counts = sorted(
        ((sum(word.text in small for word in words), name) for name, small in SMALL_WORDS.items()), reverse=True
    )
    (most, name), (second, _) = counts[0], counts[1]
    return name if most >= second + _LEAD else ""
