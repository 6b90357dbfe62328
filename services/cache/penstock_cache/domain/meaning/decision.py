"""Whether a near entry is served: from which score on, and to whom."""

from __future__ import annotations

from typing import NamedTuple

from penstock_cache.domain.meaning.evidence import NO_EVIDENCE, Evidence, threshold_of


class Seen(NamedTuple):
    """What counts of an entry. ``is_shared``: it may serve the asker as it serves who put it there.

    That is so for its own user, for everybody once a second user had the same answer, and for what the tenant has put
    in itself.
    """

    evidence: Evidence = NO_EVIDENCE
    is_shared: bool = True


class Decision(NamedTuple):
    """Whether an entry is served, the score that it needs, and why not; the reason is empty where it is served.

    ``cold``: nothing is known but what the guard says; ``learned``: what such wordings were answered is known, and it was
    not enough; ``user``: another user's, whom nobody else has confirmed yet.
    """

    is_served: bool
    threshold: float
    reason: str


def decide(score: float, seen: Seen, cold: float, strict: float, max_error: float) -> Decision:
    """Return whether an entry is served to what scores so; what another user alone has seen needs ``strict``."""
    threshold = threshold_of(seen.evidence, cold, max_error)
    if score < threshold:
        return Decision(is_served=False, threshold=threshold, reason="learned" if seen.evidence.latest else "cold")
    if not seen.is_shared and score < strict:
        return Decision(is_served=False, threshold=max(threshold, strict), reason="user")
    return Decision(is_served=True, threshold=threshold, reason="")
