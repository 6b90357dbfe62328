"""What the cache had to do with an answer, as every surface tells it."""

from __future__ import annotations

import msgspec


class CacheOutcome(msgspec.Struct, frozen=True, gc=False):
    """What the cache did: ``hit``, ``miss`` or ``bypass``."""

    status: str = "bypass"
    tier: str = ""
    similarity: float = 0.0
    unset_temperature: bool = False
    """The request left the temperature to the model, which might have answered otherwise this time."""
    is_stale: bool = False
    """It is past its time, and given because nobody could be asked."""

    def __str__(self) -> str:
        if self.status != "hit":
            return self.status
        unset = "; temperature=unset" if self.unset_temperature else ""
        stale = "; stale" if self.is_stale else ""
        return f"hit; tier={self.tier}; similarity={self.similarity:.2f}{unset}{stale}"


BYPASS, MISS = CacheOutcome(), CacheOutcome("miss")
