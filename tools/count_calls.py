"""Counts the calls that a request costs in one process.

    python tools/count_calls.py [--top N [--by-time]] [--json]

A call is what cProfile counts as one, on the loop's thread: a function entered, of Python or of C, or a coroutine or
generator entered or resumed. Counted is all that happens from the first of N requests until the last is answered, 16
in flight, over N; what is made once has been made by others before. So the figure depends on the code and hardly on
the machine: what the suite does by the clock is shared by many requests.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import sys
import time
from types import CodeType
from typing import NamedTuple

from one_process import HISTORY, HIT, PACED, ROOT, STREAM, UNARY, Case, Suite, run_with_suite

CASES = (UNARY, STREAM, PACED, HIT, HISTORY)
IN_FLIGHT = 16


class Cost(NamedTuple):
    """What a function costs a request."""

    calls: float
    own_us: float
    """Time in it and in none that it calls; the profiler's own weighs on small functions most."""


Costs = dict[tuple[str, str], Cost]
"""By file and function."""


def main() -> int:
    """Print the calls of each case, and where most are."""
    arguments = _arguments()

    async def count(suite: Suite) -> dict[str, Costs]:
        return {case.name: await costs_of(suite, case) for case in CASES}

    counted = run_with_suite(count)
    totals = {name: round(sum(cost.calls for cost in costs.values()), 1) for name, costs in counted.items()}
    if arguments.json:
        print(json.dumps(totals))
        return 0
    for name, costs in counted.items():
        print(f"{name:13} {totals[name]:8.1f} calls a request")
        _show_most(costs, arguments.top, by_time=arguments.by_time)
    return 0


def _show_most(costs: Costs, top: int, *, by_time: bool) -> None:
    most = sorted(costs.items(), key=lambda item: -item[1][by_time])[:top]
    for (file, function), cost in most:
        print(f"  {cost.calls:8.2f} {cost.own_us:8.1f} us  {file}: {function}")


async def costs_of(suite: Suite, case: Case) -> Costs:
    """Return what one request calls."""
    await suite.ask(case, case.requests // 4, IN_FLIGHT)
    # The thread's own time, so that others on the machine count for nothing.
    profile = cProfile.Profile(time.thread_time)
    profile.enable()
    try:
        await suite.ask(case, case.requests, IN_FLIGHT)
    finally:
        profile.disable()
    costs: Costs = {}
    for entry in profile.getstats():
        code = entry.code
        place = (_file(code.co_filename), code.co_qualname) if isinstance(code, CodeType) else ("C", str(code))
        before = costs.get(place, Cost(0.0, 0.0))
        own_us = entry.inlinetime * 1e6 / case.requests
        costs[place] = Cost(before.calls + entry.callcount / case.requests, before.own_us + own_us)
    return costs


def _file(name: str) -> str:
    for root in (str(ROOT), *sorted(sys.path, key=len, reverse=True)):
        if root and name.startswith(root + "/"):
            return name.removeprefix(root + "/")
    return name


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--top", type=int, default=0, help="name so many functions of each case")
    parser.add_argument("--by-time", action="store_true", help="those that most time is spent in, not calls")
    parser.add_argument("--json", action="store_true", help="print the totals as one JSON object")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
