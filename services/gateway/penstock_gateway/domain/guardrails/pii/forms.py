"""What pseudonyms look like, and where in a text they stand: told by their form, however many there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from penstock_gateway.domain.guardrails.pii.finding import Kind

# Letters and digits of a pseudonym: 50 bits, and none that read like others.
CODE_LENGTH = 10


def formed(kind: Kind, code: str) -> str:
    """Return a pseudonym that looks like its kind, where that is simple, and is no one's; none begins with another."""
    if kind is Kind.EMAIL:
        return f"{code}@mail.invalid"
    if kind is Kind.URL_WITH_TOKEN:
        return f"https://link.invalid/{code}"
    if kind is Kind.PERSON:
        return f"Person-{code.upper()}"
    if kind is Kind.API_KEY:
        # Behind the word "key" it would be found as one.
        return f"Value-{code.upper()}"
    return f"{kind.value.upper()}-{code.upper()}"


def _pattern() -> re.Pattern[str]:
    lower = "a" * CODE_LENGTH
    said = "|".join(sorted(re.escape(formed(kind, lower)) for kind in Kind))
    said = said.replace(lower, f"[a-z2-7]{{{CODE_LENGTH}}}")
    return re.compile(said.replace(lower.upper(), f"[A-Z2-7]{{{CODE_LENGTH}}}"))


_FORM = _pattern()


def forms_in(text: str) -> Iterator[str]:
    """Yield all that looks like a pseudonym, within one another, too."""
    at = 0
    while one := _FORM.search(text, at):
        yield one[0]
        at = one.start() + 1


def known_in(text: str, originals: Mapping[str, str]) -> Iterator[re.Match[str]]:
    """Yield the pseudonyms of a text that have an original, in order and without overlaps."""
    at = 0
    while one := _FORM.search(text, at):
        if one[0] in originals:
            yield one
            at = one.end()
        else:
            at = one.start() + 1


def restored(text: str, originals: Mapping[str, str], spelled: Callable[[str], str] = str) -> str:
    """Return a text with originals, as they are ``spelled`` there, in the place of their pseudonyms."""
    parts: list[str] = []
    at = 0
    for one in known_in(text, originals):
        parts += (text[at : one.start()], spelled(originals[one[0]]))
        at = one.end()
    return "".join([*parts, text[at:]]) if parts else text
