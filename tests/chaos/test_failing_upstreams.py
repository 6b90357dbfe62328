"""Replicas of the stack among upstreams that fail in every way, briefly: each request ends in one way, and is billed once.

``make chaos`` has the same for longer, and judges time as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PATIENCE_SECONDS = 900


@pytest.fixture
def found(tmp_path):
    """A function that plays a scenario in its short form, and returns what was found."""
    if not Path(sys.executable).with_name("penstock-edge").is_file():
        pytest.skip("the edge is not built: run 'make setup'")

    def play(scenario: str) -> dict:
        output = tmp_path / f"{scenario}.json"
        told = subprocess.run(
            [sys.executable, "-m", "chaos", "--short", "--only", scenario, "--output", output],
            cwd=CHECKOUT, env={**os.environ, "PYTHONPATH": str(CHECKOUT / "bench")}, capture_output=True, text=True,
            timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
        assert output.is_file(), told.stderr[-3000:]
        (finding,) = json.loads(output.read_text())["scenarios"]
        # How long things took is found, too, and is a machine's as well.
        assert finding["misses"] == []
        return finding

    return play


@pytest.mark.timeout(PATIENCE_SECONDS + 10)
def test_among_all_faults_each_request_ends_in_one_way_and_is_billed_once(found):
    finding = found("everything")
    figures, ledger = finding["figures"], finding["figures"]["ledger"]
    assert figures["faults met"] > 50
    assert figures["ended in"]["a whole answer"] > finding["requests"] / 2
    assert ledger["upstreams' tokens"] == ledger["their rows' tokens"] > 0
    assert ledger["upstreams' nano-dollars"] == ledger["their rows' nano-dollars"] > 0


@pytest.mark.timeout(PATIENCE_SECONDS + 10)
def test_an_outage_of_the_first_upstream_is_answered_by_the_second(found):
    figures = found("outage")["figures"]
    assert figures["answered %"] == 100
    assert figures["requests that met the outage"] > 0
    assert figures["probes at once"] <= 1


@pytest.mark.timeout(PATIENCE_SECONDS + 10)
def test_slowness_is_answered(found):
    assert found("latency")["figures"]["answered %"] == 100


@pytest.mark.timeout(PATIENCE_SECONDS + 10)
def test_whoever_knows_of_a_limit_keeps_it_and_tells_callers(found):
    figures = found("limits")["figures"]
    assert figures["an-hour"].keys() & {"answered"}
    assert figures["an-hour-alone"].keys() & {"RATE_LIMITED"}
    assert "RATE_LIMITED" not in figures["an-hour"]


@pytest.mark.timeout(PATIENCE_SECONDS + 10)
def test_a_burst_is_shed_and_what_is_critical_is_served(found):
    figures = found("burst")["figures"]
    assert figures["critical served %"] == 100
    assert figures["sheddable, in the burst"]["RATE_LIMITED"] > 0
