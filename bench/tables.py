"""The figures of ``overhead.py`` as tables for people."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

Part = dict[str, Any]
"""What was measured of a shape."""


def _lanes(parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
    for part in parts:
        yield from part["figures"]


def costs(parts: Sequence[Part]) -> Iterator[str]:
    """Yield a line for each way to ask each thing."""
    yield (
        f"{'':24}{'':22}{'':12}{'in':>4}{'CPU us,':>10}{'least':>8}{'a':>9}{'added ms':>10}{'':>9}{'first byte':>12}"
    )
    yield (
        f"{'row':24}{'case':22}{'side':12}{'flight':>4}{'median':>8}{'':>8}{'second':>9}"
        f"{'p50':>10}{'p99':>9}{'p50 ms':>12}  by process"
    )
    for lane in _lanes(parts):
        by_process = ", ".join(f"{name} {us:.0f}" for name, us in lane["cpu_us_by_process"].items())
        added = [lane.get(f"added_whole_p{percent}_ms") for percent in (50, 99)]
        yield (
            f"{lane['row']:24}{lane['case']:22}{lane['side']:12}{lane['in_flight']:4}{lane['cpu_us']:10.0f}"
            f"{lane['cpu_us_least']:8.0f}{lane['requests_per_second']:9.0f}"
            + "".join(
                f"{'' if ms is None else format(ms, '.2f'):>{width}}" for ms, width in zip(added, (10, 9), strict=True)
            )
            + f"{lane['first_p50_ms']:12.2f}  {by_process}"
            + (f"  {lane['errors']} ERRORS" if lane["errors"] else "")
        )
    for part in parts:
        if "failed" in part:
            yield f"{part['shape']}: did not start: {part['failed']}"


def memory(parts: Sequence[Part]) -> Iterator[str]:
    """Yield a line of resident memory for each shape and side."""
    for part in parts:
        for side, by_process in part["memory_mb"].items():
            each = ", ".join(f"{name} {mb:.0f}" for name, mb in by_process.items())
            yield f"memory, {part['shape']:16}{side:12}{sum(by_process.values()):7.0f} MB: {each}"


def ratios(parts: Sequence[Part], here: str, against: str) -> Iterator[str]:
    """Yield what this checkout costs over what the other one costs, the median of the rounds and their spread."""
    yield f"CPU of {here} over {against}: median of the rounds (least to most), and of the least that each took"
    lanes = {(lane["row"], lane["case"], lane["in_flight"], lane["side"]): lane for lane in _lanes(parts)}
    for (row, case, in_flight, side), ours in lanes.items():
        theirs = lanes.get((row, case, in_flight, against))
        if side == here and theirs is not None:
            each = [a / b for a, b in zip(ours["cpu_us_of_rounds"], theirs["cpu_us_of_rounds"], strict=True) if b]
            if each:
                spread = f"({min(each):.2f} to {max(each):.2f})"
                least = ours["cpu_us_least"] / theirs["cpu_us_least"]
                yield f"{row:24}{case:22}{in_flight:4}{statistics.median(each):8.2f}  {spread:16}{least:8.2f}"
    for part in parts:
        used = {side: sum(by_process.values()) for side, by_process in part["memory_mb"].items()}
        if here in used and used.get(against):
            yield f"memory, {part['shape']:38}{'':4}{used[here] / used[against]:8.2f}"
