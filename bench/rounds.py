"""Rounds of short turns, so that everything side by side meets the same moments of the machine; and what they say."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from programs import Door, Running
from turns import Case, Scene, Turn, take_turn

_WARM_UP_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class Lane:
    """One way to ask one thing, which gets one turn in every round."""

    row: str
    """Where it stands in the table: a peer, or a shape and a door."""
    side: str
    case: Case
    in_flight: int
    asked: Running
    door: Door


def go(scene: Scene, lanes: Sequence[Lane], rounds: int, seconds: float) -> dict[Lane, list[Turn]]:
    """Return the turns of each lane, a round after the other; every second round goes the other way."""
    for lane in lanes:
        warm_up = min(_WARM_UP_SECONDS, 2 * seconds)
        scene.client.perform(lane.door, seconds=warm_up, **lane.case.job(lane.in_flight))
    taken: dict[Lane, list[Turn]] = {lane: [] for lane in lanes}
    for number in range(rounds):
        for lane in lanes[:: -1 if number % 2 else 1]:
            turn = take_turn(scene, lane.asked, lane.door, lane.case.job(lane.in_flight), seconds)
            taken[lane].append(turn)
            if turn.errors:
                tell(f"{lane.side}, {lane.row}, {lane.case.name}: {turn.errors} errors: {turn.first_error}")
        tell(f"round {number + 1} of {rounds}: load average {taken[lanes[0]][-1].load_average}")
    return taken


def tell(text: str) -> None:
    """Say how far it is."""
    print(text, file=sys.stderr, flush=True)


def figures(taken: Mapping[Lane, list[Turn]]) -> list[dict[str, Any]]:
    """Return the figures of each lane; added latency is what it has over the lane ``direct`` of the same case."""
    direct = {(lane.case, lane.in_flight): turns for lane, turns in taken.items() if lane.side == "direct"}
    return [
        {
            "row": lane.row,
            "side": lane.side,
            "case": lane.case.name,
            "in_flight": lane.in_flight,
            **_costs(turns),
            **_latencies(turns, direct.get((lane.case, lane.in_flight)) if lane.in_flight == 1 else None),
        }
        for lane, turns in taken.items()
    ]


def _costs(turns: Sequence[Turn]) -> dict[str, Any]:
    names = {name for turn in turns for name in turn.cpu_us_by_process}
    return {
        "requests": sum(turn.requests for turn in turns),
        "errors": sum(turn.errors for turn in turns),
        "first_error": next((turn.first_error for turn in turns if turn.first_error), ""),
        "cpu_us": statistics.median(turn.cpu_us for turn in turns),
        "cpu_us_least": min(turn.cpu_us for turn in turns),
        "cpu_us_of_rounds": [turn.cpu_us for turn in turns],
        "cpu_us_by_process": {
            name: statistics.median(turn.cpu_us_by_process.get(name, 0.0) for turn in turns) for name in sorted(names)
        },
        "requests_per_second": statistics.median(turn.requests_per_second for turn in turns),
        "others_cores": statistics.median(turn.others_cores for turn in turns),
        "load_average": max(turn.load_average for turn in turns),
    }


def _latencies(turns: Sequence[Turn], direct: Sequence[Turn] | None) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in ("whole", "first"):
        for percent in (50, 99):
            latency = percentile_ms(turns, name, percent)
            found[f"{name}_p{percent}_ms"] = latency
            if direct is not None and turns is not direct:
                found[f"added_{name}_p{percent}_ms"] = round(latency - percentile_ms(direct, name, percent), 3)
    return found


def percentile_ms(turns: Iterable[Turn], name: str, percent: int) -> float:
    """Return a percentile over the requests of all turns; ``name`` is whole or first."""
    values = sorted(us for turn in turns for us in getattr(turn, f"{name}_us"))
    return round(values[round(percent / 100 * (len(values) - 1))] / 1e3, 3) if values else float("nan")
