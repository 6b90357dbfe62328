"""How good candidates' answers were found to be, and where the gateway and the router of one process meet to say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from penstock_common.llm.types import Candidate


class Quality(NamedTuple):
    """What people made of a candidate's answers to a kind of task."""

    score: float
    """The mean, between 0 for bad and 1 for good; what was said long ago counts less."""
    weight: float
    """How many judgements of today it is worth."""


Qualities = Mapping[tuple[Candidate, str], Quality]
"""By candidate and task. Of whom nothing is said, nothing is known: neither good nor bad."""


class QualityUnheard(Exception):
    """There is no way to tell or to hear what is known, for now."""


class QualityBoard:
    """What the gateway has found out last, for the router of the same process."""

    def __init__(self) -> None:
        self._qualities: Qualities = {}

    async def tell(self, qualities: Qualities) -> None:
        """Say what is known now, in place of what was said before."""
        self._qualities = qualities

    async def read(self) -> Qualities:
        """Return what was said last; nothing before that."""
        return self._qualities
