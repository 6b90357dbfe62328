"""The language of a prompt, by py3langid."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from py3langid import langid

from penstock_common.languages import LANGUAGES

_MOST_CHARACTERS = 1_000
"""Further ones cost 0.1 ms a thousand and change hardly any answer."""
_LEAST_CERTAIN = 0.3
"""Code, figures and addresses stay below 0.2; of questions in 18 languages 99 in 100 are above. See docs/routing.md."""


@cache
def language_reader() -> LanguageReader:
    """Return the one of this process. Reading its model takes a second and 80 MiB: only who has rules by language does."""
    return LanguageReader()


class LanguageReader:
    """Tells languages."""

    def __init__(self) -> None:
        model = Path(langid.__file__).parent / langid.MODEL_FILE
        self._identifier = langid.LanguageIdentifier.from_modelpath(model, norm_probs=True)
        self._identifier.set_languages(sorted(LANGUAGES))

    def language_of(self, text: str) -> str:
        """Return one of ``LANGUAGES``; empty where the text does not tell."""
        language, certainty = self._identifier.classify(text[:_MOST_CHARACTERS])
        return language if certainty > _LEAST_CERTAIN else ""
