"""Nonsense, the same in each run, to every surface of a running stack; fuzz/run.py sends a hundred thousand of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"
REQUESTS = 1500
SURFACES = {
    "HTTP/1.1 bytes", "HTTP/2", "admin REST", "admin gRPC", "gRPC", "gRPC bytes", "gateway HTTP", "gateway bytes", "openai",
    "typed REST",
}  # fmt: skip
PATIENCE_SECONDS = 1200


@pytest.mark.load
@pytest.mark.timeout(PATIENCE_SECONDS + 10)
def test_no_nonsense_is_a_servers_error_or_grows(tmp_path):
    if not Path(sys.executable).with_name("penstock-edge").is_file():
        pytest.skip("the edge is not built: run 'make setup'")
    output = tmp_path / "fuzz.json"
    few = ["--requests", str(REQUESTS), "--seed", "20261129", "--workers", "2", "--output", output]
    done = subprocess.run(
        [sys.executable, FUZZ / "run.py", *few], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    surfaces = json.loads(output.read_text())["surfaces"]
    assert set(surfaces) == SURFACES
    assert sum(each["requests"] for each in surfaces.values()) >= REQUESTS
    assert any("200" in each["answers"] for each in surfaces.values())
