"""The suite beside other gateways, all of them over the same mock provider, in the same rounds.

    make bench-peers
    python bench/beside_peers.py [--only NAME]... [--rounds N] [--seconds S] [--output FILE] [--publish]

Everything is installed and started first; what cannot be is in the figures with the reason. Then all are asked in short
turns, in rounds that meet the same moments of the machine. ``--publish`` writes the figures to bench/results, and the
table and its picture to bench/README.md.
"""

from __future__ import annotations

import argparse
import json
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checkouts import commit_of
from installing import NotInstalled, installed, versions
from machine import description, listening_ports, memory_mb, tree
from peers import PEERS, Peer, Place
from programs import (
    BENCH,
    CHECKOUT,
    DidNotStart,
    Door,
    Program,
    Running,
    Upstream,
    load_client,
    mock_upstream,
    program,
)
from publication import publish, table
from rounds import Lane, figures, go, tell
from shapes import EDGE, HERE, SHAPES, SOCKET, configuration, running
from turns import CASES, HIT, IN_FLIGHT, Case, Scene

_START_SECONDS = 180.0
_LANGUAGE = "Python, Go"


@dataclass
class SideBySide:
    """Everything that runs side by side, and what is known of each."""

    scene: Scene
    folder: Path
    stack: ExitStack
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By row: language, versions, how it is run; or why it is not."""
    lanes: list[Lane] = field(default_factory=list)
    started: dict[str, Running] = field(default_factory=dict)

    def add_peer(self, peer: Peer) -> None:
        """Install and start a peer; note why not, if it fails."""
        about: dict[str, Any] = {"language": peer.language, "packages": list(peer.packages), "setup": peer.setup}
        self.about[peer.name] = about
        tell(f"{peer.name}: installing and starting")
        try:
            place = Place(
                installed(peer), self.folder / peer.name.replace(" ", "-"), _free_port(), self.scene.upstream.address
            )
            about["versions"] = versions(peer, place.installed)
            with ExitStack() as own:
                started = own.enter_context(
                    program(peer.command(place), _with_files(peer, place), peer.environment(place))
                )
                door = started.wait_until(lambda: self._answering(peer, place, started), _START_SECONDS)
                self.stack.enter_context(own.pop_all())
        except (NotInstalled, DidNotStart) as error:
            about["failed"] = str(error)
            tell(f"{peer.name}: {error}")
            return
        suite = Running(peer.name, started.process.pid, (door,))
        self._add(peer.name, suite, door, (HIT,) if peer.only_hits else [case for case in CASES if not case.same])

    def add_suite(self, shape: str) -> None:
        """Start the suite in a shape."""
        tell(f"penstock, {shape}: starting")
        name = f"Penstock, {shape}"
        about = {"language": _LANGUAGE, "versions": {"commit": commit_of(CHECKOUT)}}
        try:
            document = configuration(self.scene.upstream.address, shape)
            suite = self.stack.enter_context(
                running(HERE, shape, document, self.folder / shape.strip("-").replace(" ", "-"))
            )
        except DidNotStart as error:
            self.about[name] = {**about, "failed": str(error)}
            return
        for door in suite.doors:
            if door.name in {SOCKET, EDGE}:
                row = f"{name}, {door.name}"
                self.about[row] = {
                    **about,
                    "setup": "a key, limits in Redis, ledger in SQLite, cache on, 1 % of traces sampled",
                }
                self._add(row, suite, door, CASES)

    def _add(self, row: str, asked: Running, door: Door, cases: Sequence[Case]) -> None:
        self.started[row] = asked
        self.lanes += [Lane(row, row, case, in_flight, asked, door) for case in cases for in_flight in IN_FLIGHT]

    def _answering(self, peer: Peer, place: Place, started: Program) -> Door | None:
        """Return the peer's door once there is a right answer behind it."""
        ports = listening_ports(started.process.pid) if peer.chooses_port else [place.port]
        for port in ports:
            door = Door(peer.name, f"127.0.0.1:{port}", peer.path, peer.headers(place), peer.model, peer.done)
            if self.scene.client.perform(door, requests=1, seconds=5.0).requests:
                return door
        return None


def _with_files(peer: Peer, place: Place) -> Path:
    place.folder.mkdir(parents=True)
    for name, text in peer.files(place).items():
        (place.folder / name).write_text(text)
    return place.folder


def _free_port() -> int:
    """Return a port that is free, with a free one behind it."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one:
            port = one.getsockname()[1]
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except OSError:
                continue
            return port


def _direct(upstream: Upstream) -> Iterator[Lane]:
    for case in CASES:
        for in_flight in IN_FLIGHT:
            if not case.same:
                yield Lane("direct", "direct", case, in_flight, upstream.running, upstream.running.doors[0])


def main() -> None:
    """Measure, print, and write."""
    arguments = _arguments()
    before, began = description(), datetime.now(UTC)
    chosen = [peer for peer in PEERS if not arguments.only or peer.name in arguments.only]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        everything = SideBySide(
            Scene(stack.enter_context(load_client()), stack.enter_context(mock_upstream())), folder, stack
        )
        for shape in arguments.shape or SHAPES:
            everything.add_suite(shape)
        for peer in chosen:
            everything.add_peer(peer)
        lanes = [*_direct(everything.scene.upstream), *everything.lanes]
        lanes.sort(key=lambda lane: (CASES.index(lane.case), lane.in_flight))
        taken = go(everything.scene, lanes, arguments.rounds, arguments.seconds)
        memory = {row: memory_mb(tree(asked.pid)) for row, asked in everything.started.items()}
    found = {
        "began": began.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit_of(CHECKOUT),
        "rounds": arguments.rounds,
        "seconds_of_a_turn": arguments.seconds,
        "machine_before": before,
        "machine_after": description(),
        "rows": everything.about,
        "memory_mb": memory,
        "figures": figures(taken),
    }
    print("\n".join(table(found)))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")
    if arguments.publish:
        publish(found, BENCH)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [peer.name for peer in PEERS]
    parser.add_argument("--only", choices=names, action="append", help="only this peer; may be given often")
    parser.add_argument("--shape", choices=SHAPES, action="append", help="only this shape of ours; may be given often")
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=1.5, help="of a turn (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--publish", action="store_true", help="write bench/results and the section of bench/README.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
