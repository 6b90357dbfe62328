"""Words and phrases that are not to be said, and patterns of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from penstock_gateway.domain.guardrails.pattern_cost import checked_pattern
from penstock_gateway.domain.guardrails.pipeline.rule import Found, Hold, LocalLook, Surface

_BLANKS = re.compile(r"\s+")
# White space in a phrase stands for so much of it in a text.
_MOST_BLANKS = 8


class Words(LocalLook):
    """Looks for whole words and phrases, whatever their case; any white space is as good as another."""

    def __init__(self, phrases: Sequence[str]) -> None:
        said = sorted({_BLANKS.sub(" ", one.strip()) for one in phrases if one.strip()}, key=len, reverse=True)
        forms = [re.escape(one).replace(r"\ ", rf"\s{{1,{_MOST_BLANKS}}}") for one in said]
        self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)", re.IGNORECASE)
        self.hold = Hold(width=max((len(one) + one.count(" ") * _MOST_BLANKS for one in said), default=1))

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return what is found."""
        return [Found("word", one.start(), one.end()) for one in self._pattern.finditer(text)]


class Patterns(LocalLook):
    """Looks for what patterns match, in their order."""

    def __init__(self, patterns: Sequence[str]) -> None:
        checked = [checked_pattern(one) for one in patterns]
        self._patterns = [pattern for pattern, _ in checked]
        self.hold = Hold(width=max(width for _, width in checked))

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return what is found, of those that overlap the first."""
        found = sorted(
            Found(f"pattern_{number}", one.start(), one.end())
            for number, pattern in enumerate(self._patterns)
            for one in pattern.finditer(text)
        )
        found.sort(key=lambda one: (one.start, -one.end))
        kept: list[Found] = []
        for one in found:
            if not kept or one.start >= kept[-1].end:
                kept.append(one)
        return kept
