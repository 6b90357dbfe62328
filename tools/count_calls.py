"""Counts the calls that a request costs in one process.

    python tools/count_calls.py [--requests N] [--top N] [--json]

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
from types import CodeType

from one_process import HIT, ROOT, STREAM, UNARY, Case, Suite, run_with_suite

CASES = (UNARY, STREAM, HIT)
WARM_UP_REQUESTS = 100
REQUESTS = 400
IN_FLIGHT = 16

Calls = dict[tuple[str, str], float]
"""Calls a request, by file and function."""


def main() -> int:
    """Print the calls of each case, and where most are."""
    arguments = _arguments()

    async def count(suite: Suite) -> dict[str, Calls]:
        return {case.name: await calls_of(suite, case, arguments.requests) for case in CASES}

    counted = run_with_suite(count)
    totals = {name: round(sum(calls.values()), 1) for name, calls in counted.items()}
    if arguments.json:
        print(json.dumps(totals))
        return 0
    for name, calls in counted.items():
        print(f"{name:8} {totals[name]:8.1f} calls a request")
        for (file, function), number in sorted(calls.items(), key=lambda item: -item[1])[: arguments.top]:
            print(f"  {number:8.2f}  {file}: {function}")
    return 0


async def calls_of(suite: Suite, case: Case, requests: int) -> Calls:
    """Return what one request calls."""
    await suite.ask(case, WARM_UP_REQUESTS, IN_FLIGHT)
    profile = cProfile.Profile()
    profile.enable()
    try:
        await suite.ask(case, requests, IN_FLIGHT)
    finally:
        profile.disable()
    calls: Calls = {}
    for entry in profile.getstats():
        code = entry.code
        place = (_file(code.co_filename), code.co_qualname) if isinstance(code, CodeType) else ("C", str(code))
        calls[place] = calls.get(place, 0.0) + entry.callcount / requests
    return calls


def _file(name: str) -> str:
    for root in (str(ROOT), *sorted(sys.path, key=len, reverse=True)):
        if root and name.startswith(root + "/"):
            return name.removeprefix(root + "/")
    return name


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of each case (default: %(default)s)")
    parser.add_argument("--top", type=int, default=0, help="name so many functions of each case")
    parser.add_argument("--json", action="store_true", help="print the totals as one JSON object")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
