"""Words and phrases that are not to be said, and patterns of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from penstock_gateway.domain.guardrails.pattern_cost import checked_pattern
from penstock_gateway.domain.guardrails.pipeline.rule import Found, Hold, LocalLook, Surface
from penstock_gateway.domain.guardrails.plain import made_plain, place_of, plain

_BLANKS = re.compile(r"\s+")
# White space in a phrase stands for so much of it in a text.
_MOST_BLANKS = 8


class Words(LocalLook):
    """Looks for whole words and phrases, whatever their case; any white space is as good as another.

    They are looked for as they were written, and in the text made plain (see ``plain``).
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        said = {_BLANKS.sub(" ", one.strip()) for one in phrases if one.strip()}
        self._pattern, width = _any_of(said)
        self._of_plain, plain_width = _any_of({made_plain(one) for one in said})
        self._forms = {_folded(one) for one in said} | {_folded(made_plain(one)) for one in said}
        self.hold = Hold(width=max(width, plain_width), begun=self._begun)

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return what is found."""
        found = [Found("word", one.start(), one.end()) for one in self._pattern.finditer(text)]
        read = plain(text)
        if read is not None:
            more = [Found("word", *read.origin(*one.span())) for one in self._of_plain.finditer(read.text)]
        elif self._of_plain.pattern != self._pattern.pattern:
            more = [Found("word", *one.span()) for one in self._of_plain.finditer(text)]
        else:
            return found
        return _first_of_each_place([*found, *more])

    def _begun(self, text: str) -> int:
        """Return from where on a text may be one of the phrases, or the beginning of one."""
        for at in range(max(0, place_of(text, self.hold.width)), len(text)):
            if at and _is_of_a_word(text[at - 1]):
                continue
            tails = (_folded(text[at:]), _folded(made_plain(text[at:])))
            if any(one.startswith(tail) for tail in tails for one in self._forms):
                return at
        return len(text)


class Patterns(LocalLook):
    """Looks for what patterns match, in the text as it was written and made plain (see ``plain``)."""

    def __init__(self, patterns: Sequence[str]) -> None:
        checked = [checked_pattern(one) for one in patterns]
        self._patterns = [pattern for pattern, _ in checked]
        self.hold = Hold(width=max(width for _, width in checked))

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return what is found, of those that overlap the first."""
        found = [
            Found(f"pattern_{number}", one.start(), one.end())
            for number, pattern in enumerate(self._patterns)
            for one in pattern.finditer(text)
        ]
        read = plain(text)
        if read is not None:
            found += [
                Found(f"pattern_{number}", *read.origin(*one.span()))
                for number, pattern in enumerate(self._patterns)
                for one in pattern.finditer(read.text)
            ]
        return _first_of_each_place(found)


def _folded(text: str) -> str:
    return _BLANKS.sub(" ", text).casefold()


def _is_of_a_word(one: str) -> bool:
    return one.isalnum() or one == "_"


def _any_of(phrases: Collection[str]) -> tuple[re.Pattern[str], int]:
    """Return a pattern of phrases, and the most characters that it matches."""
    said = sorted(phrases, key=len, reverse=True)
    forms = [re.escape(one).replace(r"\ ", rf"\s{{1,{_MOST_BLANKS}}}") for one in said]
    width = max((len(one) + one.count(" ") * _MOST_BLANKS for one in said), default=1)
    return re.compile(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)", re.IGNORECASE), width


def _first_of_each_place(found: Sequence[Found]) -> list[Found]:
    """Return what was found, in order, and of what overlaps the first, or the longest of those that begin together."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda each: (each.start, -each.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept
