"""Slow streams that are open together all come whole; bench/slow_streams.py has ten thousand, and figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
STREAMS = 150
PATIENCE_SECONDS = 600


@pytest.mark.load
@pytest.mark.timeout(PATIENCE_SECONDS + 10)
def test_no_slow_stream_is_lost_whichever_way_it_is_asked_for(tmp_path):
    if not Path(sys.executable).with_name("penstock-edge").is_file():
        pytest.skip("the edge is not built: run 'make setup'")
    output = tmp_path / "slow_streams.json"
    few = ["--only", "one process", "--streams", str(STREAMS), "--tokens", "3", "--seconds", "0.2"]
    done = subprocess.run(
        [sys.executable, BENCH / "slow_streams.py", *few, "--output", output],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(output.read_text())
    loads = found["loads"]
    assert [set(load["doors"]) for load in loads] == [{"grpc"}, {"socket"}, {"grpc", "edge"}]
    assert found["direct"]["lost"] == 0
    for load in loads:
        assert (load["whole"], load["lost"], load["first_fault"]) == (STREAMS, 0, "")
        assert load["were_open_together"]
