"""The first of two upstreams is down for a minute at twice the normal load, and comes back."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.figures import Finding, Scale, ended_otherwise, share_answered, told
from chaos.load import Answer, even, percentile_ms
from chaos.players import PROBE, Account, Part
from chaos.stage import Stage, staged
from penstock_faults.named import failing
from penstock_faults.record import Seen
from penstock_faults.script import Pace, Script, Step

NAME = "outage"
ABOUT = "the first of two upstreams fails for 60 s at twice the normal load, on three replicas"
FIRST, SECOND, MODEL = "first", "second", "two"
_PER_SECOND = 10.0
_WARM_SECONDS, _DOWN_SECONDS, _AFTER_SECONDS = 15.0, 60.0, 45.0
_DOWN = Step(status=503, error=failing(503).error, pace=Pace(headers_seconds=0.3))
"""It takes a moment to say so: two that ask at once are seen to."""
_BACK_SHARE = 0.5
_LEAST_ANSWERED, _MOST_ATTEMPTS, _BACK_SECONDS = 0.999, 1.10, 30.0
_MOST_AT_ONCE = 2.5
"""Times the load: what may reach the first upstream in any second once it is well."""


@dataclass
class Weather:
    """Which upstream is down."""

    first_is_down: bool = False

    def direct(self, upstream: str, asked: int, seen: Seen) -> Script:
        """Return what a request meets."""
        down = upstream == FIRST and self.first_is_down
        return Script(name="down" if down else "well", steps=(_DOWN if down else Step(),))


@dataclass(frozen=True)
class _Times:
    """Of the first upstream's record: when it went down and came back."""

    down: float
    well: float


async def run(scale: Scale, folder: Path) -> Finding:
    """Return what came of it."""
    weather, account = Weather(), Account()
    models = {MODEL: (FIRST, SECOND)}
    # Briefly: probes come so soon that the outage sees some, and its end is not waited for.
    health = {"probe_every": "1s"} if scale.short else {}
    async with staged(scale, folder, (weather.direct, account), models, health=health) as stage:
        await stage.crowd.ask(even(_PER_SECOND * scale.of(_WARM_SECONDS, 1), _PER_SECOND, MODEL))
        during, times = await _through(stage, weather, scale)
        record = stage.player(FIRST).record
        parts = [part for parts in account.parts.values() for part in parts]
        await asyncio.sleep(0)
        return _found(during, parts, times, record.elapsed(), scale)


async def _through(stage: Stage, weather: Weather, scale: Scale) -> tuple[list[Answer], _Times]:
    record = stage.player(FIRST).record
    down, after = scale.of(_DOWN_SECONDS, 4), scale.of(_AFTER_SECONDS, 4)
    weather.first_is_down, began = True, record.elapsed()
    answers = await stage.crowd.ask(even(2 * _PER_SECOND * down, 2 * _PER_SECOND, MODEL))
    weather.first_is_down, ended = False, record.elapsed()
    answers += await stage.crowd.ask(even(2 * _PER_SECOND * after, 2 * _PER_SECOND, MODEL))
    return answers, _Times(began, ended)


def _found(answers: Sequence[Answer], parts: Sequence[Part], times: _Times, ended: float, scale: Scale) -> Finding:
    of_first = [part for part in parts if part.upstream == FIRST and part.seen.at >= times.down]
    probes = [part.seen for part in of_first if part.serial == PROBE]
    asked = [part.seen for part in of_first if part.serial != PROBE]
    down_probes = [seen for seen in probes if seen.at < times.well]
    serials = {answer.asked.serial for answer in answers}
    attempts = sum(part.serial in serials for part in parts) / len(answers)
    back = _back_after(asked, times.well, ended)
    in_a_second = Counter(int(seen.at - times.well) for seen in asked if seen.at >= times.well)
    figures: dict[str, Any] = {
        "answered %": round(100 * share_answered(answers), 3),
        "attempts of a request": round(attempts, 3),
        "requests that met the outage": sum(seen.at < times.well for seen in asked),
        "probes while down": len(down_probes),
        "probes at once": _most_at_once(down_probes),
        "least s between probes": round(_least_between(down_probes), 2),
        "back after s": back if back is None else round(back, 1),
        "most in a second once back": max(in_a_second.values(), default=0),
        "p99 ms": percentile_ms(answers, 99),
    }
    misses = told([fault for answer in answers if (fault := ended_otherwise(answer.heard))])
    if share_answered(answers) < _LEAST_ANSWERED:
        misses.append(f"{100 * share_answered(answers):.2f} % were answered")
    if figures["probes at once"] > 1:
        misses.append(f"{figures['probes at once']} probes at once while it was down")
    late = [] if down_probes else ["nobody probed it"]
    if attempts > _MOST_ATTEMPTS and not scale.short:
        late.append(f"{attempts:.3f} attempts of a request")
    if back is None or back > _BACK_SECONDS:
        late.append("it was not used again" if back is None else f"it was used again after {back:.0f} s")
    if max(in_a_second.values(), default=0) > _MOST_AT_ONCE * 2 * _PER_SECOND:
        late.append(f"{max(in_a_second.values())} requests in one second once it was back")
    return Finding(scenario=NAME, requests=len(answers), figures=figures, misses=misses, late=late)


def _back_after(asked: Sequence[Seen], well: float, ended: float) -> float | None:
    """Return the seconds from when it was well until it had half of the load, over two seconds; None: never."""
    wanted = _BACK_SHARE * 2 * _PER_SECOND * 2
    times = sorted(seen.at for seen in asked if seen.at >= well)
    for at in times:
        if at + 2 <= ended and sum(at <= other < at + 2 for other in times) >= wanted:
            return at - well
    return None


def _most_at_once(probes: Sequence[Seen]) -> int:
    spans = [(seen.at, seen.ended_at if seen.ended_at is not None else float("inf")) for seen in probes]
    return max((sum(began <= at < ended for began, ended in spans) for at, _ in spans), default=0)


def _least_between(probes: Sequence[Seen]) -> float:
    times = sorted(seen.at for seen in probes)
    return min((later - sooner for sooner, later in itertools.pairwise(times)), default=0.0)
