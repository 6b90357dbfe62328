"""Rehearses the scalers of the chart: load through its own queries, the HPA's algorithm and KEDA's, and a model of pods.

    PYTHONPATH=bench python -m autoscaling [--load NAME] [--kind NAME] [--by keda|hpa] [--seed N] [--candidates] [--publish]
    PYTHONPATH=bench python -m autoscaling --record FILE --load step --kind gateway
    PYTHONPATH=bench python -m autoscaling --replay FILE --kind gateway

Nothing runs but arithmetic: the same seed gives the same figures. Exit 1 where a rehearsal is not as it must be.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoscaling import candidates, demand
from autoscaling.kinds import BY_NAME, KINDS
from autoscaling.loads import CLASSES, SHAPES, Arrivals, read, synthetic, write
from autoscaling.picture import HEAD, plot, row
from autoscaling.rehearsal import Moment, Rehearsal, Summary, summary
from autoscaling.service import Kind

RESULTS = Path(__file__).parents[1] / "results" / "autoscaling.json"
_SEED = 1
_COMPARED = ("gateway", "gateway-short", "triton")


def rehearsed(kinds: Sequence[Kind], loads: Sequence[str], by: Sequence[str]) -> Iterator[tuple[Kind, str, str]]:
    """Yield what goes together: nobody comes from none but in the nights, and an HPA alone knows no none."""
    for kind in kinds:
        for load in loads:
            if (kind.least == 0) == (load == "nights"):
                yield from ((kind, load, how) for how in by if how == "keda" or kind.least)


def misses(kind: Kind, load: str, found: Summary) -> Iterator[str]:
    """Yield what is not as it must be."""
    lost = found.dropped["critical"]
    if lost and kind.least:
        yield f"{kind.name}, {load}: {lost} critical requests were dropped"
    if load == "steady" and found.turns:
        yield f"{kind.name}, {load}: {found.turns} changes of direction"
    if load in {"step", "spike", "nights"} and found.turns > 1:
        yield f"{kind.name}, {load}: {found.turns} changes of direction, one is enough"


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for and print it."""
    options = _options().parse_args(arguments)
    kinds = [BY_NAME[options.kind]] if options.kind else KINDS
    if options.record:
        return _record(options, kinds[0])
    if options.replay:
        return _replay(read(options.replay), kinds[0], options.by or "keda")
    loads = [options.load] if options.load else list(SHAPES)
    runs, missed = _runs(options, kinds, loads)
    scores = _scores(options.seed, kinds) if options.candidates or options.publish else []
    if options.publish:
        RESULTS.write_text(json.dumps(_published(options.seed, runs, scores), indent=1) + "\n")
    print("\n".join(missed))
    return 1 if missed else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="autoscaling", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--load", choices=SHAPES)
    parser.add_argument("--kind", choices=BY_NAME)
    parser.add_argument("--by", choices=("keda", "hpa"))
    parser.add_argument("--seed", type=int, default=_SEED)
    parser.add_argument(
        "--candidates", action="store_true", help="compare the chart's constants to others: two minutes"
    )
    parser.add_argument("--publish", action="store_true", help="all of it, into bench/results/autoscaling.json")
    parser.add_argument("--record", type=Path, help="write the arrivals of --load and --kind as CSV")
    parser.add_argument("--replay", type=Path, help="arrivals as CSV: second,critical,default,sheddable")
    return parser


def _runs(
    options: argparse.Namespace, kinds: Sequence[Kind], loads: Sequence[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    runs: list[dict[str, Any]] = []
    missed: list[str] = []
    for kind, load, how in rehearsed(kinds, loads, [options.by] if options.by else ["keda", "hpa"]):
        moments = Rehearsal(kind, how).run(synthetic(*SHAPES[load], kind.base, options.seed))
        found = summary(moments)
        _show(kind, load, how, moments)
        runs.append({"kind": kind.name, "load": load, "by": how, **asdict(found)})
        missed += misses(kind, load, found)
    return runs, missed


def _show(kind: Kind, load: str, how: str, moments: Sequence[Moment]) -> None:
    print(f"\n{kind.name}: {kind.about}\n{HEAD}\n{row(kind.name, load, how, summary(moments))}")
    print("\n".join(plot(moments)), flush=True)


def _scores(seed: int, kinds: Sequence[Kind]) -> list[candidates.Score]:
    found: list[candidates.Score] = []
    for kind in kinds:
        if kind.name in _COMPARED:
            scores = list(candidates.scores(kind.name, seed))
            print("\n" + "\n".join(candidates.table(scores)), flush=True)
            found += scores
    return found


def _published(seed: int, runs: Sequence[dict[str, Any]], scores: Sequence[candidates.Score]) -> dict[str, Any]:
    chart = demand.values()
    numbers = {"scaling": chart["scaling"], "triton.autoscaling": chart["triton"]["autoscaling"]}
    return {
        "seed": seed,
        "constants": numbers,
        "kinds": [asdict(kind) for kind in KINDS],
        "rehearsals": list(runs),
        "candidates": [asdict(each) for each in scores],
    }


def _record(options: argparse.Namespace, kind: Kind) -> int:
    arrivals = synthetic(*SHAPES[options.load or "step"], kind.base, options.seed)
    write(options.record, arrivals)
    print(f"{options.record}: {len(arrivals)} seconds of {', '.join(CLASSES)}")
    return 0


def _replay(arrivals: Arrivals, kind: Kind, how: str) -> int:
    _show(kind, "record", how, Rehearsal(kind, how).run(arrivals))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
