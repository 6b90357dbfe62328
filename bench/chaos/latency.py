"""An upstream that gets ten times slower without an error, and recovers; and two replicas of one, of which one is slow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos.figures import Finding, Scale, ended_otherwise, share_answered, told
from chaos.load import Answer, even, percentile_ms
from chaos.players import PROBE, Account
from chaos.stage import Stage, staged
from penstock_faults.record import Seen
from penstock_faults.script import Pace, Script, Step

NAME = "latency"
ABOUT = "the first of two upstreams takes ten times as long; of two replicas of another one, one does"
FIRST, SECOND, FAST, SLOW = "first", "second", "fast", "slow"
TWO, REPLICAS = "two", "replicas"
_USUAL_SECONDS, _LONG_SECONDS = 0.2, 2.0
_PER_SECOND = 10.0
_WARM_SECONDS, _SLOW_SECONDS, _AFTER_SECONDS, _REPLICAS_SECONDS = 30.0, 40.0, 45.0, 40.0
_WINDOW_SECONDS, _STEP_SECONDS = 2.0, 0.5
_LOST_SHARE, _BACK_SHARE, _FAST_SHARE = 0.1, 0.5, 0.9
_LOST_SECONDS, _BACK_SECONDS = 10.0, 30.0


@dataclass
class Paces:
    """How long each upstream's first token takes; what is not here takes as long as usual."""

    seconds: dict[str, float] = field(default_factory=lambda: {SLOW: _LONG_SECONDS})

    def direct(self, upstream: str, asked: int, seen: Seen) -> Script:
        """Return what a request meets."""
        pace = Pace(first_token_seconds=self.seconds.get(upstream, _USUAL_SECONDS))
        return Script(name="well", steps=(Step(pace=pace),))


async def run(scale: Scale, folder: Path) -> Finding:
    """Return what came of it."""
    paces, account = Paces(), Account()
    models = {TWO: (FIRST, SECOND), REPLICAS: ("pool",)}
    pool = {"pool": {"replica_names": (FAST, SLOW)}}
    health = {"probe_every": "1s"} if scale.short else {}
    async with staged(scale, folder, (paces.direct, account), models, pool, health=health) as stage:
        answers, spans = await _slow_and_back(stage, paces, scale)
        answers += await _ask(stage, scale.of(_REPLICAS_SECONDS, 3), REPLICAS)
        asked = {name: _asked(account, name) for name in (FIRST, SECOND, FAST, SLOW)}
    lost = _after(spans[0], spans[1], asked, lambda share: share <= _LOST_SHARE, lasting=True)
    back = _after(spans[1], spans[2], asked, lambda share: share >= _BACK_SHARE, lasting=False)
    fast = len(asked[FAST]) / max(1, len(asked[FAST]) + len(asked[SLOW]))
    figures = {
        "answered %": round(100 * share_answered(answers), 3),
        "traffic lost after s": lost if lost is None else round(lost, 1),
        "traffic back after s": back if back is None else round(back, 1),
        "its share in each 5 s of it %": _shares(spans[0], spans[1], asked),
        "share of the fast replica %": round(100 * fast, 1),
        "p50 ms": percentile_ms(answers, 50),
        "p99 ms": percentile_ms(answers, 99),
    }
    misses = told([fault for answer in answers if (fault := ended_otherwise(answer.heard) or answer.heard.error)])
    late: list[str] = []
    if lost is None or lost > _LOST_SECONDS:
        late.append(
            "the slow one kept its traffic" if lost is None else f"the slow one lost its traffic after {lost:.0f} s"
        )
    if back is None or back > _BACK_SECONDS:
        late.append("it has not got it back" if back is None else f"it got it back after {back:.0f} s")
    if fast < _FAST_SHARE:
        late.append(f"{100 * fast:.0f} % went to the fast replica")
    return Finding(scenario=NAME, requests=len(answers), figures=figures, misses=misses, late=late)


async def _slow_and_back(stage: Stage, paces: Paces, scale: Scale) -> tuple[list[Answer], tuple[float, float, float]]:
    """Return the answers, and when on the machine's clock it got slow, recovered, and all was over."""
    answers = await _ask(stage, scale.of(_WARM_SECONDS, 3), TWO)
    paces.seconds[FIRST], slow = _LONG_SECONDS, time.monotonic()
    answers += await _ask(stage, scale.of(_SLOW_SECONDS, 3), TWO)
    paces.seconds[FIRST], well = _USUAL_SECONDS, time.monotonic()
    answers += await _ask(stage, scale.of(_AFTER_SECONDS, 3), TWO)
    return answers, (slow, well, time.monotonic())


async def _ask(stage: Stage, seconds: float, model: str) -> list[Answer]:
    return await stage.crowd.ask(even(_PER_SECOND * seconds, _PER_SECOND, model))


def _asked(account: Account, upstream: str) -> list[float]:
    """Return when callers' requests reached an upstream."""
    return [
        part.at
        for serial, parts in account.parts.items()
        if serial != PROBE
        for part in parts
        if part.upstream == upstream
    ]


def _shares(began: float, ended: float, asked: Mapping[str, Sequence[float]]) -> list[int]:
    """Return the first upstream's share of each five seconds, in percent."""
    spans = [(began + number, began + number + 5) for number in range(0, int(ended - began), 5)]
    counts = [
        [sum(since <= each < until for each in asked[name]) for name in (FIRST, SECOND)] for since, until in spans
    ]
    return [round(100 * first / max(1, first + second)) for first, second in counts]


def _after(
    began: float, ended: float, asked: Mapping[str, Sequence[float]], holds: Callable[[float], bool], *, lasting: bool
) -> float | None:
    """Return the seconds until the first upstream's share of a window was so, ``lasting``: in all that follow; None: never."""
    found: float | None = None
    at = began
    while at + _WINDOW_SECONDS <= ended:
        first, second = (sum(at <= each < at + _WINDOW_SECONDS for each in asked[name]) for name in (FIRST, SECOND))
        if first + second and holds(first / (first + second)):
            found = at - began if found is None else found
            if not lasting:
                return found
        else:
            found = None
        at += _STEP_SECONDS
    return found
