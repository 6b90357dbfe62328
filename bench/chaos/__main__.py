"""Runs the suite's replicas through what is worst, scenario by scenario, and compares what all sides saw.

    PYTHONPATH=bench python -m chaos [--only NAME] [--seed N] [--short] [--output FILE] [--publish]

Each scenario has replicas of its own (``penstock up``, each with its edge) on one Redis and one database, over upstreams that
are scripted. Exit 1 where something is not as it must be (``--count-only``: but for time, which is a machine's as well).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from checkouts import commit_of
from machine import description
from programs import CHECKOUT
from rounds import tell

from chaos import burst, everything, latency, limits, outage
from chaos.figures import Finding, Scale, table

RESULTS = CHECKOUT / "bench" / "results" / "chaos.json"
SCENARIOS = (everything, outage, latency, limits, burst)
_NAMES = tuple(scenario.NAME for scenario in SCENARIOS)
_SEED = 20261129


def found_by(names: Sequence[str], scale: Scale) -> list[Finding]:
    """Return what was found of each scenario."""
    findings: list[Finding] = []
    for scenario in SCENARIOS:
        if scenario.NAME not in names:
            continue
        tell(f"{scenario.NAME}: {scenario.ABOUT}")
        began = time.monotonic()
        # Short, as sockets are in it.
        with tempfile.TemporaryDirectory(prefix="pc-") as folder:
            found = asyncio.run(scenario.run(scale, Path(folder)))
        findings.append(msgspec.structs.replace(found, load_average=round(os.getloadavg()[0], 1)))
        tell(f"{scenario.NAME}: {time.monotonic() - began:.0f} s, {json.dumps(found.figures, ensure_ascii=False)}")
        for miss in (*found.misses, *found.late):
            tell(f"{scenario.NAME}: {miss}")
    return findings


def _published_of_others(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is published of scenarios that have not been run now."""
    published = json.loads(RESULTS.read_text())["scenarios"] if RESULTS.exists() else []
    return [each for each in published if each["scenario"] not in names]


def _document(scenarios: list[dict[str, Any]]) -> str:
    ordered = sorted(scenarios, key=lambda each: _NAMES.index(each["scenario"]))
    return json.dumps({"scenarios": ordered}, indent=1, ensure_ascii=False) + "\n"


def _leave(*_: object) -> None:
    sys.exit("it was ended")


def main() -> int:
    """Run, print, and write."""
    # As by ^C: what was started is ended.
    signal.signal(signal.SIGTERM, _leave)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=_NAMES, action="append", help="this scenario; may be repeated")
    parser.add_argument(
        "--seed", type=int, default=_SEED, help="decides which request meets what (default: %(default)s)"
    )
    parser.add_argument("--short", action="store_true", help="a few hundred requests, to see that all of it works")
    parser.add_argument("--requests", type=int, default=0, help=f"so many, of '{everything.NAME}'")
    parser.add_argument("--per-second", type=float, default=0.0, help="so many of them a second")
    parser.add_argument("--stories", type=Path, help="write what became of each of them, and what each upstream played")
    parser.add_argument("--count-only", action="store_true", help="judge no time")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--publish", action="store_true", help=f"put them into {RESULTS.relative_to(CHECKOUT)}")
    arguments = parser.parse_args()
    scale = Scale(
        seed=arguments.seed, short=arguments.short, requests=arguments.requests, per_second=arguments.per_second,
        stories=arguments.stories,
    )  # fmt: skip
    findings = found_by(arguments.only or _NAMES, scale)
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit_of(CHECKOUT),
        "machine": description(),
        "seed": arguments.seed,
    }
    scenarios = [{**msgspec.to_builtins(found), **report} for found in findings]
    print("\n".join(table(findings)))
    if arguments.output is not None:
        arguments.output.write_text(_document(scenarios))
    if arguments.publish:
        RESULTS.write_text(_document([*_published_of_others(arguments.only or _NAMES), *scenarios]))
    missed = [miss for found in findings for miss in (*found.misses, *([] if arguments.count_only else found.late))]
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
