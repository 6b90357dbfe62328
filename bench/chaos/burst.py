"""A burst of requests that may be shed, on an upstream that takes few at once; and a tenant with one among another's thousand."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaos.figures import Finding, Scale, ended_otherwise, share_answered, told
from chaos.load import Answer, at_once, even, percentile_ms
from chaos.players import Account
from chaos.stage import Stage, staged
from penstock_faults.record import Seen
from penstock_faults.script import Pace, Script, Step

NAME = "burst"
ABOUT = "ten times as many sheddable requests as usual, on three replicas, beside critical ones; one request behind a thousand"
BUSY, FAIR = "busy", "fair"
_CRITICAL, _SHEDDABLE = {"x-penstock-priority": "critical"}, {"x-penstock-priority": "sheddable"}
_SECONDS = {BUSY: 0.5, FAIR: 0.1}
"""That each upstream takes for an answer."""
_AT_ONCE = 4
_UPSTREAMS = {
    BUSY: {"limits": {"concurrent_requests": _AT_ONCE, "most_waiting": 50, "wait": "2s"}},
    FAIR: {"limits": {"concurrent_requests": _AT_ONCE, "most_waiting": 2000, "wait": "55s"}},
}
_CRITICAL_PER_SECOND, _SHEDDABLE_PER_SECOND, _TIMES = 4.0, 2.0, 10
_PHASE_SECONDS = 45.0
_LEAST_SERVED, _MOST_P99_RATIO = 0.999, 1.5
_MANY = 1000
_SHED = {"RATE_LIMITED", "OVERLOADED"}


def direct(upstream: str, _asked: int, _seen: Seen) -> Script:
    """Return what a request meets."""
    return Script(name="well", steps=(Step(pace=Pace(headers_seconds=_SECONDS[upstream])),))


async def run(scale: Scale, folder: Path) -> Finding:
    """Return what came of it."""
    account = Account()
    async with staged(scale, folder, (direct, account), {BUSY: (BUSY,), FAIR: (FAIR,)}, _UPSTREAMS) as stage:
        await _both(stage, scale.of(10, 1), 1)
        quiet, shed_before = await _both(stage, scale.of(_PHASE_SECONDS, 3), 1)
        critical, sheddable = await _both(stage, scale.of(_PHASE_SECONDS, 3), _TIMES)
        many, one = await _one_among_many(stage, int(scale.of(_MANY, 100)))
    before_one = _served_before(one, many, account)
    ratio = percentile_ms(critical, 99) / max(1.0, percentile_ms(quiet, 99))
    figures: dict[str, Any] = {
        "critical served %": round(100 * share_answered(critical), 3),
        "critical p99 ms, quiet": percentile_ms(quiet, 99),
        "critical p99 ms, in the burst": percentile_ms(critical, 99),
        "ratio": round(ratio, 2),
        "sheddable, quiet": _ends(shed_before),
        "sheddable, in the burst": _ends(sheddable),
        "one among": len(many),
        "served while it waited": before_one,
        "it took ms": round(one.heard.seconds * 1e3),
        "the many took ms, p50": percentile_ms(many, 50),
    }
    everybody = (*quiet, *critical, *shed_before, *sheddable, *many, one)
    misses = told([fault for answer in everybody if (fault := ended_otherwise(answer.heard))])
    misses += told([f"{each.heard.error} of a sheddable one: {each.heard.message}" for each in sheddable
                    if each.heard.error and each.heard.error not in _SHED])  # fmt: skip
    if share_answered(critical) < _LEAST_SERVED:
        misses.append(f"{100 * share_answered(critical):.2f} % of the critical ones were served: {_ends(critical)}")
    if not one.heard.whole or before_one > len(many) / 2:
        misses.append(
            f"{before_one} of another tenant's were served before the only one: {one.heard.error or 'answered'}"
        )
    late = [f"p99 of the critical ones is {ratio:.2f} times that of the quiet time"] if ratio > _MOST_P99_RATIO else []
    return Finding(scenario=NAME, requests=len(everybody), figures=figures, misses=misses, late=late)


async def _both(stage: Stage, seconds: float, times: int) -> tuple[list[Answer], list[Answer]]:
    """Return the answers to critical requests, and to sheddable ones, so many ``times`` as usual."""
    critical, sheddable = _CRITICAL_PER_SECOND, times * _SHEDDABLE_PER_SECOND
    first, second = await asyncio.gather(
        stage.crowd.ask(even(seconds * critical, critical, BUSY, headers=_CRITICAL)),
        stage.crowd.ask(even(seconds * sheddable, sheddable, BUSY, headers=_SHEDDABLE)),
    )
    return first, second


async def _one_among_many(stage: Stage, many: int) -> tuple[list[Answer], Answer]:
    """Have one tenant ask so many of one replica, and another ask once when the upstream is at the first of them."""
    player = stage.player(FAIR)
    crowd = asyncio.ensure_future(stage.crowd.ask(at_once(many, FAIR, tenants=("tenant-1",), replicas=(1,))))
    for _ in range(2 * _AT_ONCE):
        await player.record.next_request()
    (one,) = await stage.crowd.ask(at_once(1, FAIR, tenants=("tenant-2",), replicas=(1,)))
    return await crowd, one


def _served_before(one: Answer, many: Sequence[Answer], account: Account) -> int:
    """Return how many of the many reached the upstream after the one was asked, and before it did."""
    came = min((part.at for part in account.of(one.asked.serial)), default=math.inf)
    return sum(one.heard.began < each.at < came for answer in many for each in account.of(answer.asked.serial))


def _ends(answers: Sequence[Answer]) -> dict[str, int]:
    return dict(Counter("served" if answer.heard.whole else answer.heard.error or "cut" for answer in answers))
