"""What a request costs in each shape of the suite, alone or beside another commit.

    make bench [AGAINST=COMMIT]
    python bench/overhead.py [--against COMMIT | --against-checkout PATH] [--quick] [--output FILE]

Everything is asked in short turns of one round after the other, and each round meets the same moments of the machine: so
compare what stands side by side, and ratios above all. CPU is what the operating system accounts to every process of
the stack, Redis and the edge among them, until shortly after the last answer. Added latency is what the stack takes
one at a time, less what the provider takes when asked directly. Benchmarks are no tests: nothing fails on a figure.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from checkouts import built, commit_of
from machine import description, memory_mb, tree
from programs import DidNotStart, Running, load_client, mock_upstream
from rounds import Lane, figures, go, tell
from shapes import EDGE, EMBEDDING, GRPC, HERE, ONE_PROCESS, SHAPES, Side, configuration, running
from tables import costs, memory, ratios
from turns import CASES, IN_FLIGHT, STREAM, UNARY, Scene

_PACKAGES = ("grpcio", "httptools", "aiohttp", "msgspec", "uvloop", "redis", "sqlalchemy")
_EMBEDDING_REQUESTS = 200


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    shapes: Sequence[str]
    rounds: int
    seconds: float
    """Of a turn."""
    is_quick: bool

    def asks(self, lane: Lane) -> bool:
        """Whether there is time for it."""
        if not self.is_quick:
            return True
        if lane.side == "direct" or lane.door.name == EDGE:
            return lane.case in {UNARY, STREAM} and lane.in_flight == (1 if lane.side == "direct" else 16)
        return lane.in_flight == 16 or lane.case is UNARY


FULL = Plan(SHAPES, rounds=8, seconds=1.0, is_quick=False)
QUICK = Plan((ONE_PROCESS,), rounds=4, seconds=0.3, is_quick=True)


@dataclass(frozen=True)
class Bench:
    """What is there for the whole run."""

    scene: Scene
    sides: Sequence[Side]
    plan: Plan
    folder: Path

    def start(self, stack: ExitStack, side: Side, shape: str) -> Running:
        """Return a side that runs until ``stack`` ends."""
        where = self.folder / f"{side.name}-{shape.strip('-').replace(' ', '-')}"
        document = configuration(self.scene.upstream.address, shape)
        return stack.enter_context(running(side, shape, document, where))

    def lanes(self, shape: str, sides: Sequence[Running]) -> list[Lane]:
        """Return what is asked, neighbours side by side."""
        direct = [
            Lane("direct", "direct", case, 1, self.scene.upstream.running, self.scene.upstream.running.doors[0])
            for case in CASES
            if not case.same
        ]
        ours = [
            Lane(f"{shape}, {door.name}", side.name, case, in_flight, side, door)
            for case in CASES
            for in_flight in IN_FLIGHT
            for doors in zip(*(side.doors for side in sides), strict=False)
            for side, door in zip(sides, doors, strict=True)
            if door.name != GRPC
        ]
        return [lane for lane in direct + ours if self.plan.asks(lane)]


def measured(bench: Bench, shape: str) -> dict[str, Any]:
    """Return the figures of a shape; why there are none, if it does not start."""
    tell(f"{shape}: starting")
    try:
        with ExitStack() as stack:
            sides = [bench.start(stack, side, shape) for side in bench.sides]
            taken = go(bench.scene, bench.lanes(shape, sides), bench.plan.rounds, bench.plan.seconds)
            used = {side.name: memory_mb(tree(side.pid)) for side in sides}
    except DidNotStart as error:
        return {"shape": shape, "failed": str(error), "figures": [], "memory_mb": {}}
    return {"shape": shape, "figures": figures(taken), "memory_mb": used}


def memory_with_embedding(bench: Bench) -> dict[str, Any]:
    """Return the memory of one process that has the embedding service, too."""
    used: dict[str, dict[str, float]] = {}
    for side in bench.sides:
        try:
            with ExitStack() as stack:
                asked = bench.start(stack, side, EMBEDDING)
                bench.scene.client.perform(asked.doors[0], requests=_EMBEDDING_REQUESTS, **UNARY.job(16))
                used[side.name] = memory_mb(tree(asked.pid))
        except DidNotStart as error:
            return {"shape": EMBEDDING, "failed": str(error), "figures": [], "memory_mb": {}}
    return {"shape": EMBEDDING, "figures": [], "memory_mb": used}


def report(bench: Bench, parts: Sequence[dict[str, Any]], before: dict[str, Any]) -> dict[str, Any]:
    """Return everything, with what is needed to read it later."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commits": {side.name: commit_of(side.checkout) for side in bench.sides},
        "rounds": bench.plan.rounds,
        "seconds_of_a_turn": bench.plan.seconds,
        "machine_before": before,
        "machine_after": description(),
        "versions": {name: version(name) for name in _PACKAGES},
        "shapes": parts,
    }


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--against", metavar="COMMIT", help="build this commit, and measure it in the same rounds")
    other.add_argument("--against-checkout", type=Path, metavar="PATH", help="the same, of a checkout that is set up")
    parser.add_argument("--quick", action="store_true", help="one process, the cases that say most: under a minute")
    parser.add_argument("--shape", choices=SHAPES, action="append", help="only this one; may be given often")
    parser.add_argument("--rounds", type=int, help=f"default: {FULL.rounds}, quick {QUICK.rounds}")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    sides = [HERE]
    if arguments.against:
        sides.append(built(arguments.against))
    if arguments.against_checkout:
        sides.append(Side(commit_of(arguments.against_checkout), arguments.against_checkout.resolve()))
    usual = QUICK if arguments.quick else FULL
    plan = Plan(arguments.shape or usual.shapes, arguments.rounds or usual.rounds, usual.seconds, usual.is_quick)
    before = description()
    with ExitStack() as stack:
        bench = Bench(
            scene=Scene(stack.enter_context(load_client()), stack.enter_context(mock_upstream())),
            sides=sides,
            plan=plan,
            folder=Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-"))),
        )
        parts = [measured(bench, shape) for shape in plan.shapes]
        parts += [memory_with_embedding(bench)] if ONE_PROCESS in plan.shapes and not plan.is_quick else []
        found = report(bench, parts, before)
    print(
        "\n".join([*costs(parts), "", *memory(parts), *(["", *ratios(parts, *found["commits"])] if sides[1:] else [])])
    )
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
