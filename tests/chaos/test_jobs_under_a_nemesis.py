"""Who accepts and who runs jobs is killed at any point: no job is lost, and none has two ends or another attempt's result."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

NEMESIS = Path(__file__).parents[2] / "bench" / "jobs_nemesis.py"


def test_no_job_is_lost_and_none_is_committed_twice():
    command = [sys.executable, NEMESIS, "--jobs", "100", "--points", "any", "--engines", "sqlite"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    found = json.loads(told.stdout.splitlines()[-1])
    assert (found["lost"], found["twice"], found["astray"]) == (0, 0, 0)
    assert found["kills"] > 0
    # What was asked again is told of, and was asked.
    assert found["asked"] >= found["jobs"]
