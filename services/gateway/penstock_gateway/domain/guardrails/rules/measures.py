"""How long a text is, and what language it is in."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from penstock_gateway.domain.guardrails.pipeline.rule import WHOLE, Found, Hold, LocalLook, Surface

# Shorter texts say too little of their language.
LEAST_LETTERS = 40
_CODE = re.compile(r"```.*?```|`[^`\n]*`|https?://\S+", re.DOTALL)
_SCRIPTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7a3]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
)
# Words that most sentences of a language have, and those of others have not.
_COMMON = {
    "en": "the and of to in is that it for with this are was have you not be on as they",
    "de": "der die das und ist nicht ein eine mit für auf den dem zu von sich auch wird wie ich",
    "fr": "le la les et est des une un dans que pour pas qui sur avec vous ce il je nous",
    "es": "el los las y es que en una un por con para no se del lo como más pero su",
    "it": "il gli che di è un una per non con sono della del le si anche come più nel lo",
    "pt": "o os as e é que em uma um para não com do da se por mais como mas ao",
    "nl": "de het een en is van niet dat op te voor met zijn er aan ook maar wordt bij ik",
    "pl": "nie się na jest że do to jak za od przez ale dla po czy są był tak co i",
    "tr": "bir ve bu için ile da de çok ne var olarak daha gibi olan ben sen mi değil ama en",
    "sv": "och att det som en på är för med inte av till den har om ett men jag var så",
}
_WORDS = {code: frozenset(words.split()) for code, words in _COMMON.items()}
_WORD = re.compile(r"[^\W\d_]+")
_MOST_READ = 4000
_SHARE_OF_SCRIPT, _LEAST_SHARE, _LEAD = 0.3, 0.12, 1.3


class Length(LocalLook):
    """Looks whether a text is longer than ``most`` characters."""

    def __init__(self, most: int) -> None:
        self._most = most
        # Whatever of an answer is beyond, it has begun by then.
        self.hold = Hold(whole=True)

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return what is too much."""
        return (Found("length", self._most, len(text)),) if len(text) > self._most else ()


class Language(LocalLook):
    """Looks whether a text is in another language than the ``allowed``, or one of the ``denied``; what it cannot tell it lets pass."""

    hold = WHOLE

    def __init__(self, allowed: Collection[str], denied: Collection[str]) -> None:
        self._allowed, self._denied = frozenset(allowed), frozenset(denied)

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return the text, where it is in such a language."""
        code = language_of(text)
        if not code or (code not in self._denied and (not self._allowed or code in self._allowed)):
            return ()
        return (Found(f"language_{code}", 0, len(text)),)


def language_of(text: str) -> str:
    """Return the code of a text's language; empty where it is short, is code, or is none of those that are known."""
    plain = _CODE.sub(" ", text[:_MOST_READ])
    letters = sum(map(str.isalpha, plain))
    for code, script in _SCRIPTS:
        if len(script.findall(plain)) > max(4, _SHARE_OF_SCRIPT * letters):
            return code
    if letters < LEAST_LETTERS:
        return ""
    words = _WORD.findall(plain.lower())
    shares = sorted(((sum(word in known for word in words), code) for code, known in _WORDS.items()), reverse=True)
    (most, code), (second, _) = shares[:2]
    return code if most >= _LEAST_SHARE * len(words) and most >= _LEAD * second else ""
