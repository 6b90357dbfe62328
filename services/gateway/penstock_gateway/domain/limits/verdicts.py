"""The verdict that follows from what each limit lacks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from penstock_gateway.domain.limits.admission import Reservation, Standing, Verdict
from penstock_gateway.domain.limits.counting import Lack


def judge(standings: tuple[Standing, ...], lacks: Sequence[Lack | None], reservation: Reservation | None) -> Verdict:
    """Return it, of limits in one order: what each lacks, if anything, and the reservation, if it was made."""
    shadowed = tuple(
        standing for standing, lack in zip(standings, lacks, strict=True) if lack is not None and standing.limit.shadow
    )
    if reservation is not None:
        return Verdict(standings, reservation, shadowed=shadowed)
    refusing = [
        (standing, lack)
        for standing, lack in zip(standings, lacks, strict=True)
        if lack is not None and not standing.limit.shadow
    ]
    waits = [lack.wait_us for _, lack in refusing]
    retry_after = None if None in waits else timedelta(microseconds=max(wait for wait in waits if wait is not None))
    held = retry_after is not None and any(lack.is_held for _, lack in refusing)
    return Verdict(standings, None, tuple(standing for standing, _ in refusing), retry_after, held, shadowed)
