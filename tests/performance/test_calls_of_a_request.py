"""A request costs no more calls, and enters no more files, than it did.

The ceilings stand just above what was reached. A change that needs more raises them in its own commit and says why; one
that needs less lowers them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
PATIENCE_SECONDS = 240
ROUNDS = 3

# About three in a hundred above what was reached. Of them 25 are what one reservation over all limits costs beyond two counters.
MOST_CALLS = {"unary": 850, "stream": 1195, "paced stream": 9800, "hit": 425, "20 turns": 1145}
MOST_FILES = {"files": 92, "moves": 270}


def counted(tool):
    """What a tool counts, in a process of its own: a profiler sees all that the process does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    done = subprocess.run(
        [sys.executable, TOOLS / tool, "--json"],
        capture_output=True, text=True, env=environment, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def over(found):
    return {case: calls for case, calls in found.items() if calls > MOST_CALLS[case]}


@pytest.mark.timeout(ROUNDS * PATIENCE_SECONDS + 10)
def test_a_request_needs_no_more_calls_than_it_did():
    found = counted("count_calls.py")
    assert found.keys() == MOST_CALLS.keys()
    for _ in range(ROUNDS - 1):
        if over(found):
            # On a machine that is slow because others are busy, more of what is done by the clock falls on each request.
            again = counted("count_calls.py")
            found = {case: min(calls, again[case]) for case, calls in found.items()}
    assert over(found) == {}


@pytest.mark.timeout(ROUNDS * PATIENCE_SECONDS + 10)
def test_a_request_enters_no_more_files_and_moves_no_more_often_than_it_did():
    found = counted("count_files.py")
    assert found.keys() == MOST_FILES.keys()
    for _ in range(ROUNDS - 1):
        # What is done by the clock meanwhile is in files of its own.
        again = counted("count_files.py")
        found = {name: min(count, again[name]) for name, count in found.items()}
    assert {name: count for name, count in found.items() if count > MOST_FILES[name]} == {}
