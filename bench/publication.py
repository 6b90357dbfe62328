"""The figures of ``beside_peers.py`` for people: a table, its picture, and both in bench/README.md.

Run: python bench/publication.py FIGURES [--into FOLDER]. Prints the table of a JSON file, or writes all three beside a
README.md that has a section on embedding, before which theirs comes.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from picture import Picture, dots
from turns import CASES, HISTORY, HIT, STREAM, UNARY, Case

HEADING = "## Beside peers"
_NEXT = "## Embedding"
_FIGURES = "results/peers.json"
_PICTURE = "results/peers.svg"
_COLUMNS = (
    "gateway", "unary, us", "20 turns, us", "stream, us", "hit, us", "unary / s", "stream / s",
    "unary + p50 / p99, ms", "stream + p50 / p99, ms", "MB",
)  # fmt: skip


class Rows:
    """The figures by row, in order of the CPU of a unary request."""

    def __init__(self, found: dict[str, Any]) -> None:
        """Take what was measured."""
        self._found = found
        self._lanes = {(lane["row"], lane["case"], lane["in_flight"]): lane for lane in found["figures"]}

    @property
    def names(self) -> list[str]:
        """The rows that have a figure, the cheapest first."""
        named = {row for row, _, _ in self._lanes}
        return sorted(named, key=lambda row: self.cpu_us(row, UNARY) or self.cpu_us(row, HIT) or 0.0)

    def cpu_us(self, row: str, case: Case) -> float | None:
        """Return the median CPU of a request, 16 in flight; nothing if it was not asked or failed."""
        lane = self._whole(row, case, 16)
        return lane["cpu_us"] if lane else None

    def cells(self, row: str) -> list[str]:
        """Return a line of the table."""
        used = self._found["memory_mb"].get(row)
        return [
            row,
            *(_number(self.cpu_us(row, case)) for case in (UNARY, HISTORY, STREAM, HIT)),
            *(self._per_second(row, case) for case in (UNARY, STREAM)),
            *(self._added(row, case) for case in (UNARY, STREAM)),
            _number(sum(used.values()) if used else None),
        ]

    def _per_second(self, row: str, case: Case) -> str:
        lane = self._whole(row, case, 16)
        return _number(lane["requests_per_second"] if lane else None)

    def _added(self, row: str, case: Case) -> str:
        lane = self._whole(row, case, 1)
        if not lane or "added_whole_p50_ms" not in lane:
            return ""
        return " / ".join(f"{lane[f'added_whole_p{percent}_ms']:.2f}" for percent in (50, 99))

    def _whole(self, row: str, case: Case, in_flight: int) -> dict[str, Any] | None:
        """Return a lane that answered, and answered right: of another, CPU and time say nothing."""
        lane = self._lanes.get((row, case.name, in_flight))
        return lane if lane and lane["requests"] and not lane["errors"] else None


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def table(found: dict[str, Any]) -> Iterator[str]:
    """Yield the table's lines, and a line for each that did not run or did not answer right."""
    rows = Rows(found)
    lines = [list(_COLUMNS), *(rows.cells(row) for row in rows.names)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    for line in lines:
        first, *rest = (
            cell.ljust(width) if not at else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  ".join([first, *rest])
    yield from _faults(found)


def _faults(found: dict[str, Any]) -> Iterator[str]:
    for row, about in found["rows"].items():
        if "failed" in about:
            yield f"{row} did not run: {about['failed']}"
    for lane in found["figures"]:
        if lane["errors"]:
            yield f"{lane['row']}, {lane['case']}, {lane['in_flight']} in flight: {lane['errors']} errors, {lane['first_error']}"


def publish(found: dict[str, Any], bench: Path) -> None:
    """Write the figures, the picture, and the section of README.md that shows them."""
    (bench / _FIGURES).write_text(json.dumps(found, indent=1) + "\n")
    (bench / _PICTURE).write_text(_picture(found))
    readme = bench / "README.md"
    text = re.sub(rf"{re.escape(HEADING)}\n.*?(?=^## )", "", readme.read_text(), flags=re.DOTALL | re.MULTILINE)
    before, at, after = text.partition(_NEXT)
    readme.write_text(before + "\n".join(_section(found)) + "\n\n" + at + after)


def _picture(found: dict[str, Any]) -> str:
    rows = Rows(found)
    names = [row for row in rows.names if rows.cpu_us(row, UNARY) is not None and row != "direct"]
    series = {case.name: [rows.cpu_us(row, case) for row in names] for case in CASES}
    return dots(Picture("CPU of a request, all processes of the gateway, us (logarithmic)", names, series))


def _section(found: dict[str, Any]) -> Iterator[str]:
    yield HEADING
    yield ""
    yield from _introduction(found)
    yield ""
    yield f"![CPU of a request, by gateway and case]({_PICTURE})"
    yield ""
    yield from _markdown(_COLUMNS, [Rows(found).cells(row) for row in Rows(found).names])
    yield ""
    yield from _markdown(("gateway", "language", "version", "how it runs"), list(_abouts(found)))
    for fault in _faults(found):
        yield f"\n{fault.splitlines()[0]}"


def _introduction(found: dict[str, Any]) -> Iterator[str]:
    machine = found["machine_before"]
    others = sorted(lane["others_cores"] for lane in found["figures"])[len(found["figures"]) // 2]
    loads = [lane["load_average"] for lane in found["figures"]]
    yield f"`make bench-peers`, commit {found['commit']}, {found['began'][:10]}: {found['rounds']} rounds of turns of"
    yield f"{found['seconds_of_a_turn']:g} s, all gateways over one mock provider, {machine['cores']} cores, load average"
    yield f"{min(loads):.1f} to {max(loads):.1f}, of which others had {others:.2f} cores. CPU and answers a second: the median of the"
    yield "rounds, 16 in flight. Added latency: one at a time, less what asking the provider directly takes. Memory: resident,"
    yield f"of all processes, after the load. All figures: [{_FIGURES}]({_FIGURES}). nginx is a plain proxy, the floor."


def _abouts(found: dict[str, Any]) -> Iterator[list[str]]:
    for row, about in found["rows"].items():
        versions = ", ".join(f"{name} {number}" for name, number in about.get("versions", {}).items())
        yield [row, about["language"], versions, about.get("setup", "") if "failed" not in about else "did not run"]


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def main() -> None:
    """Show or publish figures that were kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path)
    parser.add_argument("--into", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    found = json.loads(arguments.figures.read_text())
    if arguments.into:
        publish(found, arguments.into)
    else:
        print("\n".join(table(found)))


if __name__ == "__main__":
    main()
