"""What the cache had to do with an answer, as every surface tells it."""

from __future__ import annotations

import time

import msgspec


class CacheOutcome(msgspec.Struct, frozen=True, gc=False):
    """What the cache did: ``hit``, ``miss`` or ``bypass``."""

    status: str = "bypass"
    tier: str = ""
    """Of a hit: ``exact``, ``semantic``, or ``flight`` where an equal request was being answered."""
    similarity: float = 0.0
    unset_temperature: bool = False
    """The request left the temperature to the model, which might have answered otherwise this time."""
    is_stale: bool = False
    """It is past its time, and given because nobody could be asked."""
    entry_id: str = ""
    """What a semantic hit's entry is deleted or disputed by."""
    created_at: float = 0.0
    """When a hit's answer was made, in Unix seconds; 0 where that is not known."""
    origin: str = ""
    """``imported`` or ``alias``; empty where a model gave the answer to this wording."""
    reason: str = ""
    """Why it was no hit, in one word, where there is more to say than that nothing was near."""

    @property
    def age_seconds(self) -> int:
        """How old a hit's answer is."""
        return max(0, int(time.time() - self.created_at)) if self.created_at else 0

    def __str__(self) -> str:
        if self.status != "hit":
            return f"{self.status}; reason={self.reason}" if self.reason else self.status
        words = [f"hit; tier={self.tier}; similarity={self.similarity:.2f}"]
        if self.entry_id:
            words += [f"id={self.entry_id}", f"age={self.age_seconds}"]
        if self.origin:
            words.append(self.origin)
        if self.unset_temperature:
            words.append("temperature=unset")
        if self.is_stale:
            words.append("stale")
        return "; ".join(words)


BYPASS, MISS = CacheOutcome(), CacheOutcome("miss")
NO_STORE, NO_CACHE, SEVERAL = (CacheOutcome(reason=reason) for reason in ("no-store", "no-cache", "several"))
"""Nobody looked: the caller said so, or wants several answers because they differ."""
NOT_ASKED = CacheOutcome("")
"""Of a request that no cache has anything to do with."""
