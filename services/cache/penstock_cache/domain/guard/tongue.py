"""Which language a text is in, as far as its small words say."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_cache.domain.guard.text import Word

_SMALL_WORDS = {
    "en": frozenset(
        [
            "the",
            "is",
            "are",
            "what",
            "how",
            "do",
            "does",
            "of",
            "to",
            "in",
            "and",
            "a",
            "an",
            "for",
            "my",
            "i",
            "can",
            "which",
            "when",
            "why",
            "who",
            "with",
            "it",
            "be",
            "on",
        ]
    ),
    "de": frozenset(
        [
            "der",
            "die",
            "das",
            "ist",
            "sind",
            "was",
            "wie",
            "ich",
            "und",
            "ein",
            "eine",
            "für",
            "mein",
            "kann",
            "welche",
            "wann",
            "warum",
            "wer",
            "mit",
            "es",
            "auf",
            "nicht",
            "zu",
        ]
    ),
    "fr": frozenset(
        [
            "le",
            "la",
            "les",
            "est",
            "sont",
            "que",
            "comment",
            "je",
            "et",
            "un",
            "une",
            "pour",
            "mon",
            "quel",
            "quelle",
            "quand",
            "pourquoi",
            "qui",
            "avec",
            "des",
            "du",
            "ne",
            "pas",
        ]
    ),
    "es": frozenset(
        [
            "el",
            "los",
            "las",
            "es",
            "son",
            "qué",
            "cómo",
            "yo",
            "y",
            "un",
            "una",
            "para",
            "mi",
            "cuál",
            "cuándo",
            "por",
            "quién",
            "con",
            "del",
            "no",
            "se",
            "puedo",
            "hay",
        ]
    ),
    "it": frozenset(
        [
            "il",
            "lo",
            "gli",
            "è",
            "sono",
            "che",
            "come",
            "io",
            "e",
            "un",
            "una",
            "per",
            "mio",
            "quale",
            "quando",
            "perché",
            "chi",
            "con",
            "del",
            "della",
            "non",
            "posso",
        ]
    ),
    "pt": frozenset(
        [
            "o",
            "os",
            "as",
            "é",
            "são",
            "que",
            "como",
            "eu",
            "e",
            "um",
            "uma",
            "para",
            "meu",
            "qual",
            "quando",
            "por",
            "quem",
            "com",
            "do",
            "da",
            "não",
            "posso",
        ]
    ),
}
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
        ((sum(word.text in small for word in words), name) for name, small in _SMALL_WORDS.items()), reverse=True
    )
    (most, name), (second, _) = counts[0], counts[1]
    return name if most >= second + _LEAD else ""
